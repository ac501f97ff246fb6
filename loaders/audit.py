"""The audit trail: a hash chain of events, and the rows that each event vouches for.

`hash = sha256(canonical JSON of {at, kind, payload, prev_hash, seq})`: keys sorted, no white space,
UTF-8, times as ISO 8601 with microseconds in UTC, numbers that are not whole as text in the digits
that PostgreSQL shows. The first event's `prev_hash` is 64 zeros. Anybody can recompute it with any
tool; nobody can change, insert or remove an event without breaking every later hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb

GENESIS = "0" * 64
# Any fixed number: writers of the chain wait for each other on it until they commit.
CHAIN_LOCK_KEY = 4_220_260_002

RECEIPT_EVENT = "receipt.recorded"
BATCH_EVENT = "batch.result"
RELEASE_EVENT = "release.published"
PURGE_EVENT = "landing.purged"
# Tables whose rows are repeated, whole, in the event that was appended with them.
VOUCHED_ROWS = {
    RECEIPT_EVENT: ("audit", "receipt", "batch_id"),
    BATCH_EVENT: ("audit", "batch_result", "id"),
    RELEASE_EVENT: ("publication", "release", "release_seq"),
}


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was recorded; `seq` is the event, when one is concerned."""

    seq: int | None
    what: str


def append(connection: psycopg.Connection, kind: str, payload: Mapping[str, Any]) -> str:
    """Add an event in the caller's transaction; its hash.

    The chain is locked until that transaction ends: call this late in long transactions.

    Raises:
        ValueError: the connection is in autocommit mode, where the lock would not hold.
    """
    return _append_json(connection, kind, _dumps(payload))


def _append_json(connection: psycopg.Connection, kind: str, payload_json: str) -> str:
    if connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE:
        raise ValueError("audit events are appended inside a transaction, not in autocommit mode")
    lock(connection)
    # A statement of its own: it must see what the previous holder of the lock committed. The
    # payload goes through jsonb first, so that what is hashed is what will be read back.
    row = connection.execute(
        """
        select
            coalesce(head.seq, 0) + 1, coalesce(head.hash, %s), clock_timestamp(), %s::jsonb::text
        from (select 1) as one
        left join (select seq, hash from audit.event order by seq desc limit 1) as head on true
        """,
        (GENESIS, payload_json),
    ).fetchone()
    assert row is not None
    seq, prev_hash, at, stored = row
    digest = event_hash(seq, at, kind, stored, prev_hash)
    connection.execute(
        """
        insert into audit.event (seq, at, kind, payload, prev_hash, hash)
        values (%s, %s, %s, %s::jsonb, %s, %s)
        """,
        (seq, at, kind, stored, prev_hash, digest),
    )
    return digest


def lock(connection: psycopg.Connection) -> None:
    """Hold the chain until the transaction ends, before appending to it."""
    connection.execute("select pg_advisory_xact_lock(%s)", (CHAIN_LOCK_KEY,))


def event_hash(seq: int, at: datetime, kind: str, payload_json: str, prev_hash: str) -> str:
    """The hash of one event; `payload_json` is the payload as PostgreSQL shows it."""
    event = {
        "at": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "kind": kind,
        "payload": json.loads(payload_json, parse_float=str),
        "prev_hash": prev_hash,
        "seq": seq,
    }
    canonical = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def head(connection: psycopg.Connection) -> str:
    """The hash of the last event: what somebody outside keeps to prove the trail later."""
    row = connection.execute("select hash from audit.event order by seq desc limit 1").fetchone()
    return row[0] if row else GENESIS


def verify(connection: psycopg.Connection, expected_head: str | None = None) -> list[Finding]:
    """Recompute the chain and compare the rows that events vouch for; empty when all is well.

    Args:
        connection: as auditor or admin; read in one transaction.
        expected_head: a hash kept outside, which must occur in the chain. Without one, the removal
            of the newest events shows only if a release came after them.
    """
    broken = _first_break(connection)
    findings = [broken] if broken else []
    if expected_head not in (None, GENESIS) and not _has_hash(connection, expected_head):
        findings.append(Finding(None, f"the expected head {expected_head} is not in the chain"))
    findings.extend(_lost_heads(connection))
    for kind in VOUCHED_ROWS:
        findings.extend(_unvouched_rows(connection, kind))
    return findings


