"""The dashboards as code: the files follow from the program, and say what they must."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from loaders.bi import bundle
from loaders.bi.bundle import DASHBOARDS, DATASETS
from loaders.bi.dashboards import document
from loaders.bi.datasets import RELEASE
from loaders.bi.model import Chart, Query, count, identity
from loaders.bi.parts import EVERY, first_kpi
from loaders.bi.texts import quoted, spoken
from loaders.settings import PROJECT_ROOT

CHARTS = [chart for dashboard in DASHBOARDS for chart in dashboard.charts]
ASSETS = PROJECT_ROOT / bundle.FOLDER


def read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_the_files_are_up_to_date() -> None:
    assert bundle.stale_files() == []


@pytest.mark.parametrize("damage", ["changed", "missing", "left"])
def test_files_that_are_not_are_named(tmp_path: Path, damage: str) -> None:
    shutil.copytree(ASSETS, tmp_path / bundle.FOLDER)
    file = tmp_path / bundle.FOLDER / "charts" / f"{CHARTS[0].name}.yaml"
    if damage == "changed":
        file.write_text(file.read_text(encoding="utf-8") + "x: 1\n", encoding="utf-8")
    elif damage == "missing":
        file.unlink()
    else:
        file = file.with_name("other.yaml")
        file.write_text("x: 1\n", encoding="utf-8")
    (finding,) = bundle.stale_files(tmp_path)
    assert finding.startswith(f"{file.relative_to(tmp_path)}: (file): ")


def test_an_installation_without_the_folder_has_nothing_to_check(tmp_path: Path) -> None:
    assert bundle.stale_files(tmp_path) == []
    (tmp_path / "docker").mkdir()
    assert len(bundle.stale_files(tmp_path)) == len(bundle.bundle_files(tmp_path))


def test_every_id_is_of_one_thing_and_stays() -> None:
    found = Counter(read(path).get("uuid") for path in ASSETS.rglob("*.yaml"))
    del found[None]  # the file about the bundle
    assert set(found.values()) == {1}
    assert identity("dataset", "nq42_release") == "1df014e8-79e9-5e08-ba06-ccb7b776fc15"


def test_no_password_and_no_other_role() -> None:
    document = read(ASSETS / "databases" / "nq42.yaml")
    assert document["sqlalchemy_uri"] == "postgresql+psycopg2://nq42_bi@127.0.0.1/nq42"
    assert not document["allow_dml"]


def test_datasets_read_marts_only() -> None:
    for dataset in DATASETS:
        schemas = {
            word.split(".")[0].strip("(")
            for word in dataset.sql.split()
            if word.startswith(
                ("audit.", "publication.", "quarantine.", "kpi.", "raw.", "reference.", "stage.")
            )
        }
        assert not schemas
        assert "marts." in dataset.sql


def test_every_chart_asks_only_for_columns_that_are_there() -> None:
    for chart in CHARTS:
        known = {column.name for column in chart.dataset.columns}
        assert set(chart.query.columns) <= known, chart.name
        context = json.loads(chart.to_dict()["query_context"])
        assert context["queries"], chart.name


def test_titles_are_vietnamese_and_english() -> None:
    titles = [d.title for d in DASHBOARDS] + [c.title for d in DATASETS for c in d.columns]
    titles += [each.title for dashboard in DASHBOARDS for each in dashboard.filters]
    titles += [
        f"{chart.title} / {chart.params['subtitle']}" if "subtitle" in chart.params else chart.title
        for chart in CHARTS
    ]
    assert [title for title in titles if " / " not in title] == []


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda d: d.name)
def test_every_dashboard_shows_the_release_and_keeps_one_label(dashboard: Any) -> None:
    assert [c.dataset for c in dashboard.rows[0]] == [RELEASE]
    (label,) = (each for each in dashboard.filters if each.column == "data_label")
    made = document(dashboard)
    filters = {f["name"]: f for f in made["metadata"]["native_filter_configuration"]}
    found = filters[label.title]
    assert not found["controlValues"]["multiSelect"]
    assert found["controlValues"]["enableEmptyFilter"]
    assert found["controlValues"]["defaultToFirstItem"] and found["requiredFirst"]
    ruled = [c for c in dashboard.charts if label.name not in c.ignores]
    assert [c.name for c in dashboard.charts if c not in ruled] == [dashboard.rows[0][0].name]
    assert all("data_label" in {column.name for column in c.dataset.columns} for c in ruled)


def test_filters_are_about_columns_of_their_charts() -> None:
    for dashboard in DASHBOARDS:
        for each in dashboard.filters:
            for chart in dashboard.charts:
                if each.name not in chart.ignores:
                    chart.dataset.column(each.column)


def test_no_colour_stands_alone() -> None:
    """Behind the first letters of a text, and of each text in its own colour."""
    for chart in CHARTS:
        rules = chart.params.get("conditional_formatting", [])
        assert all(rule["operator"] == "begins with" and rule["targetValue"] for rule in rules)


def test_no_map_asks_a_server() -> None:
    maps = [chart for chart in CHARTS if chart.viz_type.startswith("deck_")]
    assert maps
    assert [chart.params["mapbox_style"] for chart in maps] == [""] * len(maps)


def test_a_row_that_does_not_fit_is_refused() -> None:
    wide = Chart("wide", "Rộng / Wide", "table", RELEASE, {}, Query(), width=13, ignores=EVERY)
    with pytest.raises(ValueError, match="wider than 12"):
        document(dataclasses.replace(DASHBOARDS[0], rows=[[wide]]))


def test_texts_cannot_end_the_text_they_are_in() -> None:
    assert quoted("it's") == "'it''s'"
    assert spoken("c", {"a": "it's"}) == "case c when 'a' then 'it''s' else c end"
    assert count("n", "x")["sqlExpression"] == "count(*) filter (where x)"


def test_the_first_kpi_is_one_of_the_register() -> None:
    assert " / " in first_kpi()
