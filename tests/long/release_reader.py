"""A reader of the marts in one of three manners, run as a process until its standard input ends.

    python -m tests.long.release_reader <address> <manner> <file for what it saw>

`snapshot`: repeatable read, its snapshot taken before it looks at any mart. `transaction`: read
committed, several statements. `statements`: each by itself, so that two may see two releases.
"""

from __future__ import annotations

import json
import random
import select
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.long.chaos.reader import is_one_release, question

FINGERPRINT = "coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint), 0)::text"
LONGEST_PAUSE_SECONDS = 0.03


def read_apart(connection: psycopg.Connection, marts: list[str]) -> list[tuple[Any, ...]]:
    """The rows of :func:`question`, each mart in a statement of its own, in any order."""
    random.shuffle(marts)
    found = {}
    for mart in marts:
        statement = sql.SQL("select count(*), {} from {} as t").format(
            sql.SQL(FINGERPRINT), sql.Identifier("marts", mart)
        )
        found[mart] = connection.execute(statement).fetchone() or ()
    checksum = connection.execute(
        "select mart, release_id, rows, fingerprint from marts.release_checksum"
    ).fetchall()
    stated = {mart: rest for mart, *rest in checksum}
    card = connection.execute("select release_id from marts.release_info").fetchone()
    note = connection.execute("select candidate_id from marts.release_note").fetchone()
    rows = []
    for mart in sorted({*found, *stated}):
        release, count, said = stated.get(mart, (None, None, None))
        rows.append(
            (note, release, card and card[0], mart, count, found[mart][0], said, found[mart][1])
        )
    return rows


def look(connection: psycopg.Connection, manner: str, marts: list[str]) -> tuple[str, bool, bool]:
    """Release that was seen, whether all was of one, whether a second statement saw another."""
    if manner == "statements":
        rows = connection.execute(question(connection)).fetchall()
        time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
        later = connection.execute("select release_id from marts.release_info").fetchone()
        return rows[0][1], is_one_release(rows), later != (rows[0][1],)
    with connection.transaction():
        if manner == "snapshot":
            connection.execute("set transaction isolation level repeatable read")
            connection.execute("select count(*) from pg_class")
            time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
        rows = read_apart(connection, marts)
    return str(rows[0][1]), is_one_release(rows), False


def watch(address: str, manner: str) -> dict[str, Any]:
    looks, moved, seen, mixed, errors = 0, 0, [], [], []
    with psycopg.connect(
        address, autocommit=True, options="-c timezone=UTC -c statement_timeout=30s"
    ) as connection:
        listing = connection.execute(
            "select tablename from pg_tables where schemaname = 'marts'"
            " and tablename not in ('release_checksum', 'release_info')"
        )
        marts = [name for (name,) in listing.fetchall()]
        while not select.select([sys.stdin], [], [], random.uniform(0, 0.01))[0]:
            try:
                release, is_one, has_moved = look(connection, manner, marts)
            except psycopg.Error as error:
                errors.append(f"{type(error).__name__}: {error}")
                continue
            looks, moved = looks + 1, moved + has_moved
            if not is_one:
                mixed.append(release)
            if not seen or seen[-1] != release:
                seen.append(release)
    return {"looks": looks, "moved": moved, "seen": seen, "mixed": mixed, "errors": errors}


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(json.dumps(watch(sys.argv[1], sys.argv[2])), encoding="utf-8")
