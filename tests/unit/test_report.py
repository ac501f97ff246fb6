"""The report and the terminal scorecard, from views made by hand."""

from __future__ import annotations

import dataclasses
import io
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loaders.report import charts, words
from loaders.report.data import ReleaseView
from loaders.report.html import TEMPLATES, render_report, write_reports
from loaders.report.scorecard import print_scorecard
from tests.quality_pages import NAUGHTY, batch, quality_view
from tests.report_pages import (
    HEAD,
    Node,
    cell,
    commune,
    kpi,
    parse,
    release_view,
    target,
)


@pytest.fixture(scope="module")
def page() -> Node:
    return parse(render_report(release_view()))


def block(page: Node, section: str, label: str) -> Node:
    (found,) = page.by_id(section).all("section", label)
    return found


# --- labels -------------------------------------------------------------------------------------


def test_the_first_line_of_the_body_is_the_sample_label(page: Node) -> None:
    (body,) = page.all("body")
    first = next(child for child in body.children if isinstance(child, Node))
    assert first.text == "DỮ LIỆU MẪU / SAMPLE DATA"


@pytest.mark.parametrize("rows", ["scorecard", "boundary_values", "quality"])
def test_one_sample_row_anywhere_labels_the_whole_report(rows: str) -> None:
    view = release_view()
    nothing: dict[str, Any] = {
        name: [] for name in ("scorecard", "boundary_values", "reference_values", "verdicts")
    } | {"quality": quality_view(timeliness=[], volumes=[], rules=[])}
    kept = dataclasses.replace(view, **nothing | {rows: getattr(view, rows)})
    assert kept.has_sample


def test_real_data_alone_carry_no_sample_label() -> None:
    view = release_view()
    real = {
        name: [row for row in getattr(view, name) if row["data_label"] in ("real", None)]
        for name in ("scorecard", "boundary_values", "breakdowns", "communes")
    }
    batches = [batch("statistics", data_label="real")]
    real["quality"] = quality_view(timeliness=batches, volumes=batches, rules=[])
    html = render_report(
        dataclasses.replace(view, **real, changes=[], revisions=[], verdict_changes=[])
    )
    assert "SAMPLE DATA" not in html
    assert "63,21" in html


def test_real_and_sample_figures_never_stand_under_one_heading(page: Node) -> None:
    for section in ("scorecard", "details"):
        real, sample = block(page, section, "real"), block(page, section, "sample")
        assert real.all("h3")[0].text == "Số liệu thực tế / Real figures"
        assert sample.all("h3")[0].text == "Số liệu mẫu / Sample figures"
        assert "63,21" in real.text and "63,21" not in sample.text
        assert "94,13" in sample.text and "94,13" not in real.text
    for row in block(page, "scorecard", "sample").all("tbody", "kpi"):
        assert "Số liệu mẫu" in row.text
    assert block(page, "quality", "real").all("dd")[0].text == "1 / 1"
    assert block(page, "quality", "sample").all("dd")[0].text == "2 / 3"


# --- safety and form ----------------------------------------------------------------------------


def test_text_from_the_database_never_becomes_markup(page: Node) -> None:
    assert len(page.all("script")) == 1  # the report's own
    names = [node.text for node in page.all("a") if NAUGHTY in node.text]
    titles = [node.text for node in page.all("title") if NAUGHTY in node.text]
    assert names and titles


def test_the_file_needs_nothing_from_outside() -> None:
    html = render_report(release_view())
    assert not re.search(
        r"https?://|//[a-z]|@import|url\((?!#)", re.sub(r"(?m)^\s*// .*$", "", html)
    )
    page = parse(html)
    assert not page.all("link") and not page.all("img")
    assert not any("src" in node.attributes for node in page.all())
    policy = [
        node.attributes["content"] for node in page.all("meta") if "http-equiv" in node.attributes
    ]
    assert policy and "default-src 'none'" in (policy[0] or "")


