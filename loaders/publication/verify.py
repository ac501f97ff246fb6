"""Is what was published still there? The ledgers and the marts against the manifests."""

from __future__ import annotations

from typing import Any

import psycopg

from loaders.audit import Finding
from loaders.publication.content import columns_of, content, tables

# Columns that the ledgers got later: a manifest without a list of columns does not know them.
ADDED_LATER = {"causes"}


def verify_published(connection: psycopg.Connection) -> list[Finding]:
    """Recompute the hashes in the manifests: of the ledgers, and of the marts as they stand.

    The marts are compared only when the connection's role may read them (publisher, not auditor).
    """
    findings = []
    releases = connection.execute(
        "select release_seq, release_id, manifest from publication.release order by release_seq"
    ).fetchall()
    for release_seq, release_id, manifest in releases:
        for table, recorded in manifest["ledger"].items():
            if _ledger_hash(connection, table, release_seq, recorded) != recorded["sha256"]:
                what = f"release {release_id}: publication.{table} was changed after it"
                findings.append(Finding(None, what))
    readable = connection.execute("select has_schema_privilege('marts', 'usage')").fetchone()
    if releases and readable and readable[0]:
        _, release_id, manifest = releases[-1]
        found = {
            table: content(connection, "marts", table)["sha256"]
            for table in tables(connection, "marts")
        }
        expected = {table: of["sha256"] for table, of in manifest["tables"].items()}
        findings.extend(
            Finding(None, f"release {release_id}: marts.{table} is not what was published")
            for table in sorted(found.keys() | expected.keys())
            if found.get(table) != expected.get(table)
        )
    return findings


def _ledger_hash(
    connection: psycopg.Connection, table: str, release_seq: int, recorded: dict[str, Any]
) -> str:
    """The hash of a release's ledger rows, in the columns that the ledger had then."""
    if "columns" in recorded:
        columns = dict(recorded["columns"])
    else:
        columns = {
            name: type_
            for name, type_ in columns_of(connection, "publication", table).items()
            if name not in ADDED_LATER
        }
    return content(connection, "publication", table, release_seq=release_seq, columns=columns)[
        "sha256"
    ]
