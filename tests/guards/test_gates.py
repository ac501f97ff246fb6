"""A gate that cannot judge does not let pass; a suite that cannot be used is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from loaders.check import check_breaks, check_examples, check_suites
from loaders.contracts.model import load_contracts
from loaders.postgres.database import Role, connect
from loaders.quality.suites import EXPECTATIONS_DIR, SuiteError, get_suite, read_suite
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
        pytest.raises(AssertionError, match=f"0 of {len(suite.rules)} rules reported"),
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
    "history with SQL": (
        lambda e: (
            e["kwargs"].update(like_before={"measure": "rows"}),
            e["kwargs"].pop("rows_where"),
            e["kwargs"].update(unexpected_rows_query="SELECT 1 FROM {batch}"),
        ),
        "'like_before' stands alone",
    ),
    "condition with SQL": (
        lambda e: e["kwargs"].update(unexpected_rows_query="SELECT 1 FROM {batch}"),
        "'rows_where' stands alone",
    ),
    "condition of a dataset": (lambda e: e["meta"].update(kind="dataset"), "of kind row"),
    "history of a row": (
        lambda e: e.update(kwargs={"like_before": {"measure": "rows"}}),
        "of kind dataset",
    ),
    "unknown measure": (
        lambda e: (
            e.update(kwargs={"like_before": {"measure": "beauty"}}),
            e["meta"].update(kind="dataset"),
        ),
        "like_before.measure",
    ),
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
    assert "housing__temporary_houses.json: expectation 1 (houses." in str(caught.value)
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


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Suites and examples of one dataset and one mart, in order."""
    folders = {"expectations/intake": "rules", "expectations/release": "rules_release"}
    for (folder, examples), name in zip(
        folders.items(), ("housing__temporary_houses", "release_note"), strict=True
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "tests/guards" / examples).mkdir(parents=True)
        for path in (f"{folder}/{name}.json", f"tests/guards/{examples}/{name}.yaml"):
            (tmp_path / path).write_bytes((EXPECTATIONS_DIR.parent / path).read_bytes())
    assert check_examples(tmp_path / "expectations", tmp_path) == []
    return tmp_path


HOUSES = "tests/guards/rules/housing__temporary_houses.yaml"
NOTE = "tests/guards/rules_release/release_note.yaml"


@pytest.mark.parametrize(
    ("file", "before", "after", "finding"),
    [
        (
            NOTE,
            "release_note.one_row:",
            "release_note.two_rows:",
            "fires.release_note.one_row",
        ),
        (NOTE, "release_note.one_row:", "release_note.two_rows:", "two_rows: no such rule"),
        (NOTE, "\n  - {}", " []", "release_note.yaml: fires.release_note.one_row: missing"),
        (HOUSES, "fires:", "fired:", "temporary_houses.yaml: no 'fires'"),
        (HOUSES, "row: {", "row: {{", "temporary_houses.yaml: not YAML"),
    ],
)
def test_a_rule_that_nothing_makes_fire_is_found(
    project: Path, file: str, before: str, after: str, finding: str
) -> None:
    path = project / file
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")
    findings = check_examples(project / "expectations", project)
    assert any(finding in found for found in findings), findings


def test_a_suite_without_examples_and_examples_without_a_suite_are_found(project: Path) -> None:
    (project / NOTE).rename((project / NOTE).with_name("other.yaml"))
    findings = check_examples(project / "expectations", project)
    assert findings[0].startswith(f"{NOTE}: missing")
    assert findings[1].endswith("other.yaml: no such suite in expectations/release")


def test_an_installation_without_tests_has_no_examples_to_check(project: Path) -> None:
    (project / "tests").rename(project / "elsewhere")
    assert check_examples(project / "expectations", project) == []


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("- {from: 2025-13, reason_vi: a, reason_en: b, origin: c}", "should match pattern"),
        ('- {from: "2025-06", reason_vi: Thêm Kon Tum}', "reason_en"),
        (
            '- {from: "2025-06", datasets: [health.beds], reason_vi: Thêm Kon Tum,'
            " reason_en: More communes, origin: Law 1}",
            "from 2025-06: health.beds: no such source or dataset",
        ),
    ],
)
def test_a_break_that_says_nothing_is_found(tmp_path: Path, text: str, finding: str) -> None:
    path = tmp_path / "breaks.yaml"
    path.write_text(text, "utf-8")
    findings = check_breaks(path)
    assert len(findings) == 1
    assert findings[0].startswith("expectations/breaks.yaml: ")
    assert finding in findings[0]