def test_every_link_leads_somewhere_and_ids_are_unique(page: Node) -> None:
    ids = [node.attributes["id"] for node in page.all() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    links = {node.attributes["href"] for node in page.all() if "href" in node.attributes}
    beside = {"2025-07.1.quality.html"}
    assert {link[1:] for link in links - beside if link} <= set(ids) and beside < links


def test_languages_are_marked(page: Node) -> None:
    assert page.all("html")[0].attributes["lang"] == "vi"
    english = page.all("span", "en")
    assert english and all(node.attributes.get("lang") == "en" for node in english)


def test_every_drawing_has_a_text(page: Node) -> None:
    drawings = [node for node in page.all("svg") if "symbols" not in (node.attributes["class"])]
    assert drawings
    for drawing in drawings:
        assert drawing.attributes["role"] == "img"
        assert drawing.all("title")[0].text


def test_a_verdict_is_words_and_its_sign_is_not_read_out(page: Node) -> None:
    for node in page.all("span", "verdict"):
        (sign,) = node.all("span", "sign")
        assert sign.attributes["aria-hidden"] == "true"
        assert len(node.text) > len(sign.text) + 1


def test_text_colours_have_contrast_aa() -> None:
    css = (TEMPLATES / "style.css.j2").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{3,6});", css))
    for name in ("ink", "soft", "brand", "good", "fair", "weak", "bad"):
        for ground in ("#ffffff", colours["wash"]):
            assert contrast(colours[name], ground) >= 4.5, name
    assert contrast("#231a00", "#ffd23f") >= 4.5  # the sample label
    for tile in ("c0", "c1", "c2", "c3", "c4"):
        assert contrast("#111111", colours[tile]) >= 4.5, tile
    assert contrast("#888888", "#ffffff") < 4.5  # the measure does tell


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


# --- scorecard ----------------------------------------------------------------------------------


def test_every_kpi_of_the_register_is_on_the_first_page(page: Node) -> None:
    for section in ("overview", "scorecard"):
        for row in release_view().kpis:
            assert row["name_vi"] in page.by_id(section).text
    assert "5 chỉ tiêu" in page.by_id("overview").text
    missing = page.by_id("scorecard-none").parent
    assert missing is not None
    assert "Chỉ tiêu silent" in missing.text and "Chưa có nguồn" in missing.text
    assert "chưa kiểm chứng" in missing.text


def test_below_is_not_at_most(page: Node) -> None:
    text = page.by_id("scorecard").text.replace(words.NBSP, " ")
    assert "< 2 %" in text and "≤ 2 %" in text and "> 95 %" in text


def test_a_figure_just_below_a_target_is_not_printed_as_the_target(page: Node) -> None:
    text = block(page, "scorecard", "sample").text.replace(words.NBSP, " ")
    assert "1,9996 %" in text and "2,00 %" not in text


def test_both_boundaries_of_a_kpi_stand_together(page: Node) -> None:
    (row,) = [
        row for row in block(page, "scorecard", "sample").all("tbody", "kpi") if NAUGHTY in row.text
    ]
    assert len(row.all("tr")) == 2
    assert "Chương trình" in row.text and "Hiện nay" in row.text
    assert "Tiến bộ hạn chế" in row.text and "chậm tiến độ" in row.text
    assert "sơ bộ" in row.text
    assert "Dự kiến 2030: 96,50" in row.text


def test_the_trend_says_its_values_and_draws_the_target(page: Node) -> None:
    drawing = block(page, "scorecard", "sample").all("svg", "spark")[0]
    title = drawing.all("title")[0].text.replace(words.NBSP, " ")
    assert title == "Diễn biến: 06/2024: 91,00; 07/2025: 94,13. Chỉ tiêu: > 95 % (nét đứt)."
    assert len(drawing.all("line", "goal")) == 1


def test_a_kpi_without_target_has_a_trend_without_target(page: Node) -> None:
    (row,) = [
        row
        for row in block(page, "scorecard", "sample").all("tbody", "kpi")
        if "Chỉ tiêu free" in row.text
    ]
    assert row.all("td", "target")[0].text == "–"
    assert row.all("svg", "spark") and not row.all("line", "goal")
    assert "4.300" in row.text


def test_what_needs_attention_is_named_with_the_worst_first() -> None:
    view = release_view()
    rows = [dict(row) for row in view.scorecard]
    rows[3]["verdict"] = "deterioration"
    page = parse(render_report(dataclasses.replace(view, scorecard=rows)))
    items = block(page, "scorecard", "sample").all("div", "attention")[0].all("li")
    assert "Chỉ tiêu jobless" in items[0].text and "đạt nhưng đang xấu đi" in items[0].text
    assert NAUGHTY in items[1].text


