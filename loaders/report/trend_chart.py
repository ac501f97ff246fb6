"""The trend of a KPI as static SVG: axis, target, path from the base to it, projection.

Drawn by Vega-Lite (docs/decisions/0016-charts-of-the-report.md). What Vega writes for its own
scripts and for screen readers is taken out: the drawing has one text of its own.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import vl_convert
from lxml import etree

from loaders.report import words

WIDTH, HEIGHT = 400, 172
VEGA_LITE = "6.1"
YEARS_SHOWN = 8
INK, SOFT, GRID, GOAL = "#14405f", "#4d5863", "#dfe4e9", "#8a5000"
#: Values that are printed beside their points; more than that are only in the table below.
LABELLED = 6
_FONT = "Segoe UI, Roboto, Helvetica Neue, Noto Sans, Liberation Sans, Arial, sans-serif"
#: How Vega prints the numbers of the axis: 1.234,5.
_LOCALE = {"decimal": ",", "thousands": ".", "grouping": [3], "currency": ["", ""]}
#: What a drawing without scripts and with a text of its own has no use for.
_UNUSED = {
    *("role", "class", "aria-roledescription", "aria-label", "aria-hidden", "pointer-events"),
    *("font-family", "stroke-miterlimit"),
}
_DEFAULTS = {
    *(("opacity", "1"), ("fill", "none"), ("fill-opacity", "1"), ("stroke-width", "1")),
    *(("transform", "translate(0,0)"), ("font-weight", "normal"), ("text-anchor", "start")),
    *(("x2", "0"), ("y2", "0"), ("font-size", "12px")),
}
#: A tenth of a pixel is enough.
_DECIMALS = re.compile(r"\d+\.\d{2,}")

#: The process that drew first.
_drawing: dict[str, int] = {}


@dataclass(frozen=True)
class Point:
    """A value at the end of a period, as a decimal year, and how it is printed."""

    year: float
    value: float
    text: str


@dataclass(frozen=True)
class Trend:
    """What is drawn.

    Attributes:
        points: values, the earliest first; at least one.
        levels: edges of the target: none, one, or two of a band.
        goal_text: the target as it is printed at its line.
        milestones: targets of other years, at the end of their year.
        base: where the straight line to the target begins.
        target_year: when it ends, as a decimal year.
        projection: the value expected in the target year at the present pace.
    """

    points: Sequence[Point]
    levels: Sequence[float] = ()
    goal_text: str = ""
    milestones: Sequence[Point] = ()
    base: tuple[float, float] | None = None
    target_year: float | None = None
    projection: Point | None = None


def draw(trend: Trend) -> str:
    """The trend as the inside of an `<svg viewBox="0 0 WIDTH HEIGHT" fill="none">`.

    Raises:
        RuntimeError: this process is a fork of one that has drawn.
    """
    # The threads that draw do not come along into a fork, which would wait for them for ever.
    if _drawing.setdefault("pid", os.getpid()) != os.getpid():
        raise RuntimeError("a process that has drawn was forked: draw in a process of its own")
    svg = vl_convert.vegalite_to_svg(
        _specification(trend), vl_version=VEGA_LITE, format_locale=_LOCALE, allowed_base_urls=[]
    )
    return _bare(svg)


def _specification(trend: Trend) -> dict[str, Any]:
    first = math.floor(_shown_from(trend.points[0].year))
    last = math.ceil(max(point.year for point in (*trend.points, *_ends(trend))))
    step = math.ceil((last - first) / YEARS_SHOWN)
    years = list(range(first, last, step))
    values = [point.value for point in (*trend.points, *trend.milestones)]
    values += [*trend.levels, *([trend.projection.value] if trend.projection else [])]
    low, high = min(values), max(values)
    room = (high - low or abs(high) or 1) * 0.16
    # A share or a count does not go below nothing, so neither does its axis.
    bottom = low - room if low < 0 else max(low - room, 0)
    x = {
        "field": "x",
        "type": "quantitative",
        "scale": {"domain": [first, last], "nice": False},
        "axis": {
            # The end of 2030 is 2031.0: a year's name stands in its middle.
            "values": [year + 0.5 for year in years],
            "labelExpr": "floor(datum.value)",
            "ticks": False,
            "grid": False,
            "title": None,
        },
    }
    y = {
        "field": "y",
        "type": "quantitative",
        "scale": {"domain": [bottom, high + room], "nice": False, "zero": False},
        "axis": {"title": None, "tickCount": 4, "labelExpr": _numbers(bottom, high + room)},
    }
    return {
        "width": WIDTH - 78,
        "height": HEIGHT - 36,
        "autosize": {"type": "none"},
        "padding": {"left": 66, "right": 12, "top": 12, "bottom": 24},
        "background": None,
        "config": _CONFIG,
        "encoding": {"x": x, "y": y},
        "layer": [
            _rules([{"x": year} for year in years[1:]], "x", GRID),
            *_target(trend, first, last, is_high=bool(trend.levels) and trend.levels[-1] == high),
            *_path(trend),
            *_values(trend, last - first),
        ],
    }


_CONFIG: dict[str, Any] = {
    "font": _FONT,
    "view": {"stroke": None},
    "axis": {
        "domainColor": SOFT,
        "gridColor": GRID,
        "labelColor": SOFT,
        "labelFontSize": 12,
        "labelLimit": 0,
        "labelFlush": False,
    },
    "axisY": {"domain": False, "ticks": False},
    "text": {"fontSize": 12, "fill": INK},
}


def _numbers(bottom: float, top: float) -> str:
    """Vega's expression for the numbers of an axis: enough decimals to tell them apart."""
    size, name = words.size_of(max(abs(bottom), abs(top)))
    step = (top - bottom) / size / 5
    decimals = max(0, min(4, -math.floor(math.log10(step))))
    return f"format(datum.value / {size}, ',.{decimals}f') + '{name and words.NBSP + name}'"


