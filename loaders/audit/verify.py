"""Is the trail whole? The chain, the rows that it vouches for, the landed files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql

from loaders.audit.chain import GENESIS, event_hash
from loaders.audit.records import PURGE_EVENT, VOUCHED_ROWS


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was recorded; `seq` is the event, when one is concerned."""

    seq: int | None
    what: str


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
