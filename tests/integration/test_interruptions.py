"""What goes away under a stage is told apart from what the stage finds."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import PGconn, Ping

from loaders.postgres.database import Role, connect, conninfo, lasting, role_url, url
from loaders.quality.runner import run_suite
from loaders.quality.suites import read_suite
from loaders.stages import build
from tests.conftest import Warehouse
from tests.integration.test_run_suite import rule


def end_sessions(connection: psycopg.Connection) -> None:
    connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )


@pytest.mark.parametrize("said", [None, ValueError("a tool's own words")])
def test_a_server_that_was_away_is_named_whatever_the_tool_says(
    warehouse: Warehouse, said: Exception | None
) -> None:
    with (
        pytest.raises(psycopg.OperationalError),
        lasting(role_url(Role.LOADER)),
        connect(Role.ADMIN) as admin,
    ):
        end_sessions(admin)
        if said:
            raise said


def test_what_a_tool_says_stands_when_the_server_was_there(warehouse: Warehouse) -> None:
    with pytest.raises(ValueError, match="own words"), lasting(role_url(Role.LOADER)):
        raise ValueError("a tool's own words")


def test_a_rule_that_lost_its_server_is_no_finding(warehouse: Warehouse, tmp_path: Path) -> None:
    with connect(Role.LOADER) as connection:
        connection.execute("create table stage.slow as select 1 as _row_number, 1 as value")
    slow = rule(
        "slow",
        "row",
        "unexpected_rows_expectation",
        unexpected_rows_query="select * from {batch} where pg_sleep(20) is null",
    )
    path = tmp_path / "slow.json"
    path.write_text(json.dumps({"name": "slow", "expectations": [slow]}), "utf-8")

    def strike() -> None:
        asked = "select 1 from pg_stat_activity where state = 'active' and query like %s"
        with connect(Role.ADMIN) as admin:
            admin.autocommit = True
            while not admin.execute(asked, ("%stage%pg_sleep(20) is null%",)).fetchone():
                time.sleep(0.05)
            end_sessions(admin)

    blow = threading.Thread(target=strike)
    blow.start()
    with pytest.raises(psycopg.OperationalError):
        run_suite(url(Role.LOADER), "stage", "slow", read_suite(path), {"period": "2025-06"})
    blow.join()


def test_a_dbt_that_was_killed_is_no_broken_model(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "DBT", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(build.BuildInterrupted, match="signal 9"):
        build.dbt(["build"])


def test_a_second_build_waits_for_the_first(warehouse: Warehouse) -> None:
    ended: list[type[Exception]] = []

    def second() -> None:
        try:
            build.build("2025-06")
        except build.BuildError as error:  # nothing is accepted: it looked, and did not just wait
            ended.append(type(error))

    waits = "select 1 from pg_locks where locktype = 'advisory' and not granted"
    other = threading.Thread(target=second)
    with build.alone(), connect(Role.ADMIN) as admin:
        admin.autocommit = True
        other.start()
        while not admin.execute(waits).fetchone():
            assert other.is_alive()
            time.sleep(0.05)
        assert ended == []
    other.join(60)
    assert ended == [build.BuildError]


def test_a_server_that_recovers_is_waited_for(warehouse: Warehouse) -> None:
    target = conninfo(role_url(Role.ADMIN))
    with connect(Role.ADMIN) as connection:
        killed = connection.info.backend_pid
        if not Path(f"/proc/{killed}/cmdline").read_bytes().startswith(b"postgres: "):
            pytest.skip("the server runs on another machine")
        os.kill(killed, signal.SIGKILL)  # the server ends every session and starts anew
        connection.close()
    deadline = time.monotonic() + 10
    while PGconn.ping(target.encode()) != Ping.REJECT:
        assert time.monotonic() < deadline
    with connect(Role.ADMIN) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
