"""A gate that cannot judge does not let pass; a suite that cannot be used is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from loaders.check import check_suites
from loaders.contracts.model import load_contracts
from loaders.postgres.database import Role, connect
from loaders.quality import EXPECTATIONS_DIR, SuiteError, get_suite, read_suite
from loaders.sample import generate
from loaders.stages.gate import ensure_raw_tables, gate_intake, gate_release, write_rule_results
from loaders.stages.land import land
from loaders.stages.load import load
from tests.conftest import Warehouse

MONTH = "2025-07"


def test_a_rule_that_did_not_run_holds_the_batch(warehouse: Warehouse) -> None:
    """Without geography the unit rule raises: the batch is held, with the rule's name."""
    with connect(Role.LOADER) as connection:
        ensure_raw_tables(connection, [d for c in load_contracts() for d in c.datasets])
    generate([MONTH], 0.005, 42, warehouse.inbox, None)
    batch_id = land("housing", "temporary_houses", MONTH).batch_id or ""
    assert load(batch_id).status == "loaded"
    result = gate_intake(batch_id)
    assert result.status == "held"
    assert "rule houses.unit_valid_on_date did not run" in (result.reason or "")


def test_fewer_results_than_rules_fail(warehouse: Warehouse) -> None:
    suite = get_suite("intake", "housing__temporary_houses")
    with (
        connect(Role.LOADER) as connection,
        pytest.raises(AssertionError, match="0 of 6 rules reported"),
    ):
        write_rule_results(connection, "batch", "b", suite, [], "run", uuid4())


def test_a_candidate_that_is_not_there_cannot_pass(warehouse: Warehouse) -> None:
    with pytest.raises(LookupError, match="build it first"):
        gate_release("2025-07-0123456789ab")


def _suite() -> dict[str, Any]:
    path = EXPECTATIONS_DIR / "intake" / "housing__temporary_houses.json"
    return json.loads(path.read_text("utf-8"))


BROKEN = {
    "no owner": (lambda e: e["meta"].pop("owner"), "meta.owner"),
    "no sentence": (lambda e: e["meta"].update(description_vi=""), "meta.description_vi"),
    "no severity": (lambda e: e.pop("severity"), "severity is critical, warning or info"),
    "unknown dimension": (lambda e: e["meta"].update(dimension="beauty"), "meta.dimension"),
    "unknown key": (lambda e: e.update(colour="red"), "unknown keys ['colour']"),
    "row rule without column": (lambda e: e["meta"].pop("column"), "names its column"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_named(case: str, tmp_path: Path) -> None:
    edit, reason = BROKEN[case]
    document = _suite()
    edit(document["expectations"][0])
    path = tmp_path / "housing__temporary_houses.json"
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(SuiteError) as caught:
        read_suite(path)
    assert "housing__temporary_houses.json: expectation 1" in str(caught.value)
    assert reason in str(caught.value)


def test_a_dataset_without_a_suite_and_a_doubled_rule_are_found(tmp_path: Path) -> None:
    (tmp_path / "intake").mkdir()
    (tmp_path / "release").mkdir()
    document = _suite()
    document["expectations"].append(document["expectations"][0])
    path = tmp_path / "intake" / "housing__temporary_houses.json"
    path.write_text(json.dumps(document), "utf-8")
    findings = check_suites(tmp_path)
    assert "expectations/intake/health__staff.json: missing" in findings
    assert any("stands twice" in finding for finding in findings)
