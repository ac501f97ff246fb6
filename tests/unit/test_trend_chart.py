"""The trend of a KPI as SVG."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

from loaders.report.trend_chart import HEIGHT, WIDTH, Point, Trend, draw
from loaders.settings import PROJECT_ROOT
from tests.report_pages import Node, parse

TREND = Trend(
    points=[
        Point(2024.5, 91.0, "91,00"),
        Point(2025.5, 92.4, "92,40"),
        Point(2026.5, 93.1, "93,10"),
    ],
    levels=[95.0],
    goal_text="Chỉ tiêu > 95 %",
    base=(2024.5, 91.0),
    target_year=2031.0,
    projection=Point(2031.0, 94.2, "94,20"),
)


def drawn(trend: Trend) -> Node:
    return parse(f"<svg>{draw(trend)}</svg>")


def texts(trend: Trend) -> list[str]:
    return [node.text for node in drawn(trend).all("text")]


def test_axis_values_target_and_projection_are_named() -> None:
    found = texts(TREND)
    assert [text for text in found if len(text) == 4] == [str(year) for year in range(2024, 2031)]
    for text in ("91,00", "92,40", "93,10", "94,20", "Chỉ tiêu > 95 %"):
        assert found.count(text) == 1, text
    assert {"92", "94"} <= set(found) or {"92,0", "94,0"} <= set(found)  # a decimal comma


def test_target_and_projection_are_dashed_and_the_way_to_the_target_is_not() -> None:
    dashes = [path.attributes.get("stroke-dasharray") for path in drawn(TREND).all("path")]
    assert dashes.count("6,3") == 1 and dashes.count("2,3") == 1
    without = dataclasses.replace(TREND, levels=(), projection=None, base=None)
    assert not any(path.attributes.get("stroke-dasharray") for path in drawn(without).all("path"))
    assert "Chỉ tiêu > 95 %" not in texts(without)


def test_a_band_has_two_edges_and_milestones_are_diamonds() -> None:
    band = dataclasses.replace(TREND, levels=[94.0, 96.0])
    dashes = [path.attributes.get("stroke-dasharray") for path in drawn(band).all("path")]
    assert dashes.count("6,3") == 2
    more = dataclasses.replace(TREND, milestones=[Point(2028.0, 93.5, "")])
    assert len(drawn(more).all("path")) == len(drawn(TREND).all("path")) + 1


def test_one_value_is_a_point_and_the_end_of_a_year_belongs_to_it() -> None:
    single = Trend(points=[Point(2025.0, 0.0, "0")])
    assert texts(single).count("2024") == 1 and "2025" not in texts(single)
    assert texts(single).count("0") >= 1


def test_large_numbers_are_short_on_the_axis() -> None:
    large = Trend(points=[Point(2024.5, 2.7e9, "2,7 tỷ"), Point(2025.5, 4.8e9, "4,8 tỷ")])
    assert any(text.endswith("tỷ") and len(text) < 8 for text in texts(large))
    assert not any("000.000" in text for text in texts(large))


def test_names_of_near_points_do_not_lie_on_each_other() -> None:
    near = Trend(points=[Point(2010 + n, n, f"v{n}") for n in (0, 4, 5)], target_year=2031.0)
    near = dataclasses.replace(near, levels=[9.0], goal_text="g")
    shown = [text for text in texts(near) if text.startswith("v")]
    assert shown == ["v0", "v5"]
    apart = Trend(points=[Point(2010 + 5 * n, n, f"v{n}") for n in range(3)])
    assert [text for text in texts(apart) if text.startswith("v")] == ["v0", "v1", "v2"]


def test_a_fork_of_a_process_that_has_drawn_does_not_wait_for_ever() -> None:
    code = (
        "import os, sys\n"
        "from loaders.report.trend_chart import Point, Trend, draw\n"
        "trend = Trend([Point(2025.5, 1, '1')])\n"
        "if sys.argv[1] == 'draw': draw(trend)\n"
        "if os.fork() == 0:\n"
        "    try: os._exit(3 if draw(trend) else 4)\n"
        "    except RuntimeError: os._exit(5)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))\n"
    )
    for first, status in (("draw", 5), ("nothing", 3)):
        done = subprocess.run(
            [sys.executable, "-c", code, first], cwd=PROJECT_ROOT, check=False, timeout=60
        )
        assert done.returncode == status, first


def test_the_drawing_is_bare_small_and_always_the_same() -> None:
    svg = draw(TREND)
    assert svg == draw(TREND)
    assert len(svg) < 4000
    for unwanted in (
        "xmlns",
        "role=",
        "aria-",
        "class=",
        "id=",
        "clip-path",
        "font-family",
        "href",
    ):
        assert unwanted not in svg, unwanted
    assert WIDTH > HEIGHT > 0
