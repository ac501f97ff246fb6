"""A reader of the marts that never stops: run as a process, it knows nothing of the warehouse.

    python -m tests.long.chaos.reader <folder of the cluster> <file for what it saw>

It logs in as nq42_bi, and in one query after another reads every mart whole, recomputes its
fingerprint and holds it against `release_checksum`. It ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import select
import sys
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

PAUSE_SECONDS = 0.5
#: Said by PostgreSQL while it goes down, comes up, or ends the sessions of a crashed neighbour.
AWAY = (psycopg.OperationalError, psycopg.InterfaceError)


def connect(cluster: Path) -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1",
        port=int((cluster / "port").read_text()),
        user="nq42_bi",
        password=os.environ["NQ42_BI_PASSWORD"],
        dbname="nq42",
        autocommit=True,
        connect_timeout=5,
        options="-c timezone=UTC -c datestyle=ISO -c statement_timeout=30s",
    )


def question(connection: psycopg.Connection) -> sql.Composed:
    """One statement over all marts: what each holds, beside what is said of it."""
    marts = connection.execute(
        "select tablename from pg_tables where schemaname = 'marts'"
        " and tablename not in ('release_checksum', 'release_info') order by 1"
    ).fetchall()
    read = sql.SQL(" union all ").join(
        sql.SQL(
            "select {} as mart, count(*) as rows, coalesce("
            "sum(('x' || left(md5(t::text), 15))::bit(60)::bigint), 0)::text as fingerprint"
            " from {} as t"
        ).format(sql.Literal(mart), sql.Identifier("marts", mart))
        for (mart,) in marts
    )
    return sql.SQL(
        "select n.candidate_id, c.release_id, i.release_id, mart, c.rows, found.rows,"
        " c.fingerprint, found.fingerprint"
        " from marts.release_checksum as c full join ({}) as found using (mart)"
        " cross join marts.release_note as n cross join marts.release_info as i"
    ).format(read)


def is_one_release(rows: list[tuple[Any, ...]]) -> bool:
    """Every mart is of the same release and holds what the release says of it."""
    return len({row[:3] for row in rows}) == 1 and all(
        release == card and stated == found and said == read
        for _, release, card, _, stated, found, said, read in rows
    )


def watch(cluster: Path) -> dict[str, Any]:
    seen: list[str] = []
    wrong: list[Any] = []
    polls = outages = 0
    connection = connect(cluster)
    ask = question(connection)
    while not select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
        try:
            if connection.closed:
                connection = connect(cluster)
            rows = connection.execute(ask).fetchall()
        except AWAY as error:
            if isinstance(error, psycopg.errors.QueryCanceled):
                wrong.append(f"a reader waited for 30 s: {error}")
            outages += 1
            connection.close()
            continue
        except psycopg.Error as error:
            wrong.append(f"{type(error).__name__}: {error}")
            continue
        polls += 1
        if not is_one_release(rows):
            wrong.append([list(map(str, row)) for row in rows])
        release_id = rows[0][1] if rows else "none"
        if not seen or seen[-1] != release_id:
            seen.append(release_id)
    return {"polls": polls, "outages": outages, "releases": seen, "wrong": wrong}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(watch(Path(sys.argv[1]))), encoding="utf-8")
