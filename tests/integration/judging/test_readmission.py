"""What quarantine gives back is in a ledger: by correction, by restatement, by other rules."""

from __future__ import annotations

from collections.abc import Callable

from loaders.postgres.database import Role, connect
from tests.conftest import Warehouse
from tests.integration.judging.month import (
    UNIT_RULE,
    findings,
    ledger,
    members,
    only_warn,
    query,
    readmitted,
    take,
)
from tests.integration.members import correct, deliver


def test_a_held_month_comes_in_when_the_rule_that_held_it_is_put_right(
    clean: Warehouse, change_rule: Callable[..., None]
) -> None:
    period = "2024-09"
    deliver(clean, members(period, *range(1, 31)), period)
    assert [take(period).status, take(period).status] == ["held", "held"]
    change_rule(only_warn)
    assert take(period).status == "accepted"
    (entry,) = ledger(period)
    assert (entry["how"], entry["rows_readmitted"]) == ("rule_change", 30)
    assert [number for number, _ in readmitted(entry)] == list(range(1, 31))


def test_a_correction_readmits_exactly_the_rows_that_it_put_right(clean: Warehouse) -> None:
    period = "2024-10"
    path = deliver(clean, members(period, 7, 9, 11), period)
    first = take(period)
    by = "đã gọi điện hỏi lại,phòng CNTT"
    correct(path, f"7,,MA_XA,99999,21010,{by}", f"9,,*,MA_XA=99999,delete,{by}")
    second = take(period)
    (entry,) = ledger(period)
    assert (entry["how"], entry["rules_changed"]) == ("correction", False)
    assert (entry["batch_id"], entry["from_batch_id"]) == (second.subject_id, first.subject_id)
    # Row 7 is back, row 11 is still refused, row 9 was deleted.
    assert (entry["rows_quarantined_before"], entry["rows_quarantined_now"]) == (3, 1)
    assert (entry["rows_readmitted"], entry["rows_still_quarantined"]) == (1, 1)
    assert readmitted(entry) == [(7, [UNIT_RULE])]
    stays = query(
        'select row_number from quarantine."row" where batch_id = %s order by 1', first.subject_id
    )
    assert stays == [(7,), (9,), (11,)]
    assert findings() == []


def test_a_restatement_is_compared_by_its_counts(clean: Warehouse) -> None:
    period = "2024-11"
    deliver(clean, members(period, 7, 9), period)
    first = take(period)
    reason = {"reason": "the agency has put the commune codes right"}
    deliver(clean, members(period, 9), period, restatement=reason)
    take(period)
    (entry,) = ledger(period)
    assert (entry["how"], entry["from_batch_id"]) == ("restatement", first.subject_id)
    assert (entry["rows_quarantined_before"], entry["rows_quarantined_now"]) == (2, 1)
    assert (entry["rows_readmitted"], entry["rows_sha256"]) == (None, None)
    assert readmitted(entry) == []


def test_the_ledger_settles_every_judgement_since_the_last_acceptance(clean: Warehouse) -> None:
    """A good month, a restatement that is held, and the one that puts it right."""
    period = "2024-12"
    deliver(clean, members(period, 7), period)
    take(period)
    reason = {"reason": "restated by the agency"}
    deliver(clean, members(period, *range(1, 31)), period, restatement=reason)
    assert take(period).status == "held"
    deliver(clean, members(period), period, restatement=reason)
    assert take(period).status == "accepted"
    assert [entry["rows_quarantined_before"] for entry in ledger(period)] == [1, 30]


def test_a_changed_ledger_of_readmissions_is_found(clean: Warehouse) -> None:
    period = "2025-01"
    path = deliver(clean, members(period, 7), period)
    take(period)
    correct(path, "7,,MA_XA,99999,21010,đã hỏi lại,phòng CNTT")
    take(period)
    (entry,) = ledger(period)
    assert findings() == []
    with connect(Role.ADMIN) as connection:
        connection.execute("alter table audit.readmission disable trigger append_only")
        connection.execute(
            "update audit.readmission set rows_readmitted = 0 where id = %s", (entry["id"],)
        )
    found = findings()
    with connect(Role.ADMIN) as connection:
        connection.execute(
            "update audit.readmission set rows_readmitted = 1 where id = %s", (entry["id"],)
        )
        connection.execute("alter table audit.readmission enable always trigger append_only")
    assert len(found) == 1
    assert f"audit.readmission {entry['id']}" in found[0]
    assert findings() == []
