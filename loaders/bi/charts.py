"""The kinds of chart that the dashboards use: controls for the browser, the query for the API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from loaders.bi.model import MAX_ROWS, Chart, Dataset, Query, condition

#: Vietnamese separators come from the configuration; no zeros behind the comma.
NUMBER = ",.2~f"
WHOLE = ",d"
DATE = "%d/%m/%Y"
COLOURS = "nq42"
#: Where the map looks at first: the middle of the province of today.
VIEWPORT = {"latitude": 14.75, "longitude": 108.35, "zoom": 7.6, "bearing": 0, "pitch": 0}
#: First and last step of the map's palette, see superset_config.py.
MAP_COLOURS = "nq42_sequence"


def _own_filters(where: str) -> list[dict[str, Any]]:
    return [condition(where)] if where else []


def big_number(
    name: str,
    title: str,
    dataset: Dataset,
    metric: Mapping[str, Any],
    *,
    below: str = "",
    **layout: Any,
) -> Chart:
    """One number, large, with a line of words below it."""
    params = {
        "metric": dict(metric),
        "adhoc_filters": [],
        "header_font_size": 0.4,
        "subtitle": below,
        "subtitle_font_size": 0.15,
        "y_axis_format": WHOLE,
    }
    query = Query(metrics=(metric,))
    return Chart(name, title, "big_number_total", dataset, params, query, **layout)


def table(
    name: str,
    title: str,
    dataset: Dataset,
    columns: Sequence[str],
    *,
    order: Sequence[tuple[str, bool]],
    where: str = "",
    tones: Mapping[str, Mapping[str, str]] | None = None,
    widths: Mapping[str, int] | None = None,
    bars: Sequence[str] = (),
    page: int = 0,
    search: bool = False,
    limit: int = MAX_ROWS,
    **layout: Any,
) -> Chart:
    """Rows as they are.

    Args:
        order: column and whether ascending.
        tones: by column, the start of a text and the colour behind it: colour never stands alone.
        widths: columns' least width in pixels.
        bars: columns of numbers that get a bar in their cells.
    """
    formats: dict[str, dict[str, Any]] = {}
    for column in columns:
        kind = dataset.column(column).kind
        entry: dict[str, Any] = {"showCellBars": column in bars}
        if kind == "NUMERIC":
            entry |= {"d3NumberFormat": NUMBER, "horizontalAlign": "right"}
        if kind == "DATE":
            entry["d3TimeFormat"] = DATE
        if widths and column in widths:
            entry["columnWidth"] = widths[column]
        formats[column] = entry
    params = {
        "query_mode": "raw",
        "all_columns": list(columns),
        "order_by_cols": [json.dumps([column, up]) for column, up in order],
        "adhoc_filters": _own_filters(where),
        "row_limit": limit,
        "server_page_length": page or 10,
        "page_length": page,
        "include_search": search,
        "table_timestamp_format": DATE,
        "show_cell_bars": bool(bars),
        "color_pn": False,
        "allow_render_html": False,
        "column_config": formats,
        "conditional_formatting": [
            {
                "column": column,
                "operator": "begins with",
                "targetValue": start,
                "colorScheme": colour,
                "objectFormatting": "BACKGROUND_COLOR",
                "useGradient": False,
            }
            for column, starts in (tones or {}).items()
            for start, colour in starts.items()
        ],
    }
    query = Query(columns=tuple(columns), order=tuple(order), where=where, limit=limit)
    return Chart(name, title, "table", dataset, params, query, **layout)


def totals(
    name: str,
    title: str,
    dataset: Dataset,
    by: Sequence[str],
    metrics: Sequence[Mapping[str, Any]],
    *,
    where: str = "",
    percent: Sequence[str] = (),
    **layout: Any,
) -> Chart:
    """A table of sums, one row per value of `by`; metrics titled in `percent` are shares of 1."""
    params = {
        "query_mode": "aggregate",
        "groupby": list(by),
        "metrics": [dict(metric) for metric in metrics],
        "adhoc_filters": _own_filters(where),
        "row_limit": MAX_ROWS,
        "page_length": 0,
        "include_search": False,
        "show_cell_bars": False,
        "color_pn": False,
        "table_timestamp_format": DATE,
        "column_config": {
            metric["label"]: {
                "d3NumberFormat": ",.1%" if metric["label"] in percent else NUMBER,
                "horizontalAlign": "right",
            }
            for metric in metrics
        },
    }
    query = Query(tuple(by), tuple(metrics), order=((by[0], True),), where=where)
    return Chart(name, title, "table", dataset, params, query, **layout)


def bars(
    name: str,
    title: str,
    dataset: Dataset,
    x: str,
    metrics: Sequence[Mapping[str, Any]],
    *,
    by: Sequence[str] = (),
    where: str = "",
    stacked: bool = False,
    horizontal: bool = False,
    number: str = NUMBER,
    y_title: str = "",
    **layout: Any,
) -> Chart:
    """Bars over the values of a column, side by side or stacked."""
    params = {
        "x_axis": x,
        "x_axis_force_categorical": True,
        "x_axis_sort_asc": True,
        "x_axis_sort": x,
        "metrics": [dict(metric) for metric in metrics],
        "groupby": list(by),
        "adhoc_filters": _own_filters(where),
        "row_limit": MAX_ROWS,
        "order_desc": True,
        "orientation": "horizontal" if horizontal else "vertical",
        "stack": "Stack" if stacked else None,
        "show_value": True,
        "only_total": False,
        # No number where its bar is too short to hold it.
        "percentage_threshold": 4 if stacked else 0,
        "show_legend": bool(by) or len(metrics) > 1,
        "legendType": "scroll",
        "legendOrientation": "top",
        "x_axis_title": "",
        "x_axis_title_margin": 30,
        "y_axis_title": y_title,
        "y_axis_title_margin": 40 if y_title else 15,
        "y_axis_title_position": "Left",
        "y_axis_format": number,
        "xAxisLabelInterval": "0" if horizontal else "auto",
        "rich_tooltip": True,
        "color_scheme": COLOURS,
        "truncateYAxis": False,
        "y_axis_bounds": [None, None],
    }
    query = Query((x, *by), tuple(metrics), order=((x, True),), where=where)
    return Chart(name, title, "echarts_timeseries_bar", dataset, params, query, **layout)


def lines(
    name: str,
    title: str,
    dataset: Dataset,
    x: str,
    metrics: Sequence[Mapping[str, Any]],
    *,
    by: Sequence[str] = (),
    where: str = "",
    **layout: Any,
) -> Chart:
    """Lines over the days on which periods end."""
    params = {
        "x_axis": x,
        "time_grain_sqla": None,
        "x_axis_sort_asc": True,
        "metrics": [dict(metric) for metric in metrics],
        "groupby": list(by),
        "adhoc_filters": _own_filters(where),
        "row_limit": MAX_ROWS,
        "order_desc": True,
        "seriesType": "line",
        "markerEnabled": True,
        "markerSize": 7,
        "show_legend": True,
        "legendType": "scroll",
        "legendOrientation": "top",
        "x_axis_time_format": "%m/%Y",
        "y_axis_format": NUMBER,
        "tooltipTimeFormat": DATE,
        "rich_tooltip": True,
        "show_value": True,
        "truncateYAxis": True,
        "y_axis_bounds": [None, None],
        "color_scheme": COLOURS,
        "zoomable": False,
    }
    query = Query((x, *by), tuple(metrics), order=((x, True),), where=where)
    return Chart(name, title, "echarts_timeseries_line", dataset, params, query, **layout)


def heatmap(
    name: str,
    title: str,
    dataset: Dataset,
    x: str,
    y: str,
    metric: Mapping[str, Any],
    *,
    where: str = "",
    number: str = NUMBER,
    **layout: Any,
) -> Chart:
    """A number for each pair of values, coloured and written."""
    params = {
        "x_axis": x,
        "groupby": y,
        "metric": dict(metric),
        "adhoc_filters": _own_filters(where),
        "row_limit": MAX_ROWS,
        "sort_x_axis": "alpha_asc",
        "sort_y_axis": "alpha_desc",
        "normalize_across": "heatmap",
        "linear_color_scheme": MAP_COLOURS,
        "legend_type": "continuous",
        "show_legend": True,
        "show_percentage": False,
        "show_values": True,
        "normalized": False,
        "left_margin": "auto",
        "bottom_margin": "auto",
        "xscale_interval": 1,
        "yscale_interval": 1,
        "value_bounds": [None, None],
        "y_axis_format": number,
        "x_axis_time_format": DATE,
    }
    query = Query((x, y), (metric,), order=((x, True),), where=where)
    return Chart(name, title, "heatmap_v2", dataset, params, query, **layout)


def polygons(
    name: str,
    title: str,
    dataset: Dataset,
    shape: str,
    label: str,
    metric: Mapping[str, Any],
    *,
    where: str = "",
    **layout: Any,
) -> Chart:
    """Areas on an empty ground: no map server is asked for anything."""
    grey = {"r": 90, "g": 90, "b": 90, "a": 1}
    params = {
        "line_column": shape,
        "line_type": "json",
        "reverse_long_lat": False,
        "metric": dict(metric),
        "point_radius_fixed": {"type": "fix", "value": 0},
        "adhoc_filters": _own_filters(where),
        "row_limit": MAX_ROWS,
        "filter_nulls": True,
        "mapbox_style": "",
        "viewport": VIEWPORT,
        "autozoom": True,
        "color_scheme_type": "linear_palette",
        "fill_color_picker": grey,
        "stroke_color_picker": grey,
        "linear_color_scheme": MAP_COLOURS,
        "filled": True,
        "stroked": True,
        "extruded": False,
        "multiplier": 1,
        "line_width": 1,
        "line_width_unit": "pixels",
        "opacity": 90,
        "num_buckets": "5",
        "legend_position": "bl",
        "legend_format": NUMBER,
        "js_columns": [],
        "tooltip_contents": [
            {"item_type": "column", "column_name": label, "verbose_name": ""},
        ],
    }
    query = Query((shape, label), (metric,), where=where)
    return Chart(name, title, "deck_polygon", dataset, params, query, **layout)
