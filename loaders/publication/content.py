"""What a table holds: its columns, and the hash of its CSV."""

from __future__ import annotations

import hashlib
from typing import Any

import psycopg
from psycopg import sql

from loaders.audit.digest import csv_blocks

Columns = dict[str, str]
"""Column name → PostgreSQL type, in the order of the table."""


class PublishError(RuntimeError):
    """Nothing was published; the message says why."""


def tables(connection: psycopg.Connection, schema: str) -> list[str]:
    """The names of the tables in a schema."""
    rows = connection.execute(
        "select tablename from pg_tables where schemaname = %s order by tablename", (schema,)
    ).fetchall()
    return [name for (name,) in rows]


def columns_of(connection: psycopg.Connection, schema: str, table: str) -> Columns:
    """The columns of a table with their types."""
    rows = connection.execute(
        """
        select a.attname, format_type(a.atttypid, a.atttypmod)
        from pg_attribute as a
        where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped
        order by a.attnum
        """,
        (f"{schema}.{table}",),
    ).fetchall()
    return dict(rows)


def content(
    connection: psycopg.Connection,
    schema: str,
    table: str,
    *,
    release_seq: int | None = None,
    columns: Columns | None = None,
) -> dict[str, Any]:
    """Rows, sha256 and columns of a table, the hash over :func:`csv_blocks`.

    Args:
        release_seq: only the ledger rows of this release.
        columns: only these; without them all that the table has.
    """
    columns = columns or columns_of(connection, schema, table)
    only = sql.SQL("")
    if release_seq is not None:
        only = sql.SQL("where release_seq = {}").format(sql.Literal(release_seq))
    rows = sql.SQL("select {} from {} {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(schema, table), only
    )
    digest = hashlib.sha256()
    with connection.cursor() as cursor:
        for block in csv_blocks(cursor, rows):
            digest.update(block)
        count = cursor.rowcount
    # As pairs: a JSON object of the database does not keep its order.
    return {
        "rows": count,
        "sha256": digest.hexdigest(),
        "columns": [list(pair) for pair in columns.items()],
    }
