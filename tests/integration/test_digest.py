"""The hash of many rows: what it is, and that memory does not grow with them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest
from psycopg import sql

from loaders.audit import rows_digest
from loaders.postgres.database import Role, connect
from loaders.settings import PROJECT_ROOT

pytestmark = pytest.mark.usefixtures("warehouse")

PROGRAM = """
import sys
from psycopg import sql
from loaders.audit import rows_digest
from loaders.postgres.database import Role, connect
from tests.peak import peak_mb
query = sql.SQL("select repeat(n::text, 60) from generate_series(1, {}) as n")
with connect(Role.AUDITOR) as connection:
    found = rows_digest(connection, query.format(int(sys.argv[1])))
print(found.rows, peak_mb())
"""


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ("select 'x'::text where false", []),
        ("select 'một'::text", ["một"]),
        (r"select t from (values (1, E'a\nb\\'), (2, '')) as v (n, t) order by n", ["a\nb\\", ""]),
        (
            "select to_jsonb(timestamptz '2025-07-01 00:00:00+07')::text",
            ['"2025-06-30T17:00:00+00:00"'],
        ),
    ],
)
def test_a_digest_is_the_sha256_of_the_texts_joined_by_newlines(
    query: str, texts: list[str]
) -> None:
    with connect(Role.AUDITOR) as connection:
        found = rows_digest(connection, sql.SQL(query))
    assert (found.rows, found.sha256) == (
        len(texts),
        hashlib.sha256("\n".join(texts).encode()).hexdigest(),
    )


def test_memory_does_not_grow_with_the_rows() -> None:
    few, many = 1_000, 200_000  # 66 MB of text
    (rows_few, peak_few), (rows_many, peak_many) = _peak(few), _peak(many)
    assert (rows_few, rows_many) == (few, many)
    assert peak_many < peak_few + 30


def _peak(rows: int) -> tuple[int, int]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(rows)],
        check=True,
        cwd=PROJECT_ROOT,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
    )
    found, peak = done.stdout.split()
    return int(found), int(peak)
