"""A held batch gets in when a named person answered for everything that holds it, and only then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loaders import audit
from loaders.postgres.database import Role, connect
from loaders.quality import suites
from loaders.quality.suites import EXPECTATIONS_DIR, get_suite
from loaders.stages.approve import ApprovalError, Decision, approve, list_waiting
from loaders.stages.decisions import approvals_of_acceptances
from loaders.stages.gate import gate_intake
from loaders.stages.intake import import_dataset
from loaders.stages.publish import publish
from loaders.stages.records import GateResult
from tests.candidates import make_candidate
from tests.conftest import Warehouse
from tests.integration.members import DATASET, SOURCE, deliver, prepare, row

PERSON, REASON = "Nguyễn Thị Lan", "BHXH tỉnh xác nhận các dòng này thuộc tỉnh khác"
Change = Callable[..., None]


@pytest.fixture(scope="module")
def ready(warehouse: Warehouse) -> Warehouse:
    prepare()
    return warehouse


@pytest.fixture
def add_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Change]:
    """Puts a critical dataset rule into a copy of the suite, which is in force in the test."""
    folder = tmp_path / "expectations"
    shutil.copytree(EXPECTATIONS_DIR, folder)
    monkeypatch.setattr(suites, "EXPECTATIONS_DIR", folder)
    path = folder / "intake" / f"{SOURCE}__{DATASET}.json"
    original = json.loads(path.read_text("utf-8"))

    def add(query: str, version: int = 1) -> None:
        rule = {
            "type": "unexpected_rows_expectation",
            "kwargs": {"unexpected_rows_query": query},
            "severity": "critical",
            "meta": {
                "id": "hi_members.for_test",
                "version": version,
                "kind": "dataset",
                "dimension": "consistency",
                "owner": "nq42",
                "origin": "this test",
                "description_vi": "Cả tệp khác các tháng trước",
                "description_en": "The whole file differs from earlier months",
            },
        }
        document = original | {"expectations": [*original["expectations"], rule]}
        path.write_text(json.dumps(document), "utf-8")
        get_suite.cache_clear()

    yield add
    get_suite.cache_clear()


DIFFERS = "select count(*) as found from {batch} having count(*) > 0"


def take(ready: Warehouse, period: str, good: int, bad: int = 0, **note: Any) -> GateResult:
    """Import a month with so many rows in a known commune and in an unknown one."""
    month = f"{period[5:]}/{period[:4]}"
    rows = [row(n, month=month) for n in range(good)]
    rows += [row(1000 + n, month=month, unit="99999") for n in range(bad)]
    deliver(ready, rows, period, **note)
    result = import_dataset(SOURCE, DATASET, period)
    assert isinstance(result, GateResult), result
    return result


def decide(batch_id: str, **given: Any) -> Decision:
    return approve(batch_id, **{"by": PERSON, "reason": REASON, "account": "lan"} | given)


def last_details(batch_id: str) -> dict[str, Any]:
    with connect(Role.AUDITOR) as connection:
        row = connection.execute(
            "select details from audit.batch_result where batch_id = %s and stage = 'gate'"
            " order by id desc limit 1",
            (batch_id,),
        ).fetchone()
    assert row is not None
    return row[0]


def test_too_many_bad_rows_can_be_answered_for(ready: Warehouse) -> None:
    held = take(ready, "2023-01", good=20, bad=10)
    assert held.status == "held"
    assert gate_intake(held.subject_id).status == "held"  # asking again changes nothing
    (question,) = [q for q in list_waiting() if q.subject_id == held.subject_id]
    assert [f.observed for f in question.findings] == [
        "10 of 30 rows are in quarantine, more than 5.0%"
    ]
    decide(held.subject_id)
    assert held.subject_id not in {q.subject_id for q in list_waiting()}
    accepted = gate_intake(held.subject_id)
    assert (accepted.status, accepted.rows_loaded, accepted.rows_quarantined) == (
        "accepted",
        20,
        10,
    )
    assert f"approved by {PERSON} ({REASON})" in (accepted.reason or "")
    with connect(Role.AUDITOR) as connection:
        ids = connection.execute(
            "select id from audit.approval where subject_id = %s", (held.subject_id,)
        ).fetchall()
        assert ids == [(last_details(held.subject_id)["approval"],)]
        assert audit.verify(connection) == []
    with pytest.raises(ApprovalError, match="not held but accepted"):
        decide(held.subject_id)
    make_candidate("2025-06-c", [{}])
    publish("2025-06-c")
    with connect(Role.AUDITOR) as connection:
        row = connection.execute("select manifest from publication.release").fetchone()
    assert row is not None
    named = [(a["subject_id"], a["decided_by"]) for a in row[0]["approvals"]]
    assert named == [(held.subject_id, PERSON)]


def test_the_approval_is_that_of_the_acceptance_that_the_release_stands_on(
    ready: Warehouse,
) -> None:
    """A batch that was judged again while a candidate waited is another acceptance."""
    held = take(ready, "2023-09", good=20, bad=10)
    decide(held.subject_id)
    assert gate_intake(held.subject_id).status == "accepted"
    with connect(Role.LOADER) as connection:
        audit.record_batch_result(
            connection,
            batch_id=held.subject_id,
            source=SOURCE,
            dataset=DATASET,
            period="2023-09",
            stage="gate",
            status="accepted",
        )
        first, again = (
            result_id
            for (result_id,) in connection.execute(
                "select id from audit.batch_result where batch_id = %s and status = 'accepted'"
                " order by id",
                (held.subject_id,),
            )
        )
        (approval,) = approvals_of_acceptances(connection, [first])
        assert (approval["subject_id"], approval["decided_by"]) == (held.subject_id, PERSON)
        assert approvals_of_acceptances(connection, [again]) == []
        connection.rollback()


def test_a_dataset_rule_can_be_answered_for_in_its_version(
    ready: Warehouse, add_rule: Change
) -> None:
    add_rule(DIFFERS)
    held = take(ready, "2023-02", good=20)
    assert "rule hi_members.for_test: The whole file differs" in (held.reason or "")
    decide(held.subject_id)
    add_rule(DIFFERS, version=2)
    assert gate_intake(held.subject_id).status == "held"
    decide(held.subject_id)
    # The whole import again, as a cleared task does it: the file is read once more.
    assert import_dataset(SOURCE, DATASET, "2023-02").status == "accepted"


def test_another_observed_value_or_another_finding_needs_a_new_approval(
    ready: Warehouse, add_rule: Change
) -> None:
    held = take(ready, "2023-03", good=20, bad=10)
    decide(held.subject_id)
    add_rule(DIFFERS)
    again = gate_intake(held.subject_id)
    assert again.status == "held"
    assert {f["rule_id"] for f in last_details(held.subject_id)["hold"]["findings"]} == {
        "hi_members.for_test",
        "intake.quarantine_share",
    }
    decide(held.subject_id)
    add_rule("select rule, n from (values ('a', 1), ('b', 2)) as found (rule, n), {batch} limit 2")
    assert gate_intake(held.subject_id).status == "held"


def test_a_rule_that_did_not_run_cannot_be_answered_for(ready: Warehouse, add_rule: Change) -> None:
    held = take(ready, "2023-04", good=20, bad=10)
    decide(held.subject_id)
    add_rule("select no_such_column from {batch}")
    assert gate_intake(held.subject_id).status == "held"
    assert held.subject_id not in {q.subject_id for q in list_waiting()}
    with pytest.raises(ApprovalError, match=r"cannot be approved.*for_test did not run"):
        decide(held.subject_id)


def test_a_batch_without_a_good_row_cannot_be_answered_for(ready: Warehouse) -> None:
    held = take(ready, "2023-05", good=0, bad=10)
    assert held.status == "held"
    with pytest.raises(ApprovalError, match="no row is left"):
        decide(held.subject_id)


def test_a_rejected_batch_stays_held(ready: Warehouse) -> None:
    held = take(ready, "2023-06", good=20, bad=10)
    decide(held.subject_id)
    decide(held.subject_id, is_rejection=True)
    assert held.subject_id not in {q.subject_id for q in list_waiting()}
    assert gate_intake(held.subject_id).status == "held"


def test_another_file_of_the_month_needs_an_approval_of_its_own(ready: Warehouse) -> None:
    first = take(ready, "2023-07", good=20, bad=10)
    decide(first.subject_id)
    second = take(ready, "2023-07", good=21, bad=10, restatement={"reason": "sent once more"})
    assert (second.status, second.subject_id == first.subject_id) == ("held", False)
    with pytest.raises(ApprovalError, match="no batch that is the latest of its month"):
        decide(first.subject_id)


def test_a_batch_that_nobody_knows_is_named() -> None:
    with pytest.raises(ApprovalError, match="0123456789abcdef is no candidate, and no batch"):
        decide("0123456789abcdef")
