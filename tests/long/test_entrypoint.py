"""Every part of Airflow as a container starts it, by the entrypoint, without a container."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from loaders import processes
from loaders.airflow_parts import HOST, PARTS, WORKER
from loaders.postgres.database import conninfo
from loaders.settings import PROJECT_ROOT
from tests.redis_server import redis_server

ENTRYPOINT = PROJECT_ROOT / "docker" / "entrypoint.sh"
START_SECONDS, STOP_SECONDS = 240, 60


@dataclass(frozen=True)
class Containers:
    """An environment as compose.yaml gives it, and the parts that run in it."""

    variables: dict[str, str]
    home: Path
    running: dict[str, subprocess.Popen[bytes]]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ENTRYPOINT, *arguments],
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def is_alive(self, part: str) -> bool:
        return self.run(part, "--check").returncode == 0

    def start(self, part: str) -> None:
        with (self.home.parent / f"{part}.log").open("wb") as log:
            self.running[part] = subprocess.Popen(
                [ENTRYPOINT, part],
                env=self.variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self, part: str) -> str:
        return (self.home.parent / f"{part}.log").read_text(errors="replace")


@pytest.fixture(scope="module")
def containers(empty: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    folder = tmp_path_factory.mktemp("containers")
    secrets = folder / "secrets"
    subprocess.run([PROJECT_ROOT / "docker" / "make_secrets.sh", secrets], check=True)
    address = empty.set(drivername="postgresql").render_as_string(hide_password=False)
    with redis_server(tmp_path_factory.mktemp("redis")) as redis_url:
        for name, value in (("database_url", address), ("redis_url", redis_url)):
            (secrets / name).chmod(0o600)
            (secrets / name).write_text(f"{value}\n")
        port = processes.free_port(HOST, folder / "port")
        variables = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(PROJECT_ROOT),
            "HOME": str(folder / "no-home"),
            "NQ42_HOME": str(folder / "home"),
            "NQ42_EXECUTOR": "celery",
            "NQ42_WORKERS": "1",
            "NQ42_AIRFLOW_URL": f"http://{HOST}:{port}",
            **{
                f"NQ42_{name.upper()}_FILE": str(secrets / name)
                for name in ("database_url", "redis_url", "pseudonym_key", "bi_password")
            },
        }
        found = Containers(variables, folder / "home", {})
        yield found
        processes.stop_sessions([p.pid for p in found.running.values()], STOP_SECONDS)
        for process in found.running.values():
            process.wait()


@pytest.fixture(scope="module")
def empty(database_server: URL) -> Iterator[URL]:
    """A database without migrations, and none of Airflow's beside it."""
    names = ("nq42_test_containers", "nq42_test_containers_airflow")

    def drop() -> None:
        with psycopg.connect(conninfo(database_server), autocommit=True) as connection:
            for name in names:
                statement = sql.SQL("drop database if exists {} with (force)")
                connection.execute(statement.format(sql.Identifier(name)))

    drop()
    with psycopg.connect(conninfo(database_server), autocommit=True) as connection:
        create = sql.SQL("create database {} template template0 encoding 'UTF8'")
        connection.execute(create.format(sql.Identifier(names[0])))
    yield make_url(database_server).set(database=names[0])
    drop()


def test_prepare_leaves_a_warehouse_and_keys_and_can_be_run_again(containers: Containers) -> None:
    assert not containers.is_alive("scheduler")
    done = containers.run("prepare")
    assert done.returncode == 0, done.stderr[-3000:]
    keys = (containers.home / "airflow" / "secrets.json").read_bytes()
    done = containers.run("prepare")
    assert done.returncode == 0, done.stderr[-3000:]
    assert (containers.home / "airflow" / "secrets.json").read_bytes() == keys


def test_every_part_comes_to_life(containers: Containers) -> None:
    parts = (*PARTS, WORKER)
    for part in parts:
        assert not containers.is_alive(part), part
        containers.start(part)
    deadline = time.monotonic() + START_SECONDS
    for part in parts:
        while not containers.is_alive(part):
            assert containers.running[part].poll() is None, containers.log(part)[-3000:]
            assert time.monotonic() < deadline, containers.log(part)[-3000:]
    url = containers.variables["NQ42_AIRFLOW_URL"]
    health = httpx.get(f"{url}/api/v2/monitor/health", trust_env=False).json()
    assert {part["status"] for part in health.values()} == {"healthy"}


def test_no_process_shows_a_secret_in_its_arguments(containers: Containers) -> None:
    secrets = Path(containers.variables["NQ42_REDIS_URL_FILE"]).parent
    words = [path.read_text().split()[-1] for path in secrets.iterdir() if path.is_file()]
    sessions = [process.pid for process in containers.running.values()]
    shown = [Path(f"/proc/{pid}/cmdline").read_text() for pid in processes.members(sessions)]
    assert len(shown) > 5
    assert not [line for line in shown for word in words if word in line]


@pytest.mark.parametrize("part", [WORKER, "triggerer", "dag-processor", "scheduler", "api-server"])
def test_a_part_that_is_told_to_stop_stops_and_is_seen_as_dead(
    containers: Containers, part: str
) -> None:
    process = containers.running[part]
    os.kill(process.pid, signal.SIGTERM)  # as Docker does: to the first process only
    process.wait(STOP_SECONDS)
    assert not containers.is_alive(part)
