"""The chain: whoever changes what was recorded, with whatever rights, is found out."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from loaders import audit
from loaders.audit import Finding
from loaders.postgres.database import Role, connect

pytestmark = pytest.mark.usefixtures("warehouse")

BATCH = {"source": "health", "dataset": "staff", "period": "2025-06"}


@pytest.fixture(scope="module", autouse=True)
def _some_history(warehouse: object) -> None:
    with connect(Role.LOADER) as connection:
        assert audit.insert_receipt(
            connection,
            batch_id="b1",
            **BATCH,
            file_name="nhân lực.csv",
            landing_path="health/staff/b1",
            sha256=hashlib.sha256(b"content").hexdigest(),
            size_bytes=7,
            data_label="sample",
            maturity="final",
            control_totals={"rows": 3, "sum": Decimal("12345678901234567.890")},
        )
        for stage, status in (("land", "landed"), ("load", "loaded"), ("gate", "accepted")):
            audit.record_batch_result(
                connection,
                batch_id="b1",
                **BATCH,
                stage=stage,
                status=status,
                rows_read=3,
                rows_loaded=2,
                rows_quarantined=1,
                seconds=0.1234567,
                details={"share": 0.333, "note": "một phần ba"},
            )
    with connect(Role.PUBLISHER) as connection:
        audit.insert_vouched(
            connection,
            audit.BUILD_EVENT,
            {"period": "2025-06", "fingerprint": "f", "candidate_id": "c1"},
        )
        audit.append(connection, "test", {"float": 1e22, "small": 1.50, "text": "ừ", "none": None})


def tampered(*statements: str, table: str = "audit.event") -> list[Finding]:
    """What verify finds after a superuser has switched the triggers off and changed something."""
    with connect(Role.ADMIN) as connection:
        connection.execute(f"alter table {table} disable trigger all")
        for statement in statements:
            connection.execute(statement)
        findings = audit.verify(connection)
        connection.rollback()
        return findings


def test_an_untouched_trail_has_no_findings() -> None:
    with connect(Role.AUDITOR) as connection:
        assert audit.verify(connection, expected_head=audit.head(connection)) == []


def test_the_hash_can_be_recomputed_without_this_code() -> None:
    """As the docstring of loaders.audit describes it."""
    with connect(Role.AUDITOR) as connection:
        rows = connection.execute(
            "select to_char(at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
            " kind, payload::text, prev_hash, seq, hash from audit.event order by seq"
        ).fetchall()
    previous = "0" * 64
    for at, kind, payload, prev_hash, seq, digest in rows:
        assert prev_hash == previous
        event = {
            "at": at,
            "kind": kind,
            "payload": json.loads(payload, parse_float=str),
            "prev_hash": prev_hash,
            "seq": seq,
        }
        text = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert digest == hashlib.sha256(text.encode()).hexdigest()
        previous = digest


@pytest.mark.parametrize(
    ("change", "whats"),
    [
        (
            "payload = jsonb_set(payload, '{row,rows_read}', '4')",
            [
                "event 2 (batch.result) was changed after it was recorded: its time or payload",
                "event 2 (batch.result) has another payload: rows_read: 3 → 4",
            ],
        ),
        (
            "kind = 'other'",
            ["event 2 (batch.result) was changed after it was recorded: its kind is other, it was"],
        ),
        (
            "at = at + interval '1 microsecond'",
            ["event 2 (batch.result) was changed after it was recorded: its time or payload"],
        ),
        (
            "hash = repeat('a', 64)",
            ["event 2 (batch.result) was changed after it was recorded: its hash"],
        ),
        ("prev_hash = 'x'", ["event 2 (batch.result) was changed after it was recorded: its prev"]),
        (
            "seq = 77",
            [
                "event 2 is missing before event 3",
                "event 2 (batch.result) was changed after it was recorded: its seq is 77, it was 2",
            ],
        ),
    ],
)
def test_a_changed_event_is_named_with_what_differs(change: str, whats: list[str]) -> None:
    findings = [f.what for f in tampered(f"update audit.event set {change} where seq = 2")]
    assert len(findings) == len(whats)
    for found, what in zip(findings, whats, strict=True):
        assert found.startswith(what)


def test_every_broken_event_is_named_not_only_the_first() -> None:
    findings = tampered(
        "update audit.event set at = at + interval '1 second' where seq = 1",
        "update audit.event set payload = '{}' where seq = 5",
        "delete from audit.event where seq = 3",
    )
    assert [finding.seq for finding in findings[:3]] == [1, 4, 5]
    assert findings[1].what == "event 3 is missing before event 4"
    assert any("audit.batch_result 2 has no event in the chain" in f.what for f in findings)


def test_the_last_digits_of_a_figure_are_protected() -> None:
    findings = tampered(
        "update audit.event set payload = jsonb_set(payload, '{row,control_totals,sum}',"
        " '\"12345678901234567.891\"') where seq = 1"
    )
    assert findings[0].seq == 1
    assert findings[1].what == (
        "event 1 (receipt.recorded) has another payload: control_totals.sum: "
        '"12345678901234567.890" → "12345678901234567.891"'
    )


def test_a_number_is_not_the_text_of_it() -> None:
    """Both hash alike, because the digits of a fraction are hashed as text: the row tells them."""
    (finding,) = tampered(
        "update audit.event set payload = jsonb_set(payload, '{row,details,share}', '\"0.333\"')"
        " where seq = 2"
    )
    assert "details.share" in finding.what


def test_a_change_whose_hash_was_recomputed_breaks_the_next_event() -> None:
    with connect(Role.ADMIN) as connection:
        connection.execute("alter table audit.event disable trigger all")
        connection.execute("update audit.event set kind = 'forged' where seq = 3")
        seq, at, kind, payload, prev = connection.execute(
            "select seq, at, kind, payload::text, prev_hash from audit.event where seq = 3"
        ).fetchone()
        digest = audit.event_hash(seq, at, kind, payload, prev)
        connection.execute("update audit.event set hash = %s where seq = 3", (digest,))
        findings = audit.verify(connection)
        connection.rollback()
    what = "event 3 (forged) is not the one that event 4 (batch.result) follows"
    assert findings[0] == Finding(3, what)


def test_a_removed_event_is_named() -> None:
    findings = tampered("delete from audit.event where seq = 2")
    assert findings[0] == Finding(3, "event 2 is missing before event 3")


def test_two_events_that_changed_places_are_both_named() -> None:
    findings = tampered(
        "update audit.event set seq = -seq where seq in (2, 3)",
        "update audit.event set seq = case seq when -2 then 3 else 2 end where seq < 0",
    )
    for name in ("event 2 (batch.result) was changed", "event 3 is missing before event 4"):
        assert any(finding.what.startswith(name) for finding in findings)


def test_a_cut_off_end_shows_against_a_head_that_was_kept_outside() -> None:
    with connect(Role.ADMIN) as connection:
        kept = audit.head(connection)
        connection.execute("alter table audit.event disable trigger all")
        connection.execute("delete from audit.event where hash = %s", (kept,))
        assert audit.verify(connection) == []
        (finding,) = audit.verify(connection, expected_head=kept)
        connection.rollback()
    assert "is not in the chain" in finding.what


def test_a_cut_off_end_shows_when_a_release_came_after_it() -> None:
    insert = """
        insert into publication.release values
        (1, '2025-06.1', '2025-06', 'c1', now(), '0', '{}', '{}', repeat('b', 64), null)
    """
    assert [f.what for f in tampered(insert)] == ["publication.release 1 has no event in the chain"]


def test_a_release_that_does_not_follow_its_chain_head_is_named() -> None:
    with connect(Role.ADMIN) as connection:
        values = {
            "release_seq": 1,
            "release_id": "2025-06.1",
            "period": "2025-06",
            "candidate_id": "c1",
            "published_at": datetime.now(UTC),
            "code_version": "0",
            "data_labels": [],
            "manifest": Jsonb({"chain_head": "b" * 64, "ledger": {}, "tables": {}}),
            "chain_head": "b" * 64,
        }
        audit.insert_vouched(connection, audit.RELEASE_EVENT, values)
        findings = audit.verify(connection)
        connection.rollback()
    assert "publication.release 1: its chain head is not that before" in findings[0].what


@pytest.mark.parametrize(
    ("table", "statement", "what"),
    [
        (
            "audit.receipt",
            "update audit.receipt set size_bytes = 8",
            "audit.receipt b1 was changed after it was recorded: size_bytes: 7 → 8",
        ),
        ("audit.receipt", "delete from audit.receipt", "audit.receipt b1 is gone"),
        (
            "audit.batch_result",
            "update audit.batch_result set rows_quarantined = 0, details = null where id = 2",
            'audit.batch_result 2 was changed after it was recorded: details: {"note": ',
        ),
        (
            "audit.batch_result",
            "insert into audit.batch_result (batch_id, source, dataset, period, stage, status)"
            " values ('b2', 's', 'd', 'p', 'gate', 'accepted')",
            "has no event in the chain",
        ),
        (
            "audit.kpi_build",
            "update audit.kpi_build set at = at + interval '1 microsecond'",
            "audit.kpi_build 1 was changed after it was recorded: at: ",
        ),
    ],
)
def test_a_changed_row_beside_the_chain_is_named(table: str, statement: str, what: str) -> None:
    (finding,) = tampered(statement, table=table)
    assert what in finding.what


def test_a_row_that_is_recorded_again_is_named() -> None:
    """Whoever changes a row and appends a matching event leaves two events of one row."""
    with connect(Role.ADMIN) as connection:
        connection.execute("alter table audit.receipt disable trigger all")
        row = connection.execute(
            "update audit.receipt set size_bytes = 8 returning to_jsonb(receipt)"
        ).fetchone()
        audit.append(connection, audit.RECEIPT_EVENT, {"row": row[0]})
        findings = [finding.what for finding in audit.verify(connection)]
        connection.rollback()
    assert any("records audit.receipt b1, as event 1 does" in what for what in findings)
    assert any("b1 was changed after it was recorded: size_bytes" in what for what in findings)


def test_a_column_added_later_is_no_change_until_it_is_filled() -> None:
    add = "alter table audit.receipt add column more text"
    assert tampered(add, table="audit.receipt") == []
    (finding,) = tampered(add, "update audit.receipt set more = 'x'", table="audit.receipt")
    assert 'more: (absent) → "x"' in finding.what


def test_a_table_that_nothing_vouches_for_is_named() -> None:
    (finding,) = tampered("create table audit.stray (id bigint)")
    assert finding.what == "audit.stray: nothing in the chain vouches for this table"


def test_a_column_that_no_hash_covers_is_named() -> None:
    findings = tampered("alter table audit.event add column more text")
    assert "fields that no hash covers: ['more']" in findings[0].what


def test_a_session_that_writes_past_the_library_cannot_fork_the_chain() -> None:
    forged = (
        "insert into audit.event (seq, at, kind, payload, prev_hash, hash)"
        " values (%s, now(), 'x', '{}', %s, 'h')"
    )
    with connect(Role.LOADER) as connection:
        for seq, prev in ((1000, audit.head(connection)), (6, "0" * 64)):
            with pytest.raises(psycopg.errors.CheckViolation, match="does not continue"):
                connection.execute(forged, (seq, prev))
            connection.rollback()


def test_two_writers_at_once_leave_no_gap() -> None:
    def write(name: str) -> None:
        for number in range(25):
            with connect(Role.LOADER) as connection:
                audit.append(connection, "race", {"writer": name, "number": number})

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with connect(Role.AUDITOR) as connection:
        row = connection.execute("select count(*) from audit.event where kind = 'race'").fetchone()
        assert row == (50,)
        assert audit.verify(connection) == []


def test_a_rolled_back_event_leaves_no_gap() -> None:
    with connect(Role.LOADER) as connection:
        audit.append(connection, "never", {})
        connection.rollback()
        audit.append(connection, "after", {})
    with connect(Role.AUDITOR) as connection:
        assert audit.verify(connection) == []


def test_appending_in_autocommit_mode_is_refused() -> None:
    with connect(Role.LOADER) as connection:
        connection.autocommit = True
        with pytest.raises(ValueError, match="inside a transaction"):
            audit.append(connection, "x", {})


def test_a_second_receipt_for_a_batch_adds_nothing() -> None:
    with connect(Role.LOADER) as connection:
        before = audit.head(connection)
        assert not audit.insert_receipt(
            connection,
            batch_id="b1",
            **BATCH,
            file_name="x",
            landing_path="x",
            sha256="x",
            size_bytes=1,
            data_label="real",
            maturity="final",
        )
        assert audit.head(connection) == before


def test_landed_files_are_compared_with_their_receipts(tmp_path: Path) -> None:
    path = tmp_path / "health" / "staff" / "b1"

    def check() -> list[str]:
        with connect(Role.AUDITOR) as connection:
            return [finding.what for finding in audit.verify(connection, landing=tmp_path)]

    assert check() == ["landing health/staff/b1 is gone; batch b1 has its receipt"]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"content")
    assert check() == []
    path.write_bytes(b"Content")
    (what,) = check()
    assert what.startswith("landing health/staff/b1 was changed: sha256 ")
    path.unlink()
    with connect(Role.LOADER) as connection:
        audit.append(connection, audit.PURGE_EVENT, {"batch_id": "b1"})
    assert check() == []
    stranger = tmp_path / "health" / "stranger"
    stranger.write_bytes(b"?")
    assert check() == []  # it may be landing just now
    os.utime(stranger, (0, 0))
    assert check() == ["landing health/stranger has no receipt"]


def test_a_receipt_cannot_point_out_of_the_landing_store(tmp_path: Path) -> None:
    with connect(Role.ADMIN) as connection:
        audit.insert_receipt(
            connection,
            batch_id="b9",
            **BATCH,
            file_name="x",
            landing_path="../outside",
            sha256="x",
            size_bytes=1,
            data_label="real",
            maturity="final",
        )
        findings = audit.verify(connection, landing=tmp_path)
        connection.rollback()
    assert any("../outside of batch b9 is outside the store" in f.what for f in findings)


def test_the_views_show_what_holds_now() -> None:
    def record(batch_id: str | None, stage: Any, status: str, **figures: int) -> None:
        with connect(Role.LOADER) as connection:
            audit.record_batch_result(
                connection, batch_id=batch_id, **BATCH, stage=stage, status=status, **figures
            )

    def ask(query: str) -> list[tuple[Any, ...]]:
        with connect(Role.TRANSFORMER) as connection:
            return connection.execute(query).fetchall()

    current = "select batch_id, stage, status, rows_read from audit.batch_current"
    accepted = "select batch_id, data_label, rows_loaded from audit.batch_accepted"
    record("b1", "land", "unchanged")
    assert ask(current) == [("b1", "gate", "accepted", 3)]
    record("b2", "load", "loaded", rows_read=9)
    record("b2", "gate", "held")
    assert ask(current) == [("b2", "gate", "held", 9)]
    assert ask(accepted) == [("b1", "sample", 2)]


def test_the_helper_of_this_file_can_fail() -> None:
    check: Callable[..., list[Finding]] = tampered
    assert check("select 1") == []
