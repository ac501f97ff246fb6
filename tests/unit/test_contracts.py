"""A contract that cannot be used is refused with file, key and reason."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from loaders.check import check_generated, check_project
from loaders.contracts.derive import raw_table_ddl, table_columns
from loaders.contracts.model import (
    CONTRACTS_DIR,
    ContractError,
    check_contracts,
    get_contract,
    get_dataset,
    load_contracts,
    read_contract,
)
from loaders.register import register_findings
from loaders.settings import PROJECT_ROOT

Edit = Callable[[dict[str, Any]], None]


def _extension(element: dict[str, Any]) -> dict[str, Any]:
    return element["customProperties"][0]["value"]


def _dataset(document: dict[str, Any]) -> dict[str, Any]:
    return document["schema"][0]


def _column(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(p for p in _dataset(document)["properties"] if p["name"] == name)


def _set(element: dict[str, Any], key: str, value: Any) -> None:
    element[key] = value


BROKEN: dict[str, tuple[Edit, str, str]] = {
    "unknown key of the standard": (lambda d: _set(d, "colour", "red"), "colour", "Extra inputs"),
    "unknown key of a dataset": (
        lambda d: _set(_dataset(d), "colour", "red"),
        "schema.health_insurance_members.colour",
        "unknown key",
    ),
    "unknown key of a column": (
        lambda d: _set(_column(d, "valid_to"), "mandatory", True),
        "valid_to.mandatory",
        "unknown key",
    ),
    "a source that is asked once a year": (
        lambda d: _set(_extension(d), "cron", "0 6 15 1 *"),
        "(root).nq42.cron",
        "asked every month, also for yearly lists",
    ),
    "a day that February lacks": (
        lambda d: _set(_extension(d), "cron", "0 6 31 * *"),
        "(root).nq42.cron",
        "a day from 1 to 28",
    ),
    "an unknown frequency": (
        lambda d: _set(_extension(_dataset(d))["schedule"], "frequency", "weekly"),
        "nq42.schedule.frequency",
        "'monthly'",
    ),
    "given up before it is late": (
        lambda d: _set(_extension(_dataset(d))["schedule"], "wait_days", 0),
        "health_insurance_members.nq42.schedule",
        "may not end before",
    ),
    "a wait without end": (
        lambda d: _set(_extension(_dataset(d))["schedule"], "wait_days", 365),
        "nq42.schedule.wait_days",
        "less than or equal to 90",
    ),
    "unknown key of the extension": (
        lambda d: _set(_extension(_dataset(d)), "grain", "x"),
        "nq42.grain",
        "Extra inputs",
    ),
    "unknown reader": (
        lambda d: _set(_extension(_dataset(d))["reader"], "name", "fax"),
        "reader.name",
        "known: csv, json",
    ),
    "option that the reader does not take": (
        lambda d: _set(_extension(_dataset(d))["reader"]["options"], "delimeter", ";"),
        "reader.options.delimeter",
        "csv has no such option; known: delimiter, encoding",
    ),
    "option that the connector needs": (
        lambda d: _set(_extension(_dataset(d))["connector"], "options", {}),
        "connector.options.pattern",
        "local needs this option",
    ),
    "identifier that would be kept": (
        lambda d: _extension(_column(d, "person_key")).pop("privacy"),
        "person_key.privacy",
        "never kept",
    ),
    "pseudonym without a domain": (
        lambda d: _extension(_column(d, "person_key"))["privacy"].pop("domain"),
        "person_key.nq42.privacy",
        "'domain'",
    ),
    "date without a format": (
        lambda d: _extension(_column(d, "valid_to")).pop("format"),
        "valid_to.format",
        "states its format",
    ),
    "pattern that is no expression": (
        lambda d: _set(_column(d, "residence_unit_code")["logicalTypeOptions"], "pattern", "(["),
        "logicalTypeOptions.pattern",
        "unterminated",
    ),
    "unknown classification": (
        lambda d: _set(_column(d, "valid_to"), "classification", "secret"),
        "valid_to.classification",
        "identifier, quasi, sensitive, open",
    ),
    "period column that does not exist": (
        lambda d: _set(_extension(_dataset(d)), "period_column", "ky"),
        "period_column",
        "no column 'ky'",
    ),
    "column of a citizen number that does not exist": (
        lambda d: _set(
            _extension(_column(d, "person_key")), "citizen_number", {"sex_column": "gender"}
        ),
        "person_key.citizen_number",
        "no column 'gender'",
    ),
    "dataset that comes after an unknown one": (
        lambda d: _set(_extension(_dataset(d)), "after", ["facilities"]),
        "health_insurance_members.after",
        "stands above",
    ),
    "physical name of another source": (
        lambda d: _set(_dataset(d), "physicalName", "health__members"),
        "physicalName",
        "must be social_insurance__health_insurance_members",
    ),
    "id that is not the file's name": (lambda d: _set(d, "id", "si"), "id", "must be"),
    "layouts out of order": (
        lambda d: _set(
            _extension(_column(d, "valid_to")),
            "layouts",
            [{"from": "2026-01", "header": "A"}, {"from": "2025-01", "header": "B"}],
        ),
        "valid_to.nq42.layouts",
        "in order",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_contract_is_refused_with_key_and_reason(case: str, tmp_path: Path) -> None:
    edit, key, reason = BROKEN[case]
    document = yaml.safe_load((CONTRACTS_DIR / "social_insurance.yaml").read_text("utf-8"))
    edit(document)
    path = tmp_path / "social_insurance.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    with pytest.raises(ContractError) as caught:
        read_contract(path)
    assert caught.value.file == "social_insurance.yaml"
    assert key in caught.value.key
    assert reason in caught.value.reason


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    text = (CONTRACTS_DIR / "housing.yaml").read_text("utf-8")
    path = tmp_path / "housing.yaml"
    path.write_text(text + "version: 2.0.0\n", "utf-8")
    with pytest.raises(ContractError, match="'version' stands twice"):
        read_contract(path)


def test_every_broken_file_is_reported_not_only_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: DataContract\n", "utf-8")
    (tmp_path / "b.yaml").write_text("[", "utf-8")
    assert {error.file for error in check_contracts(tmp_path)} == {"a.yaml", "b.yaml"}


def test_the_project_s_own_contracts_are_in_order() -> None:
    assert check_project() == []
    sources = [c.source for c in load_contracts()]
    assert sources == sorted(sources)
    # A known dataset has a name of its own, whatever its source.
    names = [dataset.name for contract in load_contracts() for dataset in contract.datasets]
    assert len(names) == len(set(names)) >= 40


def test_an_edited_generated_file_is_found(tmp_path: Path) -> None:
    shutil.copytree(PROJECT_ROOT / "dbt_project", tmp_path / "dbt_project")
    shutil.copytree(PROJECT_ROOT / "docs", tmp_path / "docs")
    assert check_generated(tmp_path) == []
    for name in ("data_dictionary.md", "kpis/doctors_per_10k.md"):
        path = tmp_path / "docs" / name
        path.write_text(path.read_text(encoding="utf-8") + "by hand", encoding="utf-8")
    (tmp_path / "dbt_project/models/staging/health/_health__sources.yml").unlink()
    assert len(check_generated(tmp_path)) == 3


def test_a_computed_kpi_without_model_or_example_is_found(tmp_path: Path) -> None:
    shutil.copytree(PROJECT_ROOT / "dbt_project", tmp_path / "dbt_project")
    assert register_findings(tmp_path) == []
    models = tmp_path / "dbt_project/models/kpi"
    (models / "kpi__nurses_per_10k.sql").unlink()
    (models / "kpi__happiness.sql").touch()
    (models / "kpi__healthy_life_expectancy.sql").touch()
    found = " ".join(register_findings(tmp_path))
    for part in ("computed, but has no model", "no such KPI", "so it is computed", "no worked"):
        assert part in found


def test_unknown_names_say_what_is_known() -> None:
    with pytest.raises(KeyError, match=r"no source 'tax'; known: .*education"):
        get_contract("tax")
    with pytest.raises(KeyError, match="it has: facilities, staff"):
        get_dataset("health", "beds")


def test_names_and_addresses_have_no_column_in_the_warehouse() -> None:
    columns = table_columns(get_dataset("housing", "temporary_houses"))
    assert "full_name" not in columns
    assert "address" not in columns
    assert columns["household_key"] == "uuid"


def test_raw_tables_carry_the_meaning_of_each_column() -> None:
    statements = [s.as_string(None) for s in raw_table_ddl(get_dataset("health", "facilities"))]
    assert "PARTITION BY LIST (_period)" in statements[0]
    assert any("Giường kế hoạch / Beds of the plan" in statement for statement in statements)


def test_a_header_follows_its_period_dated_layouts(tmp_path: Path) -> None:
    document = yaml.safe_load((CONTRACTS_DIR / "social_insurance.yaml").read_text("utf-8"))
    changed = copy.deepcopy(document)
    _extension(_column(changed, "ethnic_group_code"))["layouts"] = [
        {"from": "2025-07", "header": "DAN_TOC"},
        {"from": "2026-01", "header": None},
    ]
    path = tmp_path / "social_insurance.yaml"
    path.write_text(yaml.safe_dump(changed, allow_unicode=True), "utf-8")
    column = read_contract(path).datasets[0].column("ethnic_group_code")
    assert [column.header(month) for month in ("2025-06", "2025-07", "2026-02")] == [
        "MA_DAN_TOC",
        "DAN_TOC",
        None,
    ]
