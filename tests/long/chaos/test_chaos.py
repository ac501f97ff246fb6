"""Random processes are killed at random moments; what comes out is what would have come anyway.

    CHAOS_RUNS=100 CHAOS_SEED=7 CHAOS_EXECUTOR=celery pytest -s tests/long/chaos

Each run restates two lists of a month, imports them and releases the month through a real Airflow.
At a moment drawn from the time that this takes undisturbed, one process gets SIGKILL; then
`nq42 up` once, and no other step. An installation that is left alone gets the same files. With
Celery there are two workers and a Redis server, which is started again as a service manager would,
after a while; it keeps nothing on disk, so that a kill loses every task that was handed out.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import URL

from loaders import airflow_config, airflow_service, processes
from loaders.airflow_api import Run
from loaders.postgres.database import conninfo
from loaders.postgres.embedded import create_database
from loaders.sample import generate
from loaders.settings import PROJECT_ROOT, get_settings
from loaders.stages.intake import import_source
from loaders.stages.setup import prepare_warehouse
from tests.conftest import TEST_BI_PASSWORD, TEST_KEY
from tests.end_to_end.conftest import import_month, release
from tests.long.chaos.deliveries import LISTS, MONTH, VARIANTS, read_lists, restate
from tests.long.chaos.installation import (
    Airflow,
    Installation,
    differences,
    leftovers,
    marts,
    release_ids,
    remove,
    restart,
    rows,
)
from tests.long.chaos.targets import Killed, Targets
from tests.redis_server import RedisServer

RUNS = int(os.environ.get("CHAOS_RUNS", "2"))
#: No further run is begun after so many seconds.
SECONDS = float(os.environ.get("CHAOS_SECONDS", "inf"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
EXECUTOR = os.environ.get("CHAOS_EXECUTOR", "local")
SCALE = 0.002
#: Shorter than in service, so that a run does not mostly wait: what Airflow does is the same.
SOONER = {
    "scheduler_heartbeat_sec": 1,
    "scheduler_health_check_threshold": 10,
    "orphaned_tasks_check_interval": 5,
    "task_instance_heartbeat_timeout": 20,
    "task_instance_heartbeat_timeout_detection_interval": 5,
}
LOST_SOONER = {"task_queued_timeout": 30, "task_queued_timeout_check_interval": 5}
#: A policy of Airflow's own, for all tasks of this installation: seconds between tries.
POLICY = """
import datetime as dt

def task_policy(task):
    task.retry_delay = dt.timedelta(seconds=3)
    for rule in getattr(task.retry_policy, "rules", []):
        if rule.retry_delay < dt.timedelta(hours=1):
            object.__setattr__(rule, "retry_delay", task.retry_delay)
