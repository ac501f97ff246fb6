"""The checksum row of each mart: by it a reader knows that all it reads is one release."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql

from loaders.audit.digest import fix_text_form
from loaders.publication.content import content
from loaders.publication.frozen import freeze

CHECKSUM = "release_checksum"
#: The fingerprint of a mart `t`, in SQL that any reader can run; with time zone UTC. Not in the
#: order of the rows, so that nothing has to be sorted.
FINGERPRINT = "coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint), 0)::text"
COMMENTS = {
    "mart": "Tên bảng / Name of the mart",
    "release_id": "Bản công bố mà bảng thuộc về / Release that the mart belongs to",
    "rows": "Số dòng lúc công bố / Number of rows when it was published",
    "fingerprint": f"Dấu vân của các dòng t (UTC) / Fingerprint of its rows t, UTC: {FINGERPRINT}",
}


def write_checksum(
    connection: psycopg.Connection, release_id: str, marts: Iterable[str]
) -> dict[str, Any]:
    """Create `candidate.release_checksum` with one row per mart; its own rows, sha256, columns.

    Made from the candidate in the transaction that publishes it, so the row and the mart that it
    is about cannot come from two releases.
    """
    fix_text_form(connection)
    table = sql.Identifier("candidate", CHECKSUM)
    connection.execute(
        sql.SQL(
            "create table {} (mart text primary key, release_id text not null,"
            " rows bigint not null, fingerprint text not null)"
        ).format(table)
    )
    about = "Mỗi dòng một bảng của bản công bố / One row per mart of the release"
    connection.execute(sql.SQL("comment on table {} is {}").format(table, sql.Literal(about)))
    for column, text in COMMENTS.items():
        connection.execute(
            sql.SQL("comment on column {} is {}").format(
                sql.Identifier("candidate", CHECKSUM, column), sql.Literal(text)
            )
        )
    for mart in marts:
        connection.execute(
            sql.SQL("insert into {} select {}, {}, count(*), {} from {} as t").format(
                table,
                sql.Literal(mart),
                sql.Literal(release_id),
                sql.SQL(FINGERPRINT),
                sql.Identifier("candidate", mart),
            )
        )
    freeze(connection, "candidate", [CHECKSUM])
    return content(connection, "candidate", CHECKSUM)
