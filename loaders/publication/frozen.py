"""Tables whose rows every reader sees as soon as they are published, whatever its snapshot.

A table that takes another's place is found by every reader at once; its rows are not: to a
transaction whose snapshot is older (`repeatable read`, also one that waited for the switch) it is
empty, without an error. Rows that `copy … (freeze)` wrote are visible to every snapshot, so such a
reader sees the new release whole. They also need no later vacuum, and indexes answer alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable

import psycopg
from psycopg import sql

SPOOL_BYTES = 16_000_000  # beyond this a table waits on disk, not in memory


def freeze(connection: psycopg.Connection, schema: str, names: Iterable[str]) -> None:
    """Write tables anew, frozen: same rows, columns, keys, indexes and comments; ours to own.

    Foreign keys are not kept, nor are rights. The caller holds a lock against changes.
    """
    for name in names:
        _freeze(connection, sql.Identifier(schema, name), schema, name)


def _freeze(connection: psycopg.Connection, table: sql.Identifier, schema: str, name: str) -> None:
    oid = f'"{schema}"."{name}"'
    keys = connection.execute(
        "select conname, pg_get_constraintdef(oid) from pg_constraint"
        " where conrelid = %s::regclass and contype in ('p', 'u') order by conname",
        (oid,),
    ).fetchall()
    indexes = connection.execute(
        "select pg_get_indexdef(indexrelid) from pg_index where indrelid = %s::regclass"
        " and not exists (select from pg_constraint where conindid = indexrelid) order by 1",
        (oid,),
    ).fetchall()
    about = connection.execute("select obj_description(%s::regclass)", (oid,)).fetchone()
    assert about is not None
    built = sql.Identifier(schema, f"{name}__built")
    connection.execute(
        sql.SQL("alter table {} rename to {}").format(table, sql.Identifier(f"{name}__built"))
    )
    connection.execute(
        sql.SQL("create table {} (like {} including all excluding indexes)").format(table, built)
    )
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool, connection.cursor() as at:
        # One connection: a second one could wait for whoever waits for this one's locks.
        with at.copy(sql.SQL("copy {} to stdout (format binary)").format(built)) as out:
            for block in out:
                spool.write(block)
        spool.seek(0)
        statement = sql.SQL("copy {} from stdin (format binary, freeze true)").format(table)
        with at.copy(statement) as into:
            while block := spool.read(SPOOL_BYTES // 16):
                into.write(block)
    connection.execute(sql.SQL("drop table {} cascade").format(built))
    for key, definition in keys:
        connection.execute(
            sql.SQL("alter table {} add constraint {} {}").format(
                table, sql.Identifier(key), sql.SQL(definition)
            )
        )
    for (definition,) in indexes:
        connection.execute(definition)
    connection.execute(sql.SQL("comment on table {} is {}").format(table, sql.Literal(about[0])))
