"""A month is judged again when its rules have changed and it is imported again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from loaders import audit
from loaders.contracts.model import get_dataset
from loaders.postgres.database import Role, connect
from loaders.quality.suites import EXPECTATIONS_DIR
from loaders.settings import get_settings
from loaders.stages import judgements as judging
from loaders.stages import load as load_stage
from loaders.stages.gate import gate_intake
from loaders.stages.gate.results import quarantine_digest
from loaders.stages.intake import import_dataset
from loaders.stages.judgements import Rules, reasons_to_judge
from loaders.stages.land import land, purge_expired
from loaders.stages.load import load
from tests.conftest import Warehouse
from tests.integration.judging.month import (
    SUITE,
    UNIT_RULE,
    findings,
    fingerprint,
    hash_of,
    judgements,
    ledger,
    members,
    only_warn,
    query,
    raw_numbers,
    readmitted,
    refuse_all,
    take,
)
from tests.integration.members import DATASET, SOURCE, deliver


def test_a_changed_rule_gives_rows_back_when_the_month_is_imported_again(
    clean: Warehouse, change_rule: Callable[..., None]
) -> None:
    period = "2024-05"
    deliver(clean, members(period, 7, 9), period)
    first = take(period)
    print_before = fingerprint(period)
    assert import_dataset(SOURCE, DATASET, period).status == "unchanged"
    change_rule(only_warn)
    second = take(period)
    assert (second.status, second.rows_loaded, second.rows_quarantined) == ("accepted", 60, 0)
    assert second.subject_id == first.subject_id
    assert second.reason == "judged again because the suite has changed"
    assert raw_numbers(period) == list(range(1, 61))
    assert fingerprint(period) != print_before
    (entry,) = ledger(period)
    assert (entry["how"], entry["rules_changed"]) == ("rule_change", True)
    assert (entry["rows_quarantined_before"], entry["rows_quarantined_now"]) == (2, 0)
    assert (entry["rows_readmitted"], entry["rows_still_quarantined"]) == (2, 0)
    assert readmitted(entry) == [(7, [UNIT_RULE]), (9, [UNIT_RULE])]
    rows = query(
        "select to_jsonb(t)::text from audit.readmitted_row as t where gate_run = %s"
        " order by row_number",
        entry["gate_run"],
    )
    assert entry["rows_sha256"] == hash_of([text for (text,) in rows])
    # What the first judgement refused is still there, with the hash that it recorded.
    accepted = judgements(period)[0]
    with connect(Role.AUDITOR) as connection:
        refused = quarantine_digest(connection, first.subject_id, accepted["id"])
    assert (refused.rows, refused.sha256) == (2, accepted["details"]["quarantine_sha256"])
    assert import_dataset(SOURCE, DATASET, period).status == "unchanged"
    assert findings() == []


def test_a_judgement_that_leaves_the_same_rows_computes_nothing_anew(
    clean: Warehouse, change_rule: Callable[..., None]
) -> None:
    period = "2024-06"
    deliver(clean, members(period, 7), period)
    take(period)
    before = fingerprint(period)
    change_rule(lambda rule: rule["meta"].update(version=2))
    again = take(period)
    assert (again.status, again.rows_loaded, again.rows_quarantined) == ("accepted", 59, 1)
    assert fingerprint(period) == before
    (entry,) = ledger(period)
    assert (entry["rows_readmitted"], entry["rows_still_quarantined"]) == (0, 1)


def test_a_changed_contract_is_a_reason_to_judge_again(
    clean: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    period = "2024-07"
    deliver(clean, members(period), period)
    take(period)
    changed = dataclasses.replace(get_dataset(SOURCE, DATASET), contract_hash="another")
    monkeypatch.setattr(load_stage, "get_dataset", lambda *_: changed)
    again = take(period)
    assert again.reason == "judged again because the contract has changed"
    assert judgements(period)[-1]["details"]["contract_hash"] == "another"
    assert import_dataset(SOURCE, DATASET, period).status == "unchanged"


def test_an_acceptance_that_does_not_say_its_rules_is_a_reason_to_judge_again(
    clean: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those were that were made before acceptances said by which rules."""
    period = "2025-05"
    deliver(clean, members(period), period)
    batch_id = take(period).subject_id
    rules = Rules.in_force(get_dataset(SOURCE, DATASET))
    with connect(Role.ADMIN) as connection:
        assert reasons_to_judge(connection, batch_id, rules) == []
        connection.execute("alter table audit.batch_result disable trigger append_only")
        connection.execute(
            "update audit.batch_result set details = null where batch_id = %s", (batch_id,)
        )
        silent = reasons_to_judge(connection, batch_id, rules)
        connection.rollback()
        monkeypatch.setattr(judging, "RULE_VERSION", 99)
        newer = Rules.in_force(get_dataset(SOURCE, DATASET))
        later = reasons_to_judge(connection, batch_id, newer)
    assert silent == [
        "the suite was not recorded",
        "the version of the contract rules was not recorded",
    ]
    assert later == ["the version of the contract rules has changed"]