"""
DAGS = [f"import_{source}" for source in LISTS]
RELEASE_DAG = "build_and_publish"
PATIENCE_SECONDS = 900
#: Longer than all tries of a task last under `POLICY`.
REDIS_AWAY_SECONDS = 15


@dataclass
class Blow:
    """One process, killed at its moment by a thread of its own."""

    target: str
    moment: float
    targets: Targets
    killed: Killed | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        threading.Thread(target=self._strike, daemon=True).start()

    def _strike(self) -> None:
        time.sleep(self.moment)
        try:
            self.killed = self.targets.kill(self.target)
        finally:
            self.done.set()


@dataclass
class Chaos:
    """The disturbed installation, the one that is left alone, and what each variant leads to."""

    disturbed: Installation
    alone: Installation
    lists: dict[str, list[bytes]]
    chance: random.Random
    redis: RedisServer | None
    airflow: Airflow = field(default_factory=Airflow)
    marts: dict[int, dict[str, list[str]]] = field(default_factory=dict)

    def targets(self) -> Targets:
        return Targets(self.disturbed.home, self.chance, self.redis)

    def deliver(self, number: int) -> dict[str, Any]:
        """Send the lists of this run to both; what the undisturbed one then holds."""
        inboxes = [one.home / "inbox" for one in (self.disturbed, self.alone)]
        variant = number % VARIANTS
        restate(self.lists, variant, self.chance, inboxes)
        with self.alone.as_current():
            for source in LISTS:
                import_source(source, MONTH)
            if variant not in self.marts:
                release(MONTH)
                self.marts[variant] = marts()
            return rows()

    def run(self, number: int, blow: Blow | None) -> tuple[float, list[str]]:
        """Import and release; the seconds it took, and everything that is not as it should be."""
        expected = self.deliver(number)
        with self.disturbed.as_current():
            before = release_ids()
            started = time.monotonic()
            if blow:
                blow.start()
            states = self._drive(number, blow)
            seconds = time.monotonic() - started
            wrong = [f"{name} {state}" for name, state in states.items() if state != "success"]
            wrong += differences(rows(), expected)
            wrong += differences(marts(), self.marts[number % VARIANTS])
            if len(release_ids()) != len(before) + 1:
                wrong.append(f"releases {before[-1:]} → {release_ids()[-3:]}")
            time.sleep(1)  # sessions that end by themselves
            wrong += leftovers(get_settings().landing)
        return seconds, wrong

    def _drive(self, number: int, blow: Blow | None) -> dict[str, str]:
        """Start what is not started, wait for what runs, restart once after the blow."""
        runs: dict[str, Run] = {}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if blow and blow.done.is_set():
                if self.redis and not self.redis.pid:
                    time.sleep(REDIS_AWAY_SECONDS)
                    self.redis.start()
                restart()
                blow = None
            wanted = DAGS if len(runs) < len(DAGS) else [RELEASE_DAG]
            if all(runs[name].is_finished for name in DAGS if name in runs):
                for name in wanted:
                    if name not in runs:
                        started = self.airflow.start(name, MONTH, f"chaos_{SEED}_{number}")
                        runs.update({name: started} if started else {})
            found = self.airflow.look(list(runs.values())) if runs else None
            runs.update({run.dag_id: run for run, _ in found or []})
            if RELEASE_DAG in runs and runs[RELEASE_DAG].is_finished and blow is None:
                break
            time.sleep(0.3)
        return {name: runs[name].state if name in runs else "none" for name in (*DAGS, RELEASE_DAG)}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer | None]:
    if EXECUTOR != "celery":
        yield None
        return
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def chaos(database_server: URL, redis: RedisServer | None) -> Iterator[Chaos]:
    homes = [Path(tempfile.mkdtemp(prefix=f"nq42-{kind}-")) for kind in ("chaos", "calm")]
    common = {"NQ42_PSEUDONYM_KEY": TEST_KEY, "NQ42_BI_PASSWORD": TEST_BI_PASSWORD}
    own = database_server.set(database="chaos_calm").render_as_string(hide_password=False)
    broker = {"NQ42_REDIS_URL": redis.url} if redis else {}
    disturbed = Installation(
        {**common, **broker, "NQ42_EXECUTOR": EXECUTOR, "NQ42_HOME": str(homes[0])}
    )
    alone = Installation({**common, "NQ42_HOME": str(homes[1]), "NQ42_DATABASE_URL": own})
    for home in homes:
        home.chmod(0o755)  # root's PostgreSQL drops to a user who must reach it
    chance = random.Random(SEED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(airflow_config, "RECOVERY", SOONER)
        patch.setattr(airflow_config, "LOST", LOST_SOONER)
        try:
            with psycopg.connect(conninfo(database_server), autocommit=True) as connection:
                create_database(connection, "chaos_calm")
            for one in (alone, disturbed):
                with one.as_current():
                    _first_import()
            with disturbed.as_current():
                release(MONTH)
                policy = homes[0] / "airflow" / "config" / "airflow_local_settings.py"
                policy.parent.mkdir(parents=True)
                policy.write_text(POLICY, encoding="utf-8")
                restart()
            yield Chaos(disturbed, alone, read_lists(homes[0] / "inbox"), chance, redis)
        finally:
            with disturbed.as_current():
                airflow_service.down(get_settings())
            for home in homes:
                remove(home)


def _first_import() -> None:
    prepare_warehouse()
    generate([MONTH], SCALE, 42, get_settings().inbox, None)
    import_month(MONTH)


@pytest.fixture
def reader(chaos: Chaos, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A reader beside the test; what it saw is there once `stop` was called."""
    with chaos.disturbed.as_current():
        seen = tmp_path / "seen.json"
        cluster = chaos.disturbed.home / "postgres" / "cluster"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.long.chaos.reader", str(cluster), str(seen)],
            stdin=subprocess.PIPE,
            cwd=PROJECT_ROOT,
            env=os.environ.copy(),
        )

    def stop() -> dict[str, Any]:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0
        return json.loads(seen.read_text(encoding="utf-8"))

    yield {"stop": stop}
    process.kill()
    process.communicate()


def test_no_kill_loses_doubles_or_mixes_anything(chaos: Chaos, reader: dict[str, Any]) -> None:
    print(f"\nCHAOS_SEED={SEED} CHAOS_RUNS={RUNS} CHAOS_EXECUTOR={EXECUTOR}")
    usual, wrong = chaos.run(0, None)
    print(f"undisturbed: {usual:.0f} s")
    assert wrong == []
    targets = chaos.targets()
    names: list[str] = []
    failed: dict[int, list[str]] = {}
    hit = number = 0
    started = time.monotonic()
    while number < RUNS and time.monotonic() - started < SECONDS:
        number += 1
        if not names:
            names = targets.names
            chaos.chance.shuffle(names)
        blow = Blow(names.pop(), chaos.chance.uniform(0, usual), targets)
        seconds, wrong = chaos.run(number, blow)
        title = blow.killed.title[:60] if blow.killed else "nothing of the kind ran"
        hit += blow.killed is not None
        said = "whole" if not wrong else "; ".join(wrong)
        print(
            f"{number:3} {blow.target:16} at {blow.moment:5.1f} s  {seconds:5.0f} s  {said}"
            f"  ({title})",
            flush=True,
        )
        if wrong:
            failed[number] = wrong
    seen = reader["stop"]()
    print(f"{hit} of {number} runs hit; reader: {seen['polls']} polls, {seen['outages']} outages")
    with chaos.disturbed.as_current():
        published = release_ids()
    assert failed == {}
    assert seen["wrong"] == []
    assert seen["polls"] > number
    assert [release for release in published if release in seen["releases"]] == seen["releases"]


def test_a_service_that_only_looks_healthy_is_started_anew(chaos: Chaos) -> None:
    with chaos.disturbed.as_current():
        restart()
        (before,) = chaos.targets().find("scheduler")
        os.kill(before, signal.SIGSTOP)  # its last heartbeat is young, and no other will come
        restart()
        (now,) = chaos.targets().find("scheduler")
    assert now != before
    assert not processes.exists(before)