def test_off_the_line_in_the_first_months_needs_no_attention_yet() -> None:
    view = release_view()
    rows = [dict(row) for row in view.scorecard]
    assert rows[1]["verdict"] == "not_available"
    rows[1]["straight_line_verdict"] = "behind"
    early = parse(render_report(dataclasses.replace(view, scorecard=rows)))
    (box,) = block(early, "scorecard", "sample").all("div", "attention")
    assert "chương trình" in box.text and "hiện nay" not in box.text


# --- details ------------------------------------------------------------------------------------


def test_hidden_figures_are_named_and_nowhere_printed(page: Node) -> None:
    detail = page.by_id("kpi-sample-cover")
    (row,) = [row for row in detail.all("tr") if row.text.startswith("Hải đảo")]
    assert "bảo mật" in row.text and not re.search(r"\d", row.text.replace("1.000", ""))
    (drawing,) = detail.all("svg", "tiles")
    assert [text.text for text in drawing.all("text")].count("✱") == 1
    assert len(drawing.all("path", "hatching")) == 1


def test_breakdowns_are_in_order_with_their_parts(page: Node) -> None:
    (table,) = page.by_id("kpi-sample-cover").all("table", "breakdown")
    heads = [row.all("th")[0].text for row in table.all("tr")[1:]]
    assert heads == [
        *("Giới tính Sex", "Nữ Female", "Nhóm tuổi Age group", "6–15 tuổi 6–15 years"),
        *("Từ 60 tuổi 60 or older", "Vùng Zone", "Hải đảo Island"),
    ]
    assert "940 / 1.000" in table.text


def test_best_and_weakest_communes_follow_the_direction(page: Node) -> None:
    best, worst = page.by_id("kpi-sample-cover").all("div", "extremes")[0].all("table")
    assert [row.all("th")[0].text for row in best.all("tr")[1:]] == ["Xã Tên 2", f"Xã {NAUGHTY}"]
    assert [row.all("th")[0].text for row in worst.all("tr")[1:]] == ["Xã Tên 1", "Xã Tên 3"]
    view = release_view()
    turned = [{**row, "direction_sign": -1} for row in view.kpis]
    page = parse(render_report(dataclasses.replace(view, kpis=turned)))
    best, _ = page.by_id("kpi-sample-cover").all("div", "extremes")[0].all("table")
    assert best.all("tr")[1].all("th")[0].text == "Xã Tên 1"


def test_the_map_shows_every_commune_once_and_marks_the_boundary(page: Node) -> None:
    (drawing,) = page.by_id("kpi-sample-cover").all("svg", "tiles")
    figures = drawing.all("text")
    assert sorted(text.text for text in figures) == ["81,3", "90,0", "95,0", "99,5", "✱"]
    assert len({(text.attributes["x"], text.attributes["y"]) for text in figures}) == 5
    shapes = [path for path in drawing.all("path") if path.attributes["class"] != "hatching"]
    assert sum((path.attributes["d"] or "").count("M") for path in shapes) == 5
    (outside,) = drawing.all("path", "o")
    (place,) = [text for text in figures if text.text == "90,0"]
    assert outside.attributes["d"] == (
        f"M{int(place.attributes['x'] or 0) - 30} {int(place.attributes['y'] or 0) - 35}h60v42h-60z"
    )
    values = {row.all("th")[0].text: row.text for row in page.all("table", "sortable")[0].all("tr")}
    assert "81,26" in values["Xã Tên 1"]  # the same figures as text


def test_caveats_of_communes_name_the_communes(page: Node) -> None:
    (caveats,) = page.by_id("kpi-sample-cover").all("div", "caveats")
    assert "Xã Tên 2: Nhận một phần." in caveats.text


def test_reference_figures_are_said_not_to_be_the_provinces(page: Node) -> None:
    detail = page.by_id("kpi-real-silent")
    assert "không phải số liệu của tỉnh" in detail.text
    assert "2,24" in detail.text and "Việt Nam" in detail.text


