"""A dashboard as Superset imports it: where its charts stand, and its native filters."""

from __future__ import annotations

from typing import Any
from uuid import uuid5

from loaders.bi.model import NAMESPACE, VERSION, Chart, Dashboard, Filter, identity

GRID_COLUMNS = 12


def document(dashboard: Dashboard) -> dict[str, Any]:
    """The content of its file.

    Raises:
        ValueError: a row of charts is wider than the grid.
    """
    return {
        "dashboard_title": dashboard.title,
        "description": dashboard.description,
        "css": "",
        "slug": dashboard.name,
        "certified_by": "",
        "certification_details": "",
        "published": True,
        "uuid": identity("dashboard", dashboard.name),
        "position": _position(dashboard),
        "metadata": {
            "native_filter_configuration": [_filter(dashboard, each) for each in dashboard.filters],
            "chart_configuration": {},
            "global_chart_configuration": {
                "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
                "chartsInScope": [],
            },
            "cross_filters_enabled": False,
            "color_scheme": "nq42",
            "label_colors": dict(dashboard.colours),
            "shared_label_colors": [],
            "map_label_colors": {},
            "color_scheme_domain": [],
            "default_filters": "{}",
            "expanded_slices": {},
            "refresh_frequency": 0,
            "timed_refresh_immune_slices": [],
        },
        "version": VERSION,
    }


def _position(dashboard: Dashboard) -> dict[str, Any]:
    names = [f"ROW-{number}" for number in range(1, len(dashboard.rows) + 1)]
    found: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": dashboard.title}},
        "GRID_ID": {
            "type": "GRID",
            "id": "GRID_ID",
            "parents": ["ROOT_ID"],
            "children": names,
        },
    }
    for name, row in zip(names, dashboard.rows, strict=True):
        if sum(chart.width for chart in row) > GRID_COLUMNS:
            raise ValueError(f"{dashboard.name}: {name} is wider than {GRID_COLUMNS} columns")
        found[name] = {
            "type": "ROW",
            "id": name,
            "parents": ["ROOT_ID", "GRID_ID"],
            "children": [f"CHART-{chart.name}" for chart in row],
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
        for chart in row:
            found[f"CHART-{chart.name}"] = {
                "type": "CHART",
                "id": f"CHART-{chart.name}",
                "parents": ["ROOT_ID", "GRID_ID", name],
                "children": [],
                "meta": {
                    "chartId": _number(dashboard, chart),
                    "height": chart.height,
                    "width": chart.width,
                    "sliceName": chart.title,
                    "uuid": chart.uuid,
                },
            }
    return found


def _number(dashboard: Dashboard, chart: Chart) -> int:
    """Number of a chart inside this file; Superset replaces it by its own."""
    return dashboard.charts.index(chart) + 1


def _filter_id(dashboard: Dashboard, name: str) -> str:
    return f"NATIVE_FILTER-{uuid5(NAMESPACE, f'{dashboard.name}:{name}').hex[:10]}"


def _filter(dashboard: Dashboard, each: Filter) -> dict[str, Any]:
    mask: dict[str, Any] = {"extraFormData": {}, "filterState": {}, "ownState": {}}
    if each.default is not None:
        asked = {"col": each.column, "op": "IN", "val": [each.default]}
        mask = {
            "extraFormData": {"filters": [asked]},
            "filterState": {"value": [each.default], "label": each.default},
            "ownState": {},
        }
    return {
        "id": _filter_id(dashboard, each.name),
        "name": each.title,
        "type": "NATIVE_FILTER",
        "filterType": "filter_select",
        "description": "",
        "targets": [{"datasetUuid": each.dataset.uuid, "column": {"name": each.column}}],
        "defaultDataMask": mask,
        "controlValues": {
            "enableEmptyFilter": True,
            "defaultToFirstItem": each.default is None,
            "multiSelect": False,
            "searchAllOptions": False,
            "inverseSelection": False,
            "sortAscending": not each.newest,
        },
        # Without it the first value would be shown, and not applied.
        "requiredFirst": each.default is None,
        "cascadeParentIds": [_filter_id(dashboard, name) for name in each.depends_on],
        "scope": {
            "rootPath": ["ROOT_ID"],
            "excluded": [
                _number(dashboard, chart)
                for chart in dashboard.charts
                if each.name in chart.ignores
            ],
        },
        "chartsInScope": [],
        "tabsInScope": [],
    }
