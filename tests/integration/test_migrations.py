"""Migrations: repeatable, safe side by side, and without superuser rights."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from loaders.postgres.database import Role, connect, conninfo
from loaders.postgres.migrate import SQL_FOLDER, migrate
from loaders.settings import PROJECT_ROOT
from tests.integration.admins import ROLES, plain_admin

ALL = sorted(path.stem for path in SQL_FOLDER.glob("[0-9]*.sql"))
SCRIPT = "from loaders.postgres.migrate import migrate; print(len(migrate()))"


def migrate_elsewhere(address: URL) -> int:
    environment = {
        "NQ42_DATABASE_URL": address.render_as_string(hide_password=False),
        "NQ42_BI_PASSWORD": "side-by-side",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_second_run_applies_nothing(empty_database: URL) -> None:
    assert migrate() == ALL
    assert migrate() == []


def test_two_processes_at_once_apply_each_migration_once(empty_database: URL) -> None:
    with ThreadPoolExecutor(3) as pool:
        applied = list(pool.map(lambda _: migrate_elsewhere(empty_database), range(3)))
    assert sorted(applied) == [0, 0, len(ALL)]


def test_two_databases_of_one_server_can_be_migrated_at_once(
    database_server: URL, empty_database: URL
) -> None:
    other = f"{empty_database.database}_b"
    with psycopg.connect(conninfo(database_server), autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(other)))
        try:
            both = [empty_database, empty_database.set(database=other)]
            with ThreadPoolExecutor(2) as pool:
                assert list(pool.map(migrate_elsewhere, both)) == [len(ALL), len(ALL)]
        finally:
            connection.execute(
                sql.SQL("drop database {} with (force)").format(sql.Identifier(other))
            )


def test_a_lock_row_that_a_killed_migration_left_behind_is_no_obstacle(
    empty_database: URL,
) -> None:
    migrate()
    with connect(Role.ADMIN) as connection:
        connection.execute("insert into yoyo_lock (locked, pid) values (1, 1)")
    assert migrate() == []


def test_an_admin_login_without_superuser_rights_is_enough(database_server: URL) -> None:
    with plain_admin(database_server):
        assert migrate() == ALL
        for role in ROLES:
            with connect(role) as as_role:
                assert as_role.execute("select current_user").fetchone() == (role.value,)