def verify_receipts(connection: psycopg.Connection, landing: Path) -> list[Finding]:
    """Compare every landed file, and the corrections landed with it, with the receipt.

    A file that retention has purged, with its event, is no finding: the receipt and its hash stay.
    """
    findings = []
    query = """
        select
            r.batch_id,
            file.path,
            file.sha256,
            exists (
                select from audit.event as e
                where e.kind = %s and e.payload ->> 'batch_id' = r.batch_id
            )
        from audit.receipt as r
        cross join lateral (
            values (r.landing_path, r.sha256), (r.corrections_path, r.corrections_sha256)
        ) as file (path, sha256)
        where file.path is not null
        order by r.landed_at, r.batch_id, file.path
    """
    rows = connection.execute(query, (PURGE_EVENT,)).fetchall()
    for batch_id, landing_path, sha256, is_purged in rows:
        path = landing / landing_path
        if not path.exists():
            if not is_purged:
                findings.append(Finding(None, f"batch {batch_id}: {landing_path} is gone"))
            continue
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            what = f"batch {batch_id}: {landing_path} has sha256 {found}, its receipt {sha256}"
            findings.append(Finding(None, what))
    return findings


def insert_receipt(
    connection: psycopg.Connection,
    *,
    batch_id: str,
    source: str,
    dataset: str,
    period: str,
    file_name: str,
    landing_path: str,
    sha256: str,
    size_bytes: int,
    data_label: Literal["real", "sample"],
    maturity: Literal["provisional", "final"],
    contract_version: str | None = None,
    contract_hash: str | None = None,
    code_version: str | None = None,
    run_id: str | None = None,
    control_totals: Mapping[str, Any] | None = None,
    corrections_path: str | None = None,
    corrections_sha256: str | None = None,
) -> bool:
    """Record a landed file and its event. False when this batch has its receipt already."""
    values = {
        "batch_id": batch_id,
        "source": source,
        "dataset": dataset,
        "period": period,
        "file_name": file_name,
        "landing_path": landing_path,
        "sha256": sha256,
        "size_bytes": size_bytes,
        "data_label": data_label,
        "maturity": maturity,
        "contract_version": contract_version,
        "contract_hash": contract_hash,
        "code_version": code_version,
        "run_id": run_id,
        "control_totals": _jsonb(control_totals),
        "corrections_path": corrections_path,
        "corrections_sha256": corrections_sha256,
    }
    return insert_vouched(connection, RECEIPT_EVENT, values, on_conflict="do nothing")


def record_batch_result(
    connection: psycopg.Connection,
    *,
    batch_id: str | None,
    source: str,
    dataset: str,
    period: str,
    stage: Literal["land", "load", "gate"],
    status: str,
    rows_read: int | None = None,
    rows_loaded: int | None = None,
    rows_quarantined: int | None = None,
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    seconds: float | None = None,
) -> None:
    """Record the outcome of a stage and its event, in the transaction of what it records."""
    values = {
        "batch_id": batch_id,
        "source": source,
        "dataset": dataset,
        "period": period,
        "stage": stage,
        "status": status,
        "rows_read": rows_read,
        "rows_loaded": rows_loaded,
        "rows_quarantined": rows_quarantined,
        "reason": reason,
        "details": _jsonb(details),
        "run_id": run_id,
        "seconds": seconds,
    }
    insert_vouched(connection, BATCH_EVENT, values)


