"""The published marts, read by PostgreSQL's own means and nothing of ours."""

from __future__ import annotations

from psycopg import sql

from loaders.postgres.database import Role, connect

#: Marts with figures, of which two runs of the same months have the same rows.
FIGURES = ("fct_kpi_value", "fct_kpi_verdict", "fct_kpi_gap", "dim_target", "dim_unit")


def marts_as_csv() -> dict[str, bytes]:
    """Mart → its CSV with header, rows in the order of their text, times in UTC."""
    with connect(Role.PUBLISHER) as connection:
        connection.execute("set local timezone to 'UTC'")
        marts = connection.execute("select tablename from pg_tables where schemaname = 'marts'")
        found = {}
        for (mart,) in marts.fetchall():
            statement = (
                f'copy (select t.* from marts."{mart}" as t order by t::text collate "C")'
                " to stdout (format csv, header)"
            )
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                found[mart] = b"".join(bytes(block) for block in copy)
    return found


def published_figures() -> dict[str, list[object]]:
    """Mart → its rows, without the names of releases and the times at which they were made."""
    query = sql.SQL(
        "select to_jsonb(v) - 'release_id' - 'built_at' - 'published_at' from marts.{} as v"
        " order by 1"
    )
    with connect(Role.PUBLISHER) as connection:
        return {
            mart: [row for (row,) in connection.execute(query.format(sql.Identifier(mart)))]
            for mart in FIGURES
        }
