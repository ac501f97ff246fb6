"""The candidate that schema candidate holds: which one it is, and the hash of what is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import psycopg

from loaders.publication import content, tables


def present_candidate(connection: psycopg.Connection) -> tuple[str, str] | None:
    """Id and month of what schema candidate holds, or None."""
    exists = connection.execute("select to_regclass('candidate.release_note')").fetchone()
    if not exists or exists[0] is None:
        return None
    return connection.execute(
        "select candidate_id, as_of_period from candidate.release_note"
    ).fetchone()


def candidate_content(connection: psycopg.Connection) -> dict[str, dict[str, Any]]:
    """Rows, sha256 and columns of every candidate table, by name."""
    names = tables(connection, "candidate")
    return {name: content(connection, "candidate", name) for name in names}


def content_sha256(contents: Mapping[str, Mapping[str, Any]]) -> str:
    """One hash over all tables: of the lines `<name> <rows> <sha256>`, sorted by name."""
    lines = (f"{name} {of['rows']} {of['sha256']}\n" for name, of in sorted(contents.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