def _shown_from(year: float) -> float:
    """The end of 2024 is 2025.0, and belongs to 2024."""
    return year - 1e-6


def _ends(trend: Trend) -> list[Point]:
    found = list(trend.milestones)
    if trend.target_year is not None and (trend.levels or trend.projection):
        found.append(Point(trend.target_year, 0, ""))
    return found


def _layer(mark: dict[str, Any], rows: Sequence[dict[str, Any]], **encoding: Any) -> dict[str, Any]:
    return {
        "data": {"values": list(rows)},
        "mark": {"opacity": 1, **mark, "aria": False, "clip": False},
        **({"encoding": encoding} if encoding else {}),
    }


def _rules(rows: Sequence[dict[str, Any]], along: str, colour: str) -> dict[str, Any]:
    # Left out of the shared encoding: the rule goes from edge to edge of the other direction.
    other = {"x": "y", "y": "x"}[along]
    return _layer({"type": "rule", "color": colour}, rows, **{other: None})


def _target(trend: Trend, first: int, last: int, *, is_high: bool) -> list[dict[str, Any]]:
    if not trend.levels:
        return []
    lines = [
        _layer(
            {"type": "line", "color": GOAL, "strokeDash": [6, 3], "strokeWidth": 1.5},
            [{"x": first, "y": level}, {"x": last, "y": level}],
        )
        for level in trend.levels
    ]
    name = {
        "type": "text",
        # Away from the figures: above the highest line, below a line that is not.
        "dy": -7 if is_high else 11,
        "fill": GOAL,
        "fontWeight": "bold",
    }
    # Where there are no figures: they lie to the left, the projection ends on the right.
    row = {
        "x": first + 0.62 * (last - first),
        "y": trend.levels[-1 if is_high else 0],
        "t": trend.goal_text,
    }
    marks = [{"x": point.year, "y": point.value} for point in trend.milestones]
    stones = {"type": "point", "shape": "diamond", "color": GOAL, "size": 55, "filled": True}
    return [
        *lines,
        _layer(name, [row], text={"field": "t"}),
        *([_layer(stones, marks)] if marks else []),
    ]


def _path(trend: Trend) -> list[dict[str, Any]]:
    """The straight line from the base to the target, and the way on at the present pace."""
    found = []
    if trend.base and trend.levels and trend.target_year is not None:
        nearest = min(trend.levels, key=lambda level: abs(level - trend.points[-1].value))
        rows = [
            {"x": trend.base[0], "y": trend.base[1]},
            {"x": trend.target_year, "y": nearest},
        ]
        found.append(_layer({"type": "line", "color": "#9aa3ad", "strokeWidth": 1.2}, rows))
    if trend.projection:
        last, end = trend.points[-1], trend.projection
        rows = [{"x": last.year, "y": last.value}, {"x": end.year, "y": end.value}]
        line = {"type": "line", "color": INK, "strokeDash": [2, 3], "strokeWidth": 1.5}
        ring = {"type": "point", "color": INK, "fill": "white", "size": 45, "strokeWidth": 1.5}
        # Off the line that comes from the left: over it when it falls, under it when it rises.
        name = {
            "type": "text",
            "align": "right",
            "dx": 4,
            "dy": 14 if end.value > last.value else -9,
        }
        found += [
            _layer(line, rows),
            _layer(ring, rows[1:]),
            _layer(name, [{**rows[1], "t": end.text}], text={"field": "t"}),
        ]
    return found


def _values(trend: Trend, span: float) -> list[dict[str, Any]]:
    rows = [{"x": point.year, "y": point.value} for point in trend.points]
    shown = trend.points if len(trend.points) <= LABELLED else [trend.points[0], trend.points[-1]]
    named = [{"x": point.year, "y": point.value, "t": point.text} for point in _apart(shown, span)]
    line = {"type": "line", "color": INK, "strokeWidth": 2}
    dots = {"type": "point", "color": INK, "filled": True, "size": 42}
    name = {"type": "text", "dy": -10, "fontWeight": "bold"}
    return [
        *([_layer(line, rows)] if len(rows) > 1 else []),
        _layer(dots, rows),
        _layer(name, named, text={"field": "t"}),
    ]


def _apart(points: Sequence[Point], span: float) -> list[Point]:
    """Points whose names do not lie on each other: the last one first, then backwards."""
    kept: list[Point] = []
    for point in reversed(points):
        if not kept or kept[-1].year - point.year > span * 0.13:
            kept.append(point)
    return kept[::-1]


def _bare(svg: str) -> str:
    """The children of the drawing without what Vega's scripts would need."""
    root = etree.fromstring(svg.encode())
    for element in reversed(list(root.iter())):
        for name in list(element.keys()):
            if name in _UNUSED or (name, element.get(name)) in _DEFAULTS:
                del element.attrib[name]
            else:
                element.set(name, _DECIMALS.sub(_shorter, element.get(name)))
        parent, tag = element.getparent(), etree.QName(element).localname
        if parent is None:
            continue
        has_ink = tag == "line" or element.get("fill") or element.get("stroke")
        if (tag != "g" and not has_ink) or (tag == "g" and not len(element)):
            parent.remove(element)
        elif tag == "g" and not element.attrib:
            place = parent.index(element)
            for child in reversed(list(element)):
                parent.insert(place, child)
            parent.remove(element)
    inner = "".join(etree.tostring(child, encoding="unicode") for child in root)
    return re.sub(r' xmlns(?::xlink)?="[^"]*"', "", inner)


def _shorter(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")
