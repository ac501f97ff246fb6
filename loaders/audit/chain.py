"""The audit trail: a hash chain of events, and the rows that each event vouches for.

`hash = sha256(canonical JSON of {at, kind, payload, prev_hash, seq})`: keys sorted, no white space,
UTF-8, times as ISO 8601 with microseconds in UTC, numbers that are not whole as text in the digits
that PostgreSQL shows. The first event's `prev_hash` is 64 zeros. Anybody can recompute it with any
tool; nobody can change, insert or remove an event without breaking every later hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

GENESIS = "0" * 64
# Any fixed number: writers of the chain wait for each other on it until they commit.
CHAIN_LOCK_KEY = 4_220_260_002
# A release waits for whoever looks at marts and ledger as one picture, and the other way round.
PUBLISH_LOCK_KEY = 4_220_260_003


def append(connection: psycopg.Connection, kind: str, payload: Mapping[str, Any]) -> str:
    """Add an event in the caller's transaction; its hash.

    The chain is locked until that transaction ends: call this late in long transactions.

    Raises:
        ValueError: the connection is in autocommit mode, where the lock would not hold.
    """
    return append_json(connection, kind, dumps(payload))


def append_json(connection: psycopg.Connection, kind: str, payload_json: str) -> str:
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
    return Event(seq, at, kind, json.loads(payload_json, parse_float=Digits), prev_hash).digest()


class Digits(str):
    """A number that is not whole, in the digits that PostgreSQL shows: no text that looks alike."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Digits) and str.__eq__(self, other)

    __hash__ = str.__hash__


@dataclass(frozen=True)
class Event:
    """An event as it stands; `hash` is what is stored with it, which may not be its digest."""

    seq: int
    at: datetime
    kind: str
    payload: Any
    prev_hash: str
    hash: str = ""

    def digest(self, **changed: Any) -> str:
        """The hash that belongs to the event, or to one that differs from it in these fields."""
        fields = {
            "at": self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "kind": self.kind,
            "payload": self.payload,
            "prev_hash": self.prev_hash,
            "seq": self.seq,
        } | changed
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def head(connection: psycopg.Connection) -> str:
    """The hash of the last event: what somebody outside keeps to prove the trail later."""
    row = connection.execute("select hash from audit.event order by seq desc limit 1").fetchone()
    return row[0] if row else GENESIS


def dumps(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), default=_json_default, ensure_ascii=False)


def _json_default(value: object) -> object:
    """Dates, paths, decimals and the like as text: an event must never fail for a type."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
