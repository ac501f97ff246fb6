"""The published marts as files, written by PostgreSQL's own COPY and nothing of ours."""

from __future__ import annotations

from loaders.postgres.database import Role, connect


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
