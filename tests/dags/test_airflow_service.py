"""A real Airflow: started, asked, run, stopped. Slow: it starts once for all of these tests."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from loaders import airflow_service, processes
from loaders.airflow_api import AirflowApi, AirflowApiError, Run
from loaders.airflow_config import local_workers, metadata_database
from loaders.airflow_parts import PARTS
from loaders.airflow_service import Service
from loaders.contracts.model import load_contracts
from loaders.periods import TIMEZONE
from loaders.postgres.database import admin_url, conninfo
from loaders.settings import Settings
from tests.conftest import Warehouse, drop_airflow_metadata
from tests.integration import members

#: Its lists are due next month: what has not come is waited for.
MONTH = dt.datetime.now(TIMEZONE).strftime("%Y-%m")
SOURCES = [contract.source for contract in load_contracts()]
TIMEOUT_SECONDS = 240


@pytest.fixture(scope="module")
def settings(warehouse: Warehouse) -> Iterator[Settings]:
    yield warehouse.settings
    airflow_service.stop(warehouse.settings)
    drop_airflow_metadata()


@pytest.fixture(scope="module")
def service(settings: Settings) -> Service:
    members.prepare()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NQ42_ARRIVAL_POLL_SECONDS", "1")
        return airflow_service.up(settings, schedules_start=dt.datetime.now(dt.UTC))


@pytest.fixture(scope="module")
def api(service: Service) -> Iterator[AirflowApi]:
    with AirflowApi(service) as client:
        yield client


@pytest.fixture(scope="module")
def runs(api: AirflowApi, settings: Settings) -> dict[str, Run]:
    """The imports of a month in which nothing arrived but one empty file, and what follows."""
    empty = settings.inbox / "housing" / MONTH / f"NhaTam_{MONTH.replace('-', '')}.xlsx"
    empty.parent.mkdir(parents=True)
    empty.touch()
    # Those that follow are known by then, or they would miss the events of the imports.
    _wait(lambda: {f"import_{source}" for source in SOURCES} <= api.dag_ids())
    started = {s: api.trigger(f"import_{s}", MONTH, f"test_{MONTH}") for s in SOURCES}
    found: dict[str, Run] = {}

    def finished() -> bool:
        for source, run in started.items():
            found[source] = next(r for r in api.runs(run.dag_id) if r.run_id == run.run_id)
        releases = api.runs("build_and_publish")
        if releases:
            found["release"] = releases[0]
        return "release" in found and all(run.is_finished for run in found.values())

    _wait(finished)
    return found


def _most_queued() -> int:
    """How many tasks stood in the executor's queue at once, at most."""
    metadata = conninfo(admin_url(metadata_database()))
    with psycopg.connect(metadata) as connection:
        query = "select queued_dttm, start_date from task_instance where queued_dttm < start_date"
        rows = connection.execute(query).fetchall()
    return max(sum(queued <= at < started for queued, started in rows) for at, _ in rows)


def _wait(condition) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(1)


def _states(api: AirflowApi, run: Run) -> dict[str, str | None]:
    return {task.name: task.state for task in api.tasks(run)}


def test_what_arrived_not_needs_no_task_of_its_own_and_the_month_is_announced(
    api: AirflowApi, runs: dict[str, Run]
) -> None:
    assert runs["education"].state == "success"
    assert _states(api, runs["education"]) == {
        "take": "success",
        "take_one": "skipped",
        "conclude": "skipped",
    }


def test_bad_data_fail_visibly_and_once_and_the_month_is_announced(
    api: AirflowApi, runs: dict[str, Run]
) -> None:
    run = runs["housing"]
    assert run.state == "failed"
    assert _states(api, run) == {
        "take": "success",
        "take_one [temporary_houses]": "failed",
        "conclude": "success",
    }
    failed = next(task for task in api.tasks(run) if task.state == "failed")
    assert failed.try_number == 1
    assert "is empty (0 bytes)" in "\n".join(api.log_tail(run, failed))


def test_one_release_run_follows_when_every_source_has_concluded(
    api: AirflowApi, runs: dict[str, Run]
) -> None:
    assert runs["release"].period == MONTH
    build = next(task for task in api.tasks(runs["release"]) if task.task_id == "build")
    assert (build.state, build.try_number) == ("failed", 1)
    assert "nothing is accepted" in "\n".join(api.log_tail(runs["release"], build))


def test_tasks_wait_where_the_scheduler_chooses_by_priority(runs: dict[str, Run]) -> None:
    """Not in the executor's queue, where a release would stand behind all imports."""
    assert runs
    assert 0 < _most_queued() <= 2 * local_workers()