def insert_vouched(
    connection: psycopg.Connection,
    kind: str,
    values: Mapping[str, Any],
    on_conflict: str | None = None,
) -> bool:
    """Insert a row into the table of this kind of event, and the event that repeats the row.

    False, and no event, when `on_conflict` left the row out.
    """
    schema, table, _ = VOUCHED_ROWS[kind]
    connection.execute("set local timezone to 'UTC'")  # the text of times is part of the record
    statement = sql.SQL(
        "insert into {} as t ({}) values ({}) {} returning to_jsonb(t)::text"
    ).format(
        sql.Identifier(schema, table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join([sql.Placeholder()] * len(values)),
        sql.SQL(f"on conflict {on_conflict}" if on_conflict else ""),
    )
    row = connection.execute(statement, list(values.values())).fetchone()
    if row is None:
        return False
    # As text: Python's floats would round the figures of the row.
    _append_json(connection, kind, f'{{"row": {row[0]}}}')
    return True


def _jsonb(value: Mapping[str, Any] | None) -> Jsonb | None:
    if value is None:
        return None
    return Jsonb(value, dumps=_dumps)


def _dumps(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), default=_json_default, ensure_ascii=False)


def _json_default(value: object) -> object:
    """Dates, paths, decimals and the like as text: an event must never fail for a type."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


# --- verification -------------------------------------------------------------------------------


def _events(connection: psycopg.Connection) -> Iterator[tuple[int, datetime, str, str, str, str]]:
    with connection.cursor(name="audit_verify") as cursor:
        cursor.itersize = 5_000
        cursor.execute(
            "select seq, at, kind, payload::text, prev_hash, hash from audit.event order by seq"
        )
        yield from cursor


def _first_break(connection: psycopg.Connection) -> Finding | None:
    previous_seq, previous_hash = 0, GENESIS
    for seq, at, kind, payload, prev_hash, stored_hash in _events(connection):
        if seq != previous_seq + 1:
            missing = (
                str(previous_seq + 1)
                if seq == previous_seq + 2
                else (f"{previous_seq + 1} to {seq - 1}")
            )
            return Finding(seq, f"event {missing} is missing before event {seq}")
        if prev_hash != previous_hash:
            return Finding(seq, f"event {seq} ({kind}) does not follow event {previous_seq}")
        if event_hash(seq, at, kind, payload, prev_hash) != stored_hash:
            return Finding(seq, f"event {seq} ({kind}) was changed after it was recorded")
        previous_seq, previous_hash = seq, stored_hash
    return None


def _has_hash(connection: psycopg.Connection, digest: str | None) -> bool:
    query = "select 1 from audit.event where hash = %s"
    return connection.execute(query, (digest,)).fetchone() is not None


def _lost_heads(connection: psycopg.Connection) -> list[Finding]:
    rows = connection.execute(
        """
        select r.release_id, r.chain_head
        from publication.release as r
        where
            r.chain_head <> %s
            and not exists (select from audit.event as e where e.hash = r.chain_head)
        order by r.release_seq
        """,
        (GENESIS,),
    ).fetchall()
    return [
        Finding(None, f"release {release_id}: its chain head {chain_head} is not in the chain")
        for release_id, chain_head in rows
    ]


def _unvouched_rows(connection: psycopg.Connection, kind: str) -> list[Finding]:
    """Rows that differ from the event recorded with them, have none, or are gone.

    Compared field by field over the fields of the event: a column added by a later migration is
    no change of an old row.
    """
    schema, table, key = VOUCHED_ROWS[kind]
    connection.execute("set local timezone to 'UTC'")
    statement = sql.SQL(
        """
        with events as (
            select seq, payload -> 'row' as recorded from audit.event where kind = %(kind)s
        ),
        compared as (
            select
                events.seq,
                coalesce(events.recorded ->> {key}, t.{column}::text) as id,
                events.recorded,
                to_jsonb(t) as stored
            from events
            full join {table} as t on events.recorded ->> {key} = t.{column}::text
        )
        select
            seq,
            id,
            case
                when recorded is null then 'has no event in the chain'
                when stored is null then 'is gone'
                else 'was changed after it was recorded'
            end
        from compared
        where
            recorded is null
            or stored is null
            or recorded is distinct from (
                select jsonb_object_agg(k, stored -> k) from jsonb_object_keys(recorded) as k
            )
        order by seq nulls last, id
        limit 100
        """
    ).format(key=sql.Literal(key), column=sql.Identifier(key), table=sql.Identifier(schema, table))
    rows = connection.execute(statement, {"kind": kind}).fetchall()
    return [Finding(seq, f"{schema}.{table} {id_} {what}") for seq, id_, what in rows]
