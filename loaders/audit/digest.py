"""The text of rows and tables that their hashes are made of, the same wherever it is recomputed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
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


def csv_blocks(cursor: psycopg.Cursor, rows: sql.Composable) -> Iterator[bytes]:
    """The CSV of a query with header, rows in the order of their text; streamed.

    After the last block `cursor.rowcount` is the number of rows.

    The same bytes as `copy (select t.* from (<rows>) as t order by t::text collate "C") to stdout
    (format csv, header)` with time zone UTC: anybody can recompute it.
    """
    fix_text_form(cursor.connection)
    statement = sql.SQL(
        'copy (select t.* from ({}) as t order by t::text collate "C") '
        "to stdout (format csv, header)"
    ).format(rows)
    with cursor.copy(statement) as copy:
        for block in copy:
            yield bytes(block)


def fix_text_form(connection: psycopg.Connection) -> None:
    """Times and dates read the same on every server, until the transaction ends."""
    connection.execute("set local timezone to 'UTC'")
    connection.execute("set local datestyle to 'ISO'")