def test_what_comes_later_is_waited_for_without_a_worker_and_published_again(
    api: AirflowApi, runs: dict[str, Run], settings: Settings
) -> None:
    due = [d for contract in load_contracts() for d in contract.datasets if d.period_in(MONTH)]
    _wait(lambda: api.runs("await_deliveries"))
    (run,) = api.runs("await_deliveries")
    assert run.period == MONTH

    def states() -> list[str | None]:
        return sorted(str(t.state) for t in api.tasks(run) if t.task_id == "take")

    # All but the one that was refused.
    _wait(lambda: states() == ["deferred"] * (len(due) - 1))
    year, month = MONTH.split("-")
    rows = [members.row(i, month=f"{month}/{year}").replace("2025;", f"{year};") for i in range(9)]
    members.deliver(Warehouse(settings, admin_url()), rows, MONTH)
    _wait(lambda: states() == ["deferred"] * (len(due) - 2) + ["success"])
    _wait(lambda: len(api.runs("build_and_publish")) == 2)
    assert {run.period for run in api.runs("build_and_publish")} == {MONTH}


def test_no_other_month_is_run(api: AirflowApi, runs: dict[str, Run]) -> None:
    assert runs
    every = [run for source in SOURCES for run in api.runs(f"import_{source}")]
    assert {run.period for run in every} == {MONTH}


def test_requests_without_a_login_are_refused(service: Service) -> None:
    answer = httpx.get(f"{service.url}/api/v2/dags", trust_env=False)
    assert answer.status_code == 401


def test_a_refusal_carries_airflows_own_words(api: AirflowApi) -> None:
    with pytest.raises(AirflowApiError, match="404"):
        api.trigger("import_nobody", MONTH, "x")


def test_secrets_are_for_the_owner_only(service: Service, settings: Settings) -> None:
    folder = settings.home / "airflow"
    for name in ("secrets.json", "passwords.json", "service.json"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600, name
    assert folder.stat().st_mode & 0o077 == 0
    logs = (settings.home / "logs").rglob("*.log")
    assert not any(service.password in log.read_text(errors="replace") for log in logs)


def test_it_listens_on_one_port_of_loopback(service: Service, settings: Settings) -> None:
    addresses = _listening(_members(settings))
    assert addresses == {("127.0.0.1", int(service.url.rpartition(":")[2]))}


def test_a_second_start_finds_the_first(service: Service, settings: Settings) -> None:
    before = _members(settings)
    assert airflow_service.up(settings) == service
    assert before & _members(settings)


def test_nothing_is_left_even_when_a_leader_was_killed(
    service: Service, settings: Settings, runs: dict[str, Run]
) -> None:
    assert service and runs  # the last test: it stops what the others use
    record = json.loads((settings.home / "airflow" / "service.json").read_text())
    os.kill(record["processes"]["scheduler"]["pid"], signal.SIGKILL)
    assert _members(settings)
    assert airflow_service.stop(settings)
    assert _members(settings) == set()
    assert not airflow_service.stop(settings)
    assert airflow_service.status(settings) is None


def test_a_stale_file_stops_nobody(settings: Settings) -> None:
    """The number of a dead process may by now belong to another one: here, to this test."""
    folder = settings.home / "airflow"
    folder.mkdir(exist_ok=True)
    parts = {name: {"pid": os.getpid(), "started": "1"} for name in PARTS}
    document = {"url": "http://127.0.0.1:9", "processes": parts}
    (folder / "service.json").write_text(json.dumps(document))
    assert airflow_service.status(settings) is None
    assert not airflow_service.stop(settings)


def _members(settings: Settings) -> set[int]:
    """Processes with this installation's Airflow folder in their environment."""
    mark = f"AIRFLOW_HOME={settings.home / 'airflow'}".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and processes.exists(int(entry.name)):
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                continue
            if mark in variables:
                found.add(int(entry.name))
    return found


def _listening(pids: set[int]) -> set[tuple[str, int]]:
    """Addresses on which these processes accept connections, IPv4 and IPv6."""
    sockets = set()
    for pid in pids:
        for link in (Path("/proc") / str(pid) / "fd").glob("*"):
            try:
                sockets.add(str(link.readlink()))
            except FileNotFoundError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                address, port = fields[1].split(":")
                octets = [str(int(address[i : i + 2], 16)) for i in (6, 4, 2, 0)]
                name = ".".join(octets) if table == "tcp" else address
                found.add((name, int(port, 16)))
    return found
