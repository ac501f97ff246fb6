"""Each role can do its work and nothing else."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from loaders.postgres.database import Role, connect, conninfo, engine

SCHEMAS = (
    *("stage", "raw", "quarantine", "reference", "staging", "intermediate", "kpi", "candidate"),
    *("marts", "publication", "audit", "public"),
)
# role -> schemas it may look into, schemas it may create in
RIGHTS = {
    Role.LOADER: ({"stage", "raw", "quarantine", "reference", "audit"}, {"stage", "raw"}),
    Role.TRANSFORMER: (
        {"raw", "audit", "reference", "staging", "intermediate", "kpi", "candidate"},
        {"reference", "staging", "intermediate", "kpi", "candidate"},
    ),
    Role.PUBLISHER: (
        {
            *("raw", "audit", "reference", "staging", "intermediate", "kpi", "candidate"),
            *("marts", "publication", "quarantine"),
        },
        {"reference", "staging", "intermediate", "kpi", "candidate", "marts"},
    ),
    Role.BI: ({"marts"}, set()),
    Role.AUDITOR: ({"audit", "marts", "publication", "quarantine"}, set()),
}


@pytest.mark.parametrize("role", RIGHTS)
def test_schema_rights_are_exactly_these(warehouse: Any, role: Role) -> None:
    with connect(role) as connection:
        rows = connection.execute(
            "select nspname, has_schema_privilege(oid, 'usage'),"
            " has_schema_privilege(oid, 'create') from pg_namespace where nspname = any(%s)",
            (list(SCHEMAS),),
        ).fetchall()
    assert len(rows) == len(SCHEMAS)
    usage, create = RIGHTS[role]
    assert {name for name, may_use, _ in rows if may_use} == usage
    assert {name for name, _, may_create in rows if may_create} == create


def test_public_has_nothing(warehouse: Any) -> None:
    query = """
        select n.nspname from pg_namespace as n, aclexplode(n.nspacl) as a
        where n.nspname = any(%(schemas)s) and a.grantee = 0
        union all
        select c.relname from pg_class as c, aclexplode(c.relacl) as a
        where c.relnamespace = any(%(schemas)s::text[]::regnamespace[]) and a.grantee = 0
        union all
        select d.datname
        from pg_database as d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as a
        where d.datname = current_database() and a.grantee = 0
    """
    with connect(Role.ADMIN) as connection:
        assert connection.execute(query, {"schemas": list(SCHEMAS)}).fetchall() == []
        # The guard can fail.
        connection.execute("grant usage on schema marts to public")
        connection.execute("grant select on audit.event to public")
        found = connection.execute(query, {"schemas": list(SCHEMAS)}).fetchall()
        connection.rollback()
    assert found == [("marts",), ("event",)]


TABLE_RIGHTS = {
    Role.LOADER: {
        *("audit.event:insert", "audit.event:select", "audit.receipt:insert"),
        *("audit.batch_result:insert", "audit.rule_result:insert", "audit.receipt:select"),
        *("audit.batch_result:select", "audit.rule_result:select", "audit.kpi_build:select"),
        *("quarantine.row:select", "quarantine.row:insert", "quarantine.row:delete"),
        *("audit.batch_current:select", "audit.batch_accepted:select", "audit.approval:select"),
        *("audit.readmission:select", "audit.readmission:insert"),
        *("audit.readmitted_row:select", "audit.readmitted_row:insert"),
        *("quarantine.earlier_row:select", "quarantine.earlier_row:insert"),
        *("audit.delivery_schedule:select", "audit.delivery_schedule:insert"),
        "quarantine.judged_row:select",
    },
    Role.BI: set(),
    Role.TRANSFORMER: {
        *("audit.event:select", "audit.receipt:select", "audit.batch_result:select"),
        *("audit.rule_result:select", "audit.kpi_build:select"),
        *("audit.batch_current:select", "audit.batch_accepted:select"),
        *("audit.readmission:select", "audit.readmitted_row:select"),
    },
}
AUDIT_READS = TABLE_RIGHTS[Role.TRANSFORMER]
LEDGER = {f"publication.{name}" for name in ("release", "kpi_value", "kpi_verdict", "mart_row")}
QUALITY = ("delivery_schedule", "quality_timeliness", "quality_volumes", "quality_rules")
TABLE_RIGHTS[Role.AUDITOR] = {
    *AUDIT_READS,
    *(f"audit.{table}:select" for table in (*QUALITY, "quality_quarantine")),
    *(f"{table}:select" for table in LEDGER),
    "audit.approval:select",
    *("quarantine.row:select", "quarantine.earlier_row:select", "quarantine.judged_row:select"),
}
TABLE_RIGHTS[Role.PUBLISHER] = {
    *TABLE_RIGHTS[Role.AUDITOR],
    *(f"{table}:insert" for table in LEDGER),
    *("audit.event:insert", "audit.rule_result:insert", "audit.kpi_build:insert"),
    "audit.approval:insert",
}


@pytest.mark.parametrize("role", TABLE_RIGHTS)
def test_table_rights_are_exactly_these(warehouse: Any, role: Role) -> None:
    with connect(role) as connection:
        rows = connection.execute(
            """
            select c.relnamespace::regnamespace || '.' || c.relname || ':' || right_name
            from pg_class as c
            cross join unnest(array[
                'select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'
            ]) as right_name
            where
                c.relkind in ('r', 'v', 'p')
                and c.relnamespace = any('{audit,publication,quarantine}'::regnamespace[])
                and has_table_privilege(c.oid, right_name)
            """
        ).fetchall()
    assert {name for (name,) in rows} == TABLE_RIGHTS[role]


def test_raw_tables_of_the_loader_are_readable_for_the_transformer_only(
    warehouse: Any,
) -> None:
    with connect(Role.LOADER) as connection:
        connection.execute(
            "create table raw.health__staff (_period text) partition by list (_period)"
        )
        connection.execute('create table stage."health__staff__b1" (_period text)')
        connection.execute('alter table stage."health__staff__b1" set schema raw')
        connection.execute(
            'alter table raw.health__staff attach partition raw."health__staff__b1"'
            " for values in ('2025-06')"
        )
    with connect(Role.TRANSFORMER) as connection:
        assert connection.execute("select * from raw.health__staff").fetchall() == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("insert into raw.health__staff values ('2025-06')")
        connection.rollback()
    for role in (Role.BI, Role.AUDITOR):
        with connect(role) as connection:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("select * from raw.health__staff")
            connection.rollback()


def test_seeds_of_the_transformer_are_readable_for_the_loader(warehouse: Any) -> None:
    with connect(Role.TRANSFORMER) as connection:
        connection.execute("create table reference.unit_for_test (code text)")
    with connect(Role.LOADER) as connection:
        assert connection.execute("select * from reference.unit_for_test").fetchall() == []


def test_bi_reads_new_marts_and_can_neither_write_nor_run_for_long(warehouse: Any) -> None:
    with connect(Role.PUBLISHER) as connection:
        connection.execute("create table marts.for_test as select 1 as n")
    login = warehouse.url.set(
        username=str(Role.BI), password=warehouse.settings.bi_password.get_secret_value()
    )
    with psycopg.connect(conninfo(login)) as logged_in, connect(Role.BI) as set_role:
        for connection in (logged_in, set_role):
            assert connection.execute("select n from marts.for_test").fetchone() == (1,)
            limit = connection.execute("select current_setting('statement_timeout')").fetchone()
            assert limit == ("30s",)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("create temporary table x (n int)")
            connection.rollback()
            connection.execute("set transaction read write")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("insert into marts.for_test values (2)")
            connection.rollback()


def test_an_engine_is_in_its_role_and_keeps_no_connection(warehouse: Any) -> None:
    with engine(Role.AUDITOR).connect() as connection:
        found = connection.exec_driver_sql("select current_user, current_setting('timezone')")
        assert tuple(found.one()) == ("nq42_auditor", "UTC")
    with connect(Role.ADMIN) as connection:
        row = connection.execute(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and application_name = 'nq42_auditor'"
            " and state <> 'idle'"
        ).fetchone()
    assert row == (0,)