# --- changes and quality ------------------------------------------------------------------------


def test_changes_say_what_and_why(page: Node) -> None:
    text = page.by_id("changes").text
    assert "2025-06.1" in text
    assert "1.012" in text and "cơ quan gửi lại tệp" in text
    assert "91,50" in text and "90,50" in text
    assert "mẫu số được cập nhật; cơ quan gửi lại tệp" in text
    assert "chỉ tiêu thay đổi; chưa rõ nguyên nhân, cần kiểm tra (do điều chỉnh, không" in text


def test_the_first_release_and_a_draft_say_so() -> None:
    first = parse(render_report(release_view(previous_release_id=None)))
    assert "bản phát hành đầu tiên" in first.by_id("changes").text
    draft = parse(render_report(release_view(release=None, changes=[], verdict_changes=[])))
    assert "dự thảo, chưa phát hành" in draft.all("header")[0].text


def test_the_header_identifies_the_release(page: Node) -> None:
    text = page.all("header")[0].text
    assert "2025-07.1" in text and "07/2025" in text and HEAD in text
    assert "06/08/2025 09:30" in text  # Vietnam's time


def test_the_quality_of_the_data_is_summed_up_and_told_elsewhere(page: Node) -> None:
    section = page.by_id("quality")
    (link,) = [node for node in section.all("a")]
    assert link.attributes["href"] == "2025-07.1.quality.html"
    figures = [node.text for node in block(page, "quality", "sample").all("dd")]
    assert figures == [
        *("2 / 3", "1", "2", "2.469.134 = 2.467.627 + 1.507", "0,1 %".replace(" ", words.NBSP)),
        "3 / 2",
    ]
    assert "1 bộ dữ liệu đến hạn mà chưa có tệp" in block(page, "quality", "none").text
    assert not section.all("table")  # the tables are in the quality report


# --- words and drawings -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "decimals", "printed"),
    [
        (Decimal("1234.5"), 1, "1.234,5"),
        (Decimal("0.125"), 2, "0,13"),
        (Decimal("-1234567"), 0, "−1.234.567"),
        (Decimal("-0.001"), 2, "0,00"),
        (None, 2, "–"),
        (Decimal("NaN"), 2, "–"),
        (0, 0, "0"),
    ],
)
def test_numbers_are_printed_as_in_vietnam(value: Any, decimals: int, printed: str) -> None:
    assert words.number(value, decimals) == printed


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        (target("k", "<", "2.50"), "< 2,5 %"),
        (target("k", "<=", "2"), "≤ 2 %"),
        (target("k", "<=", None), "–"),
        (target("k", "between", None, target_low=Decimal(35), target_high=Decimal(40)), "35–40 %"),
        (target("k", "about", "75"), "≈ 75 %"),
        (target("k", "decrease", None), "giảm"),
        (target("k", "none", None), "–"),
        (None, "–"),
    ],
)
def test_targets_are_printed_with_their_operator(given: Any, printed: str) -> None:
    assert words.target_text(given, "%").replace(words.NBSP, " ") == printed


@pytest.mark.parametrize(
    ("period", "printed"),
    [
        ("2025-06", "06/2025"),
        ("2024-Q3", "Q3/2024"),
        ("2016", "2016"),
        ("2024-2025", "2024–2025"),
        (None, "–"),
    ],
)
def test_periods_are_short(period: str | None, printed: str) -> None:
    assert words.period(period) == printed


def test_the_end_of_a_year_belongs_to_it() -> None:
    assert words.calendar_year(Decimal("2031.0")) == "2030"
    assert words.calendar_year(Decimal("2029.25")) == "2029"


def test_ninety_six_tiles_lie_apart_and_keep_north_above_south() -> None:
    units = [commune("k", "1", number) for number in range(96)]
    found = charts.layout(units)
    assert found.is_geographic
    places = {tile.unit_id: (tile.x, tile.y) for tile in found.tiles}
    assert len(set(places.values())) == 96
    north = max(units, key=lambda unit: (unit["latitude"], -unit["longitude"]))
    south = min(units, key=lambda unit: (unit["latitude"], unit["longitude"]))
    assert places[north["unit_id"]][1] < places[south["unit_id"]][1]


