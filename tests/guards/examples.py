"""Rows of an example: changes to one good row, written short."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from loaders.quality.history import History, as_record, measure

#: In a change: how often the row stands; ``{n}`` in its texts is then 1, 2, 3 …
TIMES = "times"


def expand(row: dict[str, Any], changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each change, or as many as its ``times`` says."""
    rows = []
    for change in changes:
        new = row | {name: value for name, value in change.items() if name != TIMES}
        rows += [
            {name: _numbered(value, number) for name, value in new.items()}
            for number in range(1, change.get(TIMES, 1) + 1)
        ]
    return rows


def _numbered(value: Any, number: int) -> Any:
    return value.replace("{n}", str(number)) if isinstance(value, str) else value


def insert(connection: Any, table: sql.Identifier, rows: list[dict[str, Any]]) -> None:
    """Each row by its own columns."""
    for row in rows:
        connection.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                table,
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(sql.Placeholder() * len(row)),
            ),
            list(row.values()),
        )


def figures_of(connection: Any, table: sql.Identifier, wanted: Sequence[History]) -> dict[str, Any]:
    """The figures of a table as the record of its acceptance keeps them."""

    def run(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query.encode()).fetchall()

    found = measure(run, table.as_string(connection), wanted)
    return {name: as_record(figures) for name, figures in found.items()}