def test_a_month_that_the_new_rules_hold_keeps_its_rows_and_says_so(
    clean: Warehouse, change_rule: Callable[..., None]
) -> None:
    period = "2024-08"
    deliver(clean, members(period, 7), period)
    take(period)
    before, rows = fingerprint(period), raw_numbers(period)
    change_rule(refuse_all)
    held = take(period)
    assert held.status == "held"
    assert "the rows that were accepted before stay in raw" in (held.reason or "")
    assert "judged again because the suite has changed" in (held.reason or "")
    assert (raw_numbers(period), fingerprint(period)) == (rows, before)
    accepted = judgements(period)[0]
    with connect(Role.AUDITOR) as connection:
        refused = quarantine_digest(connection, held.subject_id, accepted["id"])
        current = connection.execute(
            "select batch_id, result_id from audit.batch_accepted where period = %s", (period,)
        ).fetchone()
    assert refused.sha256 == accepted["details"]["quarantine_sha256"]
    assert current == (held.subject_id, accepted["id"])
    # The rule is taken back: judged once more, with the same rows as at first.
    change_rule(lambda rule: rule.update(_rule()))
    back = take(period)
    assert back.status == "accepted"
    assert (raw_numbers(period), fingerprint(period)) == (rows, before)
    assert [entry["rows_quarantined_before"] for entry in ledger(period)] == [60]
    assert import_dataset(SOURCE, DATASET, period).status == "unchanged"
    assert findings() == []


def _rule() -> dict[str, Any]:
    path = EXPECTATIONS_DIR / "intake" / f"{SUITE}.json"
    rules = json.loads(path.read_text("utf-8"))["expectations"]
    return next(rule for rule in rules if rule["meta"]["id"] == UNIT_RULE)


def test_a_month_whose_bytes_are_purged_is_kept_until_its_file_comes_again(
    clean: Warehouse, change_rule: Callable[..., None]
) -> None:
    period = "2025-02"
    deliver(clean, members(period, 7), period)
    batch_id = take(period).subject_id
    assert batch_id in purge_expired(retention_days=-1)
    change_rule(only_warn)
    kept = load(batch_id)
    assert kept.status == "unchanged"
    assert "the suite has changed" in (kept.reason or "")
    assert "purged by retention" in (kept.reason or "")
    with pytest.raises(LookupError, match="load it before the gate"):
        gate_intake(batch_id)
    assert len(raw_numbers(period)) == 59
    assert land(SOURCE, DATASET, period).status == "unchanged"
    assert take(period).status == "accepted"
    assert len(raw_numbers(period)) == 60
    with connect(Role.AUDITOR) as connection:
        assert audit.verify(connection, landing=get_settings().landing) == []


def test_a_judgement_cut_off_after_the_load_loses_nothing_of_the_acceptance(
    clean: Warehouse, change_rule: Callable[..., None]
) -> None:
    """Loaded under new rules twice, never judged: the accepted quarantine is still told apart."""
    period = "2025-03"
    deliver(clean, members(period, 7), period)
    batch_id = take(period).subject_id
    accepted = judgements(period)[0]
    change_rule(only_warn)
    assert [load(batch_id).status, load(batch_id).status] == ["loaded", "loaded"]
    with connect(Role.AUDITOR) as connection:
        refused = quarantine_digest(connection, batch_id, accepted["id"])
    assert (refused.rows, refused.sha256) == (1, accepted["details"]["quarantine_sha256"])
    assert take(period).status == "accepted"
    assert [entry["rows_readmitted"] for entry in ledger(period)] == [1]
