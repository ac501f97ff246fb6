"""What a BI tool may do, proven by doing it: logged in as nq42_bi, against all that exists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psycopg
import pytest
import sqlalchemy
from psycopg import sql
from sqlalchemy.engine import URL

from loaders.contracts.derive import raw_table_ddl
from loaders.contracts.model import load_contracts
from loaders.postgres.database import Role, connect, conninfo
from loaders.stages.publish import publish
from tests.candidates import make_candidate
from tests.conftest import Warehouse

REFUSED = psycopg.errors.InsufficientPrivilege
#: What PostgreSQL itself lets a role do to objects that it must not reach: nothing of ours.
SYSTEM = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"


@pytest.fixture(scope="module")
def login(warehouse: Warehouse) -> URL:
    """The address of a BI tool: a warehouse with raw tables, a release and a candidate after it."""
    with connect(Role.LOADER) as connection:
        for dataset in load_contracts()[0].datasets:
            for statement in raw_table_ddl(dataset):
                connection.execute(statement)
        connection.execute("create table stage.arriving as select 1 as n")
    with connect(Role.TRANSFORMER) as connection:
        for schema in ("reference", "staging", "intermediate", "kpi"):
            connection.execute(f"create table {schema}.of_dbt as select 1 as n")
        connection.execute("create view staging.view_of_dbt as select * from staging.of_dbt")
        connection.execute("create sequence kpi.numbers")
    make_candidate("published", [{}])
    publish("published")
    make_candidate("waiting", [{}])
    password = warehouse.settings.bi_password
    assert password is not None
    return warehouse.url.set(username=str(Role.BI), password=password.get_secret_value())


@contextmanager
def session(login: URL) -> Iterator[psycopg.Connection]:
    """A session that has put off its own limits, as anybody may: rights alone must do."""
    with psycopg.connect(conninfo(login), autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        yield connection


def relations(kinds: str) -> list[tuple[str, str]]:
    with connect(Role.ADMIN) as connection:
        return connection.execute(
            f"select n.nspname, c.relname from pg_class as c"
            f" inner join pg_namespace as n on n.oid = c.relnamespace"
            f" where {SYSTEM} and c.relkind = any(%s) order by 1, 2",
            (list(kinds),),
        ).fetchall()


TABLES, SEQUENCES = "rvmpf", "S"


def test_every_mart_is_read_by_psycopg_and_by_pandas(login: URL) -> None:
    marts = [name for schema, name in relations(TABLES) if schema == "marts"]
    assert len(marts) > 4
    engine = sqlalchemy.create_engine(login, poolclass=sqlalchemy.pool.NullPool)
    with psycopg.connect(conninfo(login)) as connection, engine.connect() as other:
        for mart in marts:
            query = f"select * from marts.{mart}"
            found = connection.execute(query).fetchall()
            frame = pd.read_sql(sqlalchemy.text(query), other)
            assert len(frame) == len(found) >= 1, mart
            assert list(frame.columns)
        assert set(sqlalchemy.inspect(other).get_table_names("marts")) == set(marts)
        assert sqlalchemy.inspect(other).get_table_comment("release_info", "marts")["text"]


def test_nothing_else_is_read(login: URL) -> None:
    others = [found for found in relations(TABLES) if found[0] != "marts"]
    schemas = {schema for schema, _ in others}
    assert schemas >= {
        *("stage", "raw", "quarantine", "reference", "staging", "intermediate", "kpi"),
        *("candidate", "publication", "audit"),
    }
    with session(login) as connection:
        for schema, name in others:
            with pytest.raises(REFUSED):
                connection.execute(
                    sql.SQL("select count(*) from {}").format(sql.Identifier(schema, name))
                )


WRITES = (
    "insert into {} default values",
    "delete from {}",
    "truncate {}",
    "lock table {} in share mode",
    "drop table {}",
    "alter table {} add column taken text",
    "create index on {} ((1))",
    "comment on table {} is 'taken'",
    "copy {} from stdin",
)


def test_no_table_is_written(login: URL) -> None:
    tables = relations("rp")
    assert ("marts", "release_info") in tables and ("publication", "release") in tables
    with session(login) as connection:
        for schema, name in tables:
            for statement in WRITES:
                with pytest.raises(REFUSED), connection.transaction():
                    connection.execute(sql.SQL(statement).format(sql.Identifier(schema, name)))
        for (column,) in connection.execute(
            "select attname from pg_attribute"
            " where attrelid = 'marts.release_info'::regclass and attnum > 0"
        ).fetchall():
            with pytest.raises(REFUSED):
                connection.execute(
                    sql.SQL("update marts.release_info set {} = null").format(
                        sql.Identifier(column)
                    )
                )


def test_no_sequence_moves_and_no_function_of_the_warehouse_runs(login: URL) -> None:
    sequences = relations(SEQUENCES)
    with connect(Role.ADMIN) as connection:
        functions = connection.execute(
            "select n.nspname, p.proname, array(select format_type(t, null)"
            " from unnest(p.proargtypes) as t) from pg_proc as p"
            f" inner join pg_namespace as n on n.oid = p.pronamespace where {SYSTEM}"
            " and not exists (select from pg_depend where objid = p.oid and deptype = 'e')"
        ).fetchall()
    assert sequences and functions
    with session(login) as connection:
        for schema, name in sequences:
            for call in ("select nextval({})", "select setval({}, 1)"):
                full = sql.Literal(f'"{schema}"."{name}"')
                with pytest.raises(REFUSED):
                    connection.execute(sql.SQL(call).format(full))
        for schema, name, types in functions:
            values = sql.SQL(", ").join(sql.SQL(f"null::{type_}") for type_ in types)
            with pytest.raises(REFUSED):
                connection.execute(
                    sql.SQL("select {}({})").format(sql.Identifier(schema, name), values)
                )


@pytest.mark.parametrize(
    "statement",
    [
        "create temporary table taken (n integer)",
        "create schema taken",
        "create table marts.taken (n integer)",
        "create table public.taken (n integer)",
        "create view marts.taken as select 1 as n",
        "create function marts.taken() returns integer language sql return 1",
        "create sequence marts.taken",
        "create database taken",
        "create role taken",
        "select lo_create(0)",
        "select lo_from_bytea(0, 'taken')",
        "copy (select 1) to program 'cat'",
        "copy (select 1) to '/tmp/taken'",
        "copy marts.release_info from program 'true'",
        "select pg_read_file('PG_VERSION')",
        "select pg_ls_dir('.')",
        "select pg_reload_conf()",
        "select pg_switch_wal()",
        "select lo_import('/etc/hostname')",
        "alter system set work_mem = '1GB'",
        "alter role nq42_loader login password 'taken'",
        "alter database {database} set work_mem = '1GB'",
        "set role nq42_loader",
        "set role nq42_publisher",
        "set role nq42_auditor",
        "set session authorization nq42_loader",
        "grant nq42_bi to nq42_loader",
    ],
)
def test_nothing_is_made_and_nobody_else_is_become(login: URL, statement: str) -> None:
    with session(login) as connection, pytest.raises(REFUSED):
        connection.execute(statement.format(database=login.database))
    assert not Path("/tmp/taken").exists()


def test_the_session_is_read_only_and_ends_long_queries(login: URL) -> None:
    with psycopg.connect(conninfo(login), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("create temporary table taken (n integer)")
        limit = connection.execute(
            "select setting::integer, unit from pg_settings where name = 'statement_timeout'"
        ).fetchone()
        assert limit == (30_000, "ms")
        connection.execute("set statement_timeout = '100ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select pg_sleep(5)")


def test_the_guard_would_see_a_right_that_was_given(login: URL) -> None:
    """Each proof above fails as soon as the role has more."""
    with connect(Role.ADMIN) as connection:
        connection.execute("grant usage on schema audit to nq42_bi")
        connection.execute("grant select on audit.event to nq42_bi")
        connection.execute("grant update on marts.release_info to nq42_bi")
    try:
        for proof in (test_nothing_else_is_read, test_no_table_is_written):
            with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
                proof(login)
        with pytest.raises((pytest.fail.Exception, psycopg.Error)):
            test_no_sequence_moves_and_no_function_of_the_warehouse_runs(login)
    finally:
        with connect(Role.ADMIN) as connection:
            connection.execute("revoke all on schema audit from nq42_bi")
            connection.execute("revoke all on audit.event from nq42_bi")
            connection.execute("revoke update on marts.release_info from nq42_bi")
