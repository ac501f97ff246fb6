"""Nobody changes what was recorded: not the writers, not the owner, not a replication session."""

from __future__ import annotations

import psycopg
import pytest

from loaders import audit
from loaders.postgres.database import Role, connect

pytestmark = pytest.mark.usefixtures("warehouse")

TABLES = (
    *("audit.event", "audit.receipt", "audit.batch_result", "audit.rule_result"),
    *("audit.kpi_build", "audit.approval", "publication.release", "publication.kpi_value"),
    *("publication.kpi_verdict", "publication.mart_row", "audit.readmission"),
    *("audit.readmitted_row", "audit.delivery_schedule", "quarantine.earlier_row"),
)
#: Replaced when a batch is loaded again; what an earlier judgement refused is in earlier_row.
REPLACED = {"quarantine.row"}


def test_the_list_of_tables_is_complete() -> None:
    with connect(Role.ADMIN) as connection:
        rows = connection.execute(
            "select schemaname || '.' || tablename from pg_tables"
            " where schemaname in ('audit', 'publication', 'quarantine')"
        ).fetchall()
    assert {name for (name,) in rows} == {*TABLES, *REPLACED}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", ["delete from {}", "update {} set {}", "truncate {} cascade"])
def test_changes_are_refused_also_for_the_owner(table: str, statement: str) -> None:
    with connect(Role.ADMIN) as connection:
        column = connection.execute(f"select * from {table}").description[0].name
        change = statement.format(table, f"{column} = {column}")
        if column == "id":  # an identity column cannot be named in an UPDATE: take another
            change = change.replace("id = id", "at = at")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            connection.execute(change)
        connection.rollback()
        # The usual way around triggers.
        connection.execute("set session_replication_role = replica")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            connection.execute(change)
        connection.rollback()


def test_without_the_trigger_the_change_would_go_through() -> None:
    """The guard is what refuses, not some other error."""
    with connect(Role.ADMIN) as connection:
        connection.execute("alter table audit.kpi_build disable trigger append_only")
        connection.execute("delete from audit.kpi_build")
        connection.rollback()


def test_writers_may_only_add() -> None:
    with connect(Role.LOADER) as connection:
        audit.append(connection, "test", {})
    for role in (Role.LOADER, Role.PUBLISHER):
        for change in ("delete from audit.event", "update audit.event set kind = 'x'"):
            with connect(role) as connection:
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
                    connection.execute(change)
                connection.rollback()
