"""The marts' public interface: what breaks a reader needs a version, and somebody reads each."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from loaders.check import check_generated
from loaders.contracts import interface
from loaders.contracts.interface import (
    ADDED_BY_PUBLISHING,
    DOCS,
    INTERFACE,
    MODELS,
    changes,
    interface_files,
    interface_findings,
    reference_of,
    tables_of,
)
from loaders.publication import card, checksum
from loaders.settings import PROJECT_ROOT

EXPOSURES = PROJECT_ROOT / "dbt_project/models/marts/_marts__exposures.yml"
COLUMN = "      - {name: legal_act, data_type: text, description: \"{{ doc('legal_act') }}\"}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the models and of the committed description."""
    for name in (MODELS, DOCS, INTERFACE):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT_ROOT / name, tmp_path / name)
    return tmp_path


def edit(project: Path, old: str, new: str) -> None:
    text = (project / MODELS).read_text(encoding="utf-8")
    assert old in text
    (project / MODELS).write_text(text.replace(old, new), encoding="utf-8")


def test_the_committed_description_is_that_of_the_models() -> None:
    assert interface_findings(PROJECT_ROOT) == []
    files = interface_files(PROJECT_ROOT)
    assert sorted(path.name for path in files) == ["marts.md", "marts_interface.yaml"]
    for path, content in files.items():
        assert path.read_text(encoding="utf-8") == content


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (COLUMN, "", "dim_unit.legal_act is gone"),
        (COLUMN, COLUMN.replace("name: legal_act", "name: act"), "dim_unit.legal_act is gone"),
        (COLUMN, COLUMN.replace("text", "date"), "dim_unit.legal_act is date instead of text"),
        ("columns: [target_id]", "columns: [kpi_id]", "dim_target has another key"),
        ("- name: scorecard", "- name: score_card", "scorecard is gone"),
    ],
)
def test_what_breaks_a_reader_needs_another_major_version(
    project: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, what: str
) -> None:
    edit(project, old, new)
    needed = f"{INTERFACE}: {what}: breaks readers: needs version 2.0"
    assert needed in interface_findings(project)
    monkeypatch.setattr(interface, "VERSION", "1.1")
    assert needed in interface_findings(project)
    monkeypatch.setattr(interface, "VERSION", "2.0")
    assert interface_findings(project) == []


def test_an_addition_needs_another_minor_version(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(project, COLUMN, COLUMN + COLUMN.replace("legal_act,", "legal_code,"))
    assert interface_findings(project) == [
        f"{INTERFACE}: dim_unit.legal_code is new: needs version 1.1"
    ]
    monkeypatch.setattr(interface, "VERSION", "1.1")
    assert interface_findings(project) == []
    # Announced, and still to be written down.
    path = project / INTERFACE
    assert interface_files(project)[path] != path.read_text(encoding="utf-8")
    path.write_text(interface_files(project)[path], encoding="utf-8")
    assert interface_findings(project) == []


def test_a_version_without_a_change_and_a_step_back_are_named(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interface, "VERSION", "1.1")
    assert interface_findings(project) == [
        f"{INTERFACE}: version: 1.1 announces a change, but there is none"
    ]
    monkeypatch.setattr(interface, "VERSION", "0.9")
    assert interface_findings(project) == [f"{INTERFACE}: version: 0.9 is older than 1.0"]


@pytest.mark.parametrize("text", ["version: 1.0", "tables: [", "version: '1'\ntables: {}", ""])
def test_a_description_that_cannot_be_read_is_named(project: Path, text: str) -> None:
    (project / INTERFACE).write_text(text, encoding="utf-8")
    (finding,) = interface_findings(project)
    assert finding.startswith(f"{INTERFACE}: (file): cannot be read")


def test_a_description_that_is_not_regenerated_is_found(tmp_path: Path) -> None:
    shutil.copytree(PROJECT_ROOT / "dbt_project", tmp_path / "dbt_project")
    shutil.copytree(PROJECT_ROOT / "docs", tmp_path / "docs")
    edit(tmp_path, COLUMN, "")
    found = [
        f"docs/{name}: (file): not up to date; run `nq42 contracts derive`"
        for name in ("marts_interface.yaml", "marts.md")
    ]
    assert check_generated(tmp_path) == found
    (tmp_path / INTERFACE).unlink()
    assert check_generated(tmp_path) == found


def test_new_and_lost_tables_are_told_apart() -> None:
    old: dict[str, Any] = {"a": {"columns": {"x": "text"}, "key": ["x"]}}
    assert changes(old, {}) == (["a is gone"], [])
    assert changes({}, old) == ([], ["a is new"])
    assert changes(old, old) == ([], [])


def test_references_are_to_keys_of_dimensions() -> None:
    tables = tables_of(PROJECT_ROOT)
    found = {
        (table, column): target
        for table, of in tables.items()
        for column, target in of["references"].items()
    }
    assert len(found) > 15
    for target in found.values():
        dimension, _, key = target.partition(".")
        assert tables[dimension]["key"] == [key]
    assert reference_of("dim_kpi", "kpi_id") is None
    assert reference_of("fct_data_quality", "period") is None
    assert reference_of("dim_unit", "parent_unit_id") == ("dim_unit", "unit_id")


def test_every_column_that_publishing_adds_has_its_meaning_in_both_languages() -> None:
    for name, comments in {card.CARD: card.COMMENTS, checksum.CHECKSUM: checksum.COMMENTS}.items():
        assert list(comments) == list(ADDED_BY_PUBLISHING[name][0])
        assert all(" / " in text for text in comments.values())


# --- who reads them ------------------------------------------------------------------------------


def exposures() -> dict[str, set[str]]:
    """Exposure → marts that it names."""
    document = yaml.safe_load(EXPOSURES.read_text(encoding="utf-8"))
    return {
        exposure["name"]: {
            re.fullmatch(r"ref\('(\w+)'\)", name).group(1)  # type: ignore[union-attr]
            for name in exposure["depends_on"]
        }
        for exposure in document["exposures"]
        if exposure["owner"]["name"] and " / " in exposure["label"]
    }


def unread(named: dict[str, set[str]]) -> set[str]:
    models = yaml.safe_load((PROJECT_ROOT / MODELS).read_text(encoding="utf-8"))["models"]
    return {model["name"] for model in models} - set().union(*named.values())


def test_every_mart_is_read_by_somebody() -> None:
    named = exposures()
    assert len(named) == EXPOSURES.read_text(encoding="utf-8").count("- name: ") == 7
    assert unread(named) == set()
    # The guard can fail.
    without = {name: marts - {"dim_task"} for name, marts in named.items()}
    assert unread(without) == {"dim_task"}


def test_the_month_report_reads_what_its_exposure_names() -> None:
    code = "".join(
        path.read_text(encoding="utf-8")
        for path in sorted((PROJECT_ROOT / "loaders/report").glob("*.py"))
    )
    read = set(re.findall(r"\{marts\}\.(\w+)", code))
    assert "fct_kpi_value" in read and read <= exposures()["month_report"]