def test_units_without_a_place_are_listed_by_district() -> None:
    units = [
        commune("k", "1", n, latitude=None, longitude=None, district_vi=f"Huyện {n % 2}")
        for n in range(30)
    ]
    found = charts.layout(units)
    assert not found.is_geographic
    assert [text for _, _, text in found.headings] == ["Huyện 0", "Huyện 1"]
    assert len({(tile.x, tile.y) for tile in found.tiles}) == 30


def test_colours_divide_the_units_evenly_and_survive_ties() -> None:
    limits = charts.colour_limits([Decimal(n) for n in range(1, 11)])
    assert limits == (2, 4, 6, 8, 10)
    assert [charts.colour_class(n, limits) for n in (1, 2, 3, 10)] == [0, 0, 1, 4]
    assert charts.colour_limits([Decimal(0)] * 9 + [Decimal(5)]) == (0, 5)
    assert charts.colour_limits([]) == ()


def test_the_smallest_part_of_a_bar_can_be_seen_and_none_is_no_part() -> None:
    high, low = charts.bars([(100_000, 1), (50_000, 0)])
    assert high.second_height > 0 and low.second_height == 0
    assert high.first_height == pytest.approx(2 * low.first_height)
    assert high.x + high.width < low.x
    assert charts.bars([]) == () and charts.bars([(0, 0)])[0].first_height == 0


def test_a_flat_trend_and_a_single_value_can_be_drawn() -> None:
    assert charts.sparkline([]) is None
    single = charts.sparkline([(2025.0, Decimal(3))], [Decimal(3)])
    assert single is not None and len(single.points) == 1
    flat = charts.sparkline([(2024.0, 3), (2025.0, 3)])
    assert flat is not None and flat.points[0][1] == flat.points[1][1]


# --- files, size, terminal ----------------------------------------------------------------------


def test_a_release_without_any_figure_is_a_page() -> None:
    empty = ReleaseView(note=release_view().note)
    page = parse(render_report(empty))
    assert "Chưa có số liệu" in page.by_id("details").text


def test_a_province_of_96_communes_stays_below_one_megabyte() -> None:
    kpis = [kpi(f"kpi_{n}", sort_order=n) for n in range(9)]
    communes = [commune(row["kpi_id"], f"{80 + n / 7:.6f}", n) for row in kpis for n in range(96)]
    values = [cell(row["kpi_id"], "90") for row in kpis]
    view = release_view(kpis=kpis, communes=communes, boundary_values=values)
    size = len(render_report(view).encode())
    assert 100_000 < size < 1_000_000


def test_a_failed_report_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_reports(release_view(), tmp_path / "reports")
    names = ["2025-07.1.html", "2025-07.1.quality.html", "2025-07.1.quality.json"]
    assert sorted(path.name for path in paths.values()) == names
    before = {path: path.read_bytes() for path in paths.values()}

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_reports(release_view(), tmp_path / "reports")
    assert {path: path.read_bytes() for path in (tmp_path / "reports").iterdir()} == before


def printed_scorecard(view: ReleaseView) -> str:
    console = Console(file=io.StringIO(), width=140, color_system=None)
    print_scorecard(view, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_scorecard_starts_with_the_label_and_keeps_labels_apart() -> None:
    lines = printed_scorecard(release_view()).splitlines()
    assert lines[0] == "DỮ LIỆU MẪU / SAMPLE DATA"
    real = lines.index("Số liệu thực tế / Real figures")
    sample = lines.index("Số liệu mẫu / Sample figures")
    assert any("63,21" in line for line in lines[real:sample])
    assert any("94,13" in line for line in lines[sample:])
    assert not any("94,13" in line for line in lines[real:sample])
    assert any("Chỉ tiêu silent" in line and "Chưa có nguồn" in line for line in lines)


def test_the_terminal_scorecard_takes_no_markup_from_the_database() -> None:
    assert "[red]đỏ[/red]" in printed_scorecard(release_view())


def test_the_terminal_scorecard_of_nothing_is_short() -> None:
    text = printed_scorecard(ReleaseView(note=release_view().note))
    assert "dự thảo / draft" in text and "SAMPLE" not in text
