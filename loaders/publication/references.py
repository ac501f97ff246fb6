"""Foreign keys between the marts: BI tools draw their model from them."""

from __future__ import annotations

import psycopg
from psycopg import sql

from loaders.contracts.interface import reference_of
from loaders.publication.content import PublishError, columns_of


def refer(connection: psycopg.Connection, schema: str, marts: list[str]) -> int:
    """Add a foreign key for every column that names a row of a dimension; their number.

    Where the dimension or its key is not there, as in a part of the marts, there is none.

    Raises:
        PublishError: a row names what its dimension does not know.
    """
    added = 0
    for mart in marts:
        for column in columns_of(connection, schema, mart):
            found = reference_of(mart, column)
            if found is None or not _is_key(connection, schema, *found):
                continue
            dimension, key = found
            statement = sql.SQL("alter table {} add foreign key ({}) references {} ({})").format(
                sql.Identifier(schema, mart),
                sql.Identifier(column),
                sql.Identifier(schema, dimension),
                sql.Identifier(key),
            )
            try:
                connection.execute(statement)
            except psycopg.errors.ForeignKeyViolation as error:
                raise PublishError(f"{mart}.{column} is not in {dimension}: {error}") from error
            added += 1
    return added


def _is_key(connection: psycopg.Connection, schema: str, table: str, column: str) -> bool:
    row = connection.execute(
        """
        select 1
        from pg_constraint as c
        inner join pg_attribute as a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
        where c.conrelid = to_regclass(%s) and c.contype = 'p' and a.attname = %s
        """,
        (f'"{schema}"."{table}"', column),
    ).fetchone()
    return row is not None
