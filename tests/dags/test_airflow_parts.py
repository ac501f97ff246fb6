"""How the parts of Airflow are set up, and what stops them before they start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from pydantic import ValidationError

from loaders import airflow_service
from loaders.airflow_config import AirflowServiceError, environment, locked
from loaders.airflow_parts import HOST, answering_workers, check_redis, part_names
from loaders.processes import free_port
from loaders.settings import PROJECT_ROOT, Settings, get_settings
from tests.conftest import Warehouse
from tests.redis_server import RedisServer, redis_server

PASSWORD = "pass-4711"


@pytest.fixture
def nobody(tmp_path: Path) -> str:
    """The address of a Redis server that is not there."""
    return f"redis://:{PASSWORD}@{HOST}:{free_port(HOST, tmp_path / 'port')}/0"


def celery(home: Path, url: str) -> Settings:
    return Settings(executor="celery", redis_url=url, home=home)


def variables_of(settings: Settings) -> dict[str, str]:
    with locked(settings.home / "airflow"):
        return environment(settings, "http://127.0.0.1:1", listen=HOST, port=1)


def last_line(program: str, variables: dict[str, str]) -> str:
    """What a Python program that Airflow's settings reach prints last."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=variables,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


def test_without_redis_airflow_does_not_start_and_says_why(nobody: str, tmp_path: Path) -> None:
    with pytest.raises(AirflowServiceError, match="Connection refused") as caught:
        airflow_service.up(celery(tmp_path, nobody))
    assert "NQ42_REDIS_URL" in str(caught.value) and PASSWORD not in str(caught.value)
    assert not (tmp_path / "airflow").exists()


def test_a_wrong_password_for_redis_is_told(tmp_path: Path) -> None:
    with redis_server(tmp_path) as url:
        check_redis(celery(tmp_path, url))
        host = url.rpartition("@")[2]
        with pytest.raises(AirflowServiceError, match="invalid username-password") as caught:
            check_redis(celery(tmp_path, f"redis://:{PASSWORD}@{host}"))
        assert PASSWORD not in str(caught.value)


def test_workers_are_asked_again_by_a_redis_that_was_started_anew(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    settings = celery(tmp_path, server.url)
    with Celery("worker", broker=server.url, set_as_current=False) as app:
        try:
            with start_worker(app, hostname="celery@worker-1", perform_ping_check=False):
                assert answering_workers(settings) == {"worker-1"}
            server.stop()
            assert answering_workers(settings) == set()
            server.start()
            with start_worker(app, hostname="celery@worker-1", perform_ping_check=False):
                assert answering_workers(settings) == {"worker-1"}
        finally:
            server.stop()


def test_celery_without_an_address_of_redis_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs NQ42_REDIS_URL"):
        Settings(executor="celery")
    with pytest.raises(ValidationError, match="must start with redis://"):
        Settings(executor="celery", redis_url="http://server")


def test_workers_are_parts_under_celery_only(nobody: str, tmp_path: Path) -> None:
    common = {"api-server", "scheduler", "dag-processor", "triggerer"}
    assert set(part_names(Settings())) == common
    assert set(part_names(celery(tmp_path, nobody))) == common | {"worker-1", "worker-2"}


def test_lineage_and_metrics_are_off_until_an_address_is_given(warehouse: Warehouse) -> None:
    variables = variables_of(warehouse.settings)
    assert variables["AIRFLOW__OPENLINEAGE__DISABLED"] == "True"
    assert variables["AIRFLOW__METRICS__OTEL_ON"] == "False"
    assert not [name for name in variables if name.startswith("OTEL_")]


def test_every_option_that_is_set_is_known_to_airflow(warehouse: Warehouse, nobody: str) -> None:
    """A misspelt or retired option would be ignored without a word."""
    settings = get_settings().model_copy(
        update={
            "executor": "celery",
            "redis_url": celery(warehouse.home, nobody).redis_url,
            "openlineage_url": "http://127.0.0.1:1",
            "otel_url": "http://127.0.0.1:1",
        }
    )
    variables = variables_of(settings) | {
        "AIRFLOW__METRICS__OTEL_ON": "False",  # nobody listens there
        "AIRFLOW__CORE__EXECUTER": "one that has to be found",
    }
    known = """
import os
from airflow.configuration import conf
options = [n.split("__")[1:] for n in os.environ if n.startswith("AIRFLOW__")]
known = {
    (section.upper(), option.upper())
    for section, description in conf.configuration_description.items()
    for option, details in description["options"].items()
    if not details.get("version_deprecated")
}
free = {"CELERY_BROKER_TRANSPORT_OPTIONS"}
known.add(("SCHEDULER", "NUM_STUCK_IN_QUEUED_RETRIES"))  # the next test sees that it is read
print([pair for pair in options if tuple(pair) not in known and pair[0] not in free])
"""
    assert last_line(known, variables) == "[['CORE', 'EXECUTER']]"


@pytest.mark.parametrize(
    ("executor", "expected"), [("celery", "120.0 1000000"), ("local", "86400.0 2")]
)
def test_the_scheduler_reads_how_long_a_task_may_be_handed_out(
    warehouse: Warehouse, nobody: str, executor: str, expected: str
) -> None:
    """Under Celery it goes out again, however often; in local processes it may wait for long."""
    url = celery(warehouse.home, nobody).redis_url
    settings = get_settings().model_copy(update={"executor": executor, "redis_url": url})
    asked = """
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
runner = SchedulerJobRunner(Job())
print(runner._task_queued_timeout, runner._num_stuck_queued_retries)
"""
    assert last_line(asked, variables_of(settings)) == expected


@pytest.mark.parametrize(("is_away", "expected"), [(True, "1 0 0"), (False, "0 1 1")])
def test_a_task_waits_in_the_scheduler_while_redis_is_away(
    warehouse: Warehouse, tmp_path: Path, is_away: bool, expected: str
) -> None:
    server = RedisServer(tmp_path)
    settings = get_settings().model_copy(
        update={"executor": "celery", "redis_url": celery(warehouse.home, server.url).redis_url}
    )
    handed_out = """
import uuid
from airflow.executors.executor_loader import ExecutorLoader
from airflow.executors.workloads import BundleInfo, ExecuteTask
from airflow.executors.workloads.task import TaskInstanceDTO
executor = ExecutorLoader.get_default_executor()
ti = TaskInstanceDTO(
    id=uuid.uuid4(), dag_version_id=uuid.uuid4(), task_id="land", dag_id="import_health",
    run_id="r", try_number=1, map_index=-1, pool_slots=1, queue="default", priority_weight=1,
)
executor.queue_workload(
    ExecuteTask(
        ti=ti, dag_rel_path="d.py", token="t", log_path=None, bundle_info=BundleInfo(name="b")
    ),
    session=None,
)
executor.trigger_tasks(4)
print(len(executor.queued_tasks), len(executor.running), len(executor.event_buffer))
"""
    try:
        if is_away:
            server.stop()
        found = last_line(handed_out, variables_of(settings))
    finally:
        server.stop()
    assert found == expected
