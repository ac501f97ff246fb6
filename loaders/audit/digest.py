"""The hash of a set of rows, which an event keeps for them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import psycopg
from psycopg import sql

#: Rows that PostgreSQL sends at a time: memory does not grow with their number.
FETCHED_AT_ONCE = 5_000


@dataclass(frozen=True)
class Digest:
    """Number of rows, and sha256 of their UTF-8 texts joined by newlines ("" for no rows)."""

    rows: int
    sha256: str


def rows_digest(connection: psycopg.Connection, query: sql.Composable) -> Digest:
    """Digest of what a query of one text column gives, in its order, with time zone UTC.

    Anybody can recompute it: the text of a row is PostgreSQL's own, such as `to_jsonb(t)::text`.
    """
    connection.execute("set local timezone to 'UTC'")
    digest, rows = hashlib.sha256(), 0
    with connection.cursor(name="rows_digest") as cursor:
        cursor.itersize = FETCHED_AT_ONCE
        cursor.execute(query)
        for rows, (text,) in enumerate(cursor, start=1):
            digest.update((text if rows == 1 else "\n" + text).encode())
    return Digest(rows, digest.hexdigest())
