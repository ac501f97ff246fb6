"""Lineage from dbt's manifest: a change concerns the KPIs that use it, and no others."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loaders.publication.lineage import Lineage, all_parts, read_lineage

SETTINGS = {"threshold": 5}


def model(name: str, *parents: str, folder: str = "x", macros: tuple[str, ...] = ()) -> Any:
    return {
        "unique_id": f"model.nq42.{name}",
        "resource_type": "model",
        "name": name,
        "fqn": ["nq42", folder, name],
        "raw_code": f"select {name}",
        "config": {"meta": {}},
        "depends_on": {"nodes": list(parents), "macros": [f"macro.nq42.{m}" for m in macros]},
    }


def kpi_model(kpi_id: str, *parents: str, inputs: list[str]) -> Any:
    node = model(f"kpi__{kpi_id}", *parents, folder="kpi", macros=("kpi_final",))
    node["config"]["meta"] = {"kpi_id": kpi_id, "kpi": {"form": "rate", "inputs": inputs}}
    return node


def seed(name: str) -> Any:
    return {
        "unique_id": f"seed.nq42.{name}",
        "resource_type": "seed",
        "name": name,
        "fqn": ["nq42", name],
        "checksum": {"checksum": f"sum of {name}"},
        "original_file_path": f"seeds/{name}.csv",
        "depends_on": {"macros": []},
    }


def macro(name: str, *uses: str, text: str = "") -> Any:
    return {
        "name": name,
        "package_name": "nq42",
        "macro_sql": f"{name} {text}",
        "depends_on": {"macros": [f"macro.nq42.{use}" for use in uses]},
    }


def m(name: str) -> str:
    return f"model.nq42.{name}"


def manifest() -> dict[str, Any]:
    """Pupils by people, beds by people; a printed figure of beds; each dataset in one model."""
    datasets = ("school__pupils", "health__beds", "office__people", "office__printed")
    sources = {
        f"source.nq42.{name}": {"schema": "raw", "identifier": name} for name in datasets
    } | {"source.nq42.audit": {"schema": "audit", "identifier": "receipt"}}
    programme, printed, targets = (
        f"seed.nq42.{name}" for name in ("programme_kpi", "delivered_series", "programme_target")
    )
    nodes = [
        *(model(f"stg_{name}", f"source.nq42.{name}") for name in datasets),
        model("units", *(m(f"stg_{name}") for name in datasets[:3]), macros=("kpi_inputs",)),
        kpi_model("pupils", m("stg_school__pupils"), m("units"), inputs=list(datasets[0:3:2])),
        kpi_model("beds", m("stg_health__beds"), m("units"), inputs=["health__beds"]),
        model("kpi__printed", m("stg_office__printed"), programme, printed, folder="kpi"),
        model("all_values", m("kpi__pupils"), m("kpi__beds"), m("kpi__printed"), programme,
              "seed.nq42.geo_unit", "source.nq42.audit", macros=("computed_kpis", "hide")),
        model("fct_kpi_value", m("all_values")),
        model("fct_kpi_verdict", m("fct_kpi_value"), targets, programme),
        *map(seed, ("programme_kpi", "delivered_series", "programme_target", "geo_unit")),
    ]  # fmt: skip
    macros = [
        macro("kpi_final", "computed_kpis", "shared"),
        macro("shared"),
        macro("kpi_inputs", "computed_kpis"),
        macro("computed_kpis", "kpis_core"),
        macro("kpis_core"),
        macro("hide", text="{{ build_setting('threshold') }} {{ var('of_the_build') }}"),
    ]
    return {
        "nodes": {node["unique_id"]: node for node in nodes},
        "sources": sources,
        "macros": {f"macro.nq42.{one['name']}": one for one in macros},
    }


SEEDS = {
    "programme_kpi": "kpi_id,scale\npupils,100\nbeds,10000\nliteracy,100\n",
    "delivered_series": "kpi_id,area\nbeds,51\n",
    "programme_target": "target_id,kpi_id,value\nt1,beds,32\nt2,beds,35\n",
    "geo_unit": "unit_code\n21025\n",
}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Lineage]:
    (tmp_path / "seeds").mkdir()

    def read_with(
        edit: Callable[[dict[str, Any]], None] = lambda _: None,
        seeds: dict[str, str] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> Lineage:
        document = copy.deepcopy(manifest())
        edit(document)
        (tmp_path / "manifest.json").write_text(json.dumps(document))
        for name, text in (SEEDS | (seeds or {})).items():
            (tmp_path / "seeds" / f"{name}.csv").write_text(text)
        return read_lineage(tmp_path / "manifest.json", tmp_path, settings or SETTINGS)

    return read_with


def definitions(lineage: Lineage) -> dict[tuple[str, str], str]:
    return {
        (kpi_id, kind): of["definition"]
        for kpi_id, kinds in lineage["kpis"].items()
        for kind, of in kinds.items()
    }


def test_inputs_are_what_the_models_read_and_not_what_the_others_read(
    read: Callable[..., Lineage],
) -> None:
    kpis = read()["kpis"]
    assert {kpi_id: sorted(kinds) for kpi_id, kinds in kpis.items()} == {
        "pupils": ["computed", "verdict"],
        "beds": ["computed", "delivered", "verdict"],
    }
    assert kpis["pupils"]["computed"]["inputs"] == ["office__people", "school__pupils"]
    assert kpis["beds"]["computed"]["inputs"] == ["health__beds"]
    assert kpis["beds"]["delivered"]["inputs"] == ["office__printed"]
    assert kpis["pupils"]["computed"]["has_own_denominator"]
    assert not kpis["beds"]["computed"]["has_own_denominator"]


def test_parts_are_what_a_kpi_uses(read: Callable[..., Lineage]) -> None:
    lineage = read()
    assert set(all_parts(lineage, "beds", "computed") or {}) == {
        *("model kpi__beds", "model stg_health__beds", "model units", "model all_values"),
        *("model fct_kpi_value", "macro kpi_final", "macro shared", "macro hide"),
        *("seed programme_kpi, beds", "seed geo_unit", "register, beds", "setting threshold"),
    }
    assert set(all_parts(lineage, "beds", "verdict") or {}) == {
        *("model fct_kpi_verdict", "seed programme_kpi, beds", "seed programme_target, beds"),
    }
    assert "model fct_kpi_value" in lineage["common"]["figures"]
    assert all_parts(lineage, "literacy", "computed") is None


def changed(before: Lineage, after: Lineage) -> set[tuple[str, str]]:
    old, new = definitions(before), definitions(after)
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


FIGURES = {("pupils", "computed"), ("beds", "computed"), ("beds", "delivered")}
COMPUTED = {("pupils", "computed"), ("beds", "computed")}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (("nodes", m("kpi__beds"), "raw_code"), {("beds", "computed")}),
        (("nodes", m("stg_school__pupils"), "raw_code"), {("pupils", "computed")}),
        (("nodes", m("units"), "raw_code"), COMPUTED),
        (("nodes", m("all_values"), "raw_code"), FIGURES),
        (("macros", "macro.nq42.shared", "macro_sql"), COMPUTED),
        # The list of KPIs is read by their own lines only.
        (("macros", "macro.nq42.kpis_core", "macro_sql"), set()),
        (("macros", "macro.nq42.kpi_inputs", "macro_sql"), set()),
        (
            ("nodes", m("fct_kpi_verdict"), "raw_code"),
            {("pupils", "verdict"), ("beds", "verdict")},
        ),
    ],
)
def test_a_change_of_code_concerns_those_who_use_it(
    read: Callable[..., Lineage], where: tuple[str, str, str], expected: set[tuple[str, str]]
) -> None:
    group, name, key = where

    def edit(document: dict[str, Any]) -> None:
        document[group][name][key] += " changed"

    assert changed(read(), read(edit)) == expected


def test_a_line_of_the_register_or_of_a_seed_concerns_its_kpi(
    read: Callable[..., Lineage],
) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["nodes"][m("kpi__beds")]["config"]["meta"]["kpi"]["form"] = "count"

    before = read()
    assert changed(before, read(edit)) == {("beds", "computed")}
    scale = {"programme_kpi": SEEDS["programme_kpi"].replace("10000", "1000")}
    assert changed(before, read(seeds=scale)) == {
        *(("beds", "computed"), ("beds", "delivered"), ("beds", "verdict")),
    }
    target = {"programme_target": SEEDS["programme_target"].replace("35", "36")}
    assert changed(before, read(seeds=target)) == {("beds", "verdict")}
    assert changed(before, read(settings={"threshold": 6})) == FIGURES
