"""What a result of the gate vouches for: rules, their results, quarantine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from loaders import audit
from loaders.contracts.model import get_dataset
from loaders.postgres.database import Role, connect
from loaders.quality.suites import get_suite
from loaders.stages.gate import intake as intake_gate
from loaders.stages.gate.results import quarantine_digest, rule_results_digest
from tests.conftest import Warehouse
from tests.integration.judging.month import (
    SUITE,
    findings,
    hash_of,
    judgements,
    members,
    query,
    raw_numbers,
    take,
)
from tests.integration.members import DATASET, SOURCE, deliver


def test_an_acceptance_vouches_for_its_rules_their_results_and_its_quarantine(
    clean: Warehouse,
) -> None:
    """Every hash of the result is recomputed here from the rows, by other means."""
    period = "2024-01"
    deliver(clean, members(period, 7, 9), period)
    take(period)
    (result,) = judgements(period)
    details = result["details"]
    rows = query(
        "select to_jsonb(t)::text from audit.rule_result as t where gate_run = %s order by id",
        details["gate_run"],
    )
    assert len(rows) == details["rules_run"] == len(get_suite("intake", SUITE).rules)
    assert details["rule_results_sha256"] == hash_of([text for (text,) in rows])
    refused = query(
        "select (to_jsonb(q) - 'at')::text from quarantine.\"row\" as q where batch_id = %s"
        " order by row_number, rule_id, column_name",
        result["batch_id"],
    )
    assert len(refused) == details["quarantine_rows"] == 2
    assert details["quarantine_sha256"] == hash_of([text for (text,) in refused])
    assert details["suite_sha256"] == get_suite("intake", SUITE).sha256
    assert details["contract_hash"] == get_dataset(SOURCE, DATASET).contract_hash
    assert findings() == []


@pytest.mark.parametrize("table", ["audit.rule_result", 'quarantine."row"'])
def test_a_changed_row_no_longer_has_the_hash_that_was_recorded(
    clean: Warehouse, table: str
) -> None:
    period = "2024-02" if table == "audit.rule_result" else "2024-03"
    deliver(clean, members(period, 7), period)
    batch_id = take(period).subject_id
    details = judgements(period)[0]["details"]

    with connect(Role.ADMIN) as connection:
        result_id = judgements(period)[0]["id"]
        found = (
            rule_results_digest(connection, "batch", batch_id, details["gate_run"]).sha256,
            quarantine_digest(connection, batch_id, result_id).sha256,
        )
        assert found == (details["rule_results_sha256"], details["quarantine_sha256"])
        column, batch, name = (
            ("observed", "subject_id", f"audit.rule_result {batch_id} {details['gate_run']}")
            if table == "audit.rule_result"
            else ("reason_en", "batch_id", f"quarantine.judged_row {batch_id} {result_id}")
        )
        connection.execute("alter table audit.rule_result disable trigger append_only")
        connection.execute(f"update {table} set {column} = 'x' where {batch} = %s", (batch_id,))
        (finding,) = audit.verify(connection)
        connection.rollback()
    assert finding.what.startswith(f"{name}: its ")


def test_a_result_that_was_not_written_stops_the_gate(
    clean: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    period = "2025-04"
    deliver(clean, members(period), period)
    monkeypatch.setattr(intake_gate, "write_rule_results", lambda *_: None)
    with pytest.raises(AssertionError, match=r"0 of \d+ rule results written"):
        take(period)
    assert (raw_numbers(period), judgements(period)) == ([], [])


def test_two_runs_of_the_gate_on_one_batch_are_told_apart(clean: Warehouse) -> None:
    """Both have the run id ``manual``."""
    period = "2024-04"
    deliver(clean, members(period, *range(1, 31)), period)
    assert [take(period).status, take(period).status] == ["held", "held"]
    runs = [result["details"]["gate_run"] for result in judgements(period)]
    assert len(set(runs)) == 2
    counted = query(
        "select gate_run::text, count(*) from audit.rule_result where gate_run = any(%s::uuid[])"
        " group by 1",
        runs,
    )
    rules = len(get_suite("intake", SUITE).rules)
    assert dict(counted) == dict.fromkeys(runs, rules)


def test_a_suite_s_hash_follows_what_decides_and_nothing_else(
    change_rule: Callable[..., None],
) -> None:
    def digest() -> str:
        return get_suite("intake", SUITE).sha256

    before = digest()
    change_rule(lambda rule: rule["meta"].update(owner="another owner"))
    assert digest() == before
    seen = {before}
    for edit in (
        lambda rule: rule["meta"].update(version=9),
        lambda rule: rule["kwargs"].update(rows_where="sex_code = '1'"),
        lambda rule: rule.update(kwargs={"unexpected_rows_query": "SELECT 1 FROM {batch}"}),
        lambda rule: rule["meta"].update(kind="dataset"),
        lambda rule: rule["meta"].update(column="sex_code"),
        lambda rule: rule.update(severity="info"),
        lambda rule: rule["meta"].update(id="hi_members.renamed"),
    ):
        change_rule(edit)
        assert digest() not in seen
        seen.add(digest())
