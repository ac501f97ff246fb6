"""The swap: the cleaned stage table of a batch becomes its month's partition of raw."""

from __future__ import annotations

import psycopg
from psycopg import sql

from loaders.contracts.derive import table_columns
from loaders.stages.load import Batch, stage_table_name


def row_count(connection: psycopg.Connection, table: sql.Identifier) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
    return row[0] if row else 0


def clean(connection: psycopg.Connection, batch: Batch, places: str) -> int:
    """Take the rows at these places, an array of ``tid``, out of the stage table; how many went."""
    stage = sql.Identifier("stage", batch.stage_table)
    gone = connection.execute(
        sql.SQL("DELETE FROM {} WHERE ctid = ANY({}::tid[])").format(stage, sql.Literal(places))
    )
    return gone.rowcount


def is_same_as_raw(connection: psycopg.Connection, batch: Batch) -> bool:
    """True when the cleaned stage table holds, cell by cell, the rows of its month in raw."""
    columns = table_columns(batch.dataset)

    def cells(table: str) -> sql.Composed:
        return sql.SQL(", ").join(sql.Identifier(table, name) for name in columns)

    row = connection.execute(
        sql.SQL(
            "SELECT EXISTS (SELECT FROM {} s FULL JOIN (SELECT * FROM {} WHERE _period = {}) r"
            " USING (_row_number) WHERE ROW({}) IS DISTINCT FROM ROW({}))"
        ).format(
            sql.Identifier("stage", batch.stage_table),
            sql.Identifier("raw", batch.dataset.raw_table),
            sql.Literal(batch.period),
            cells("s"),
            cells("r"),
        )
    ).fetchone()
    return row == (False,)


def swap(connection: psycopg.Connection, batch: Batch) -> None:
    """The cleaned stage table becomes the partition of its month."""
    dataset = batch.dataset
    stage = sql.Identifier("stage", batch.stage_table)
    raw = sql.Identifier("raw", dataset.raw_table)
    partition = f"{dataset.raw_table}__{batch.period.replace('-', '_')}"
    period = sql.Literal(batch.period)
    # With this check in place ATTACH does not scan the table under its lock.
    connection.execute(
        sql.SQL(
            "ALTER TABLE {} ADD CONSTRAINT in_period CHECK (_period IS NOT NULL AND _period = {})"
        ).format(stage, period)
    )
    connection.execute("SET LOCAL lock_timeout = '60s'")
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier("raw", partition)))
    connection.execute(sql.SQL("ALTER TABLE {} SET SCHEMA raw").format(stage))
    connection.execute(
        sql.SQL("ALTER TABLE {} RENAME TO {}").format(
            sql.Identifier("raw", batch.stage_table), sql.Identifier(partition)
        )
    )
    connection.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})").format(
            raw, sql.Identifier("raw", partition), period
        )
    )
    _drop_superseded(connection, batch)


def _drop_superseded(connection: psycopg.Connection, batch: Batch) -> None:
    """Stage tables of batches that were held or replaced for the same month."""
    others = connection.execute(
        "select batch_id from audit.receipt"
        " where source = %s and dataset = %s and period = %s and batch_id <> %s",
        (batch.dataset.source, batch.dataset.name, batch.period, batch.batch_id),
    ).fetchall()
    for (other,) in others:
        table = sql.Identifier("stage", stage_table_name(batch.dataset, other))
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
