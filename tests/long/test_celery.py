"""A month under CeleryExecutor, a real Redis server and two workers: the same as bare."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy.engine import URL, make_url

from loaders import airflow_service, processes
from loaders.airflow_api import AirflowApi
from loaders.demo import MonthRuns, progress_bars
from loaders.postgres.database import admin_url
from loaders.sample import generate
from loaders.settings import Settings, get_settings
from loaders.stages.setup import prepare_warehouse
from tests.bench.bare import run_bare
from tests.conftest import TEST_KEY, Warehouse, drop_airflow_metadata, empty_warehouse
from tests.end_to_end.identifiers import identifiers, leaks
from tests.marts import published_figures
from tests.redis_server import redis_server
from tests.telemetry_sink import Sink, telemetry_sink

MONTH, SCALE, SEED = "2025-12", 0.005, 42


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with telemetry_sink() as server:
        yield server


@pytest.fixture(scope="module")
def settings(
    warehouse: Warehouse, sink: Sink, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    with (
        redis_server(tmp_path_factory.mktemp("redis")) as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("NQ42_EXECUTOR", "celery")
        patch.setenv("NQ42_REDIS_URL", url)
        patch.setenv("NQ42_OPENLINEAGE_URL", sink.url)
        patch.setenv("NQ42_OTEL_URL", sink.url)
        patch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "2000")  # a minute, if nothing is said
        get_settings.cache_clear()
        prepare_warehouse()
        generate([MONTH], SCALE, SEED, get_settings().inbox, None)
        yield get_settings()
        airflow_service.stop(get_settings())
        drop_airflow_metadata()


@pytest.fixture(scope="module")
def figures(settings: Settings) -> dict[str, list[object]]:
    """What is published after the month went through the workers."""
    service = airflow_service.up(settings, schedules_start=dt.datetime.now(dt.UTC))
    with AirflowApi(service) as api, progress_bars(Console(stderr=True)) as progress:
        assert not MonthRuns(api, progress, (MONTH,), "celery").run()
    return published_figures()


def test_the_release_is_that_of_a_run_without_airflow(
    figures: dict[str, list[object]],
    settings: Settings,
    database_server: URL,
    _template: str,
    tmp_path: Path,
) -> None:
    with empty_warehouse(database_server, _template, tmp_path) as other:
        prepare_warehouse()
        generate([MONTH], SCALE, SEED, other.inbox, None)
        run_bare(MONTH)
        assert published_figures() == figures
    assert len(figures["fct_kpi_value"]) > 1000


def test_both_workers_took_tasks(figures: dict[str, list[object]], settings: Settings) -> None:
    assert figures
    for number in (1, 2):
        log = (settings.home / "logs" / f"airflow-worker-{number}.log").read_text()
        assert log.count("Executing workload in Celery") > 2, log[-2000:]


def test_lineage_of_the_runs_went_to_the_server_of_the_setting(
    figures: dict[str, list[object]], sink: Sink
) -> None:
    assert figures
    events = sink.lineage()
    for job in ("import_housing", "import_housing.take", "build_and_publish.publish"):
        kinds = {event["eventType"] for event in events if event["job"]["name"] == job}
        assert {"START", "COMPLETE"} <= kinds, job
    assert {event["job"]["namespace"] for event in events} == {"nq42"}


def test_metrics_of_every_part_went_to_the_server_of_the_setting(
    figures: dict[str, list[object]], sink: Sink
) -> None:
    assert figures
    heartbeats = {f"airflow.{part}_heartbeat" for part in ("scheduler", "triggerer")}
    assert heartbeats <= sink.metrics()


def test_neither_carries_a_secret_or_a_person(
    figures: dict[str, list[object]], sink: Sink, settings: Settings
) -> None:
    assert figures and settings.redis_url
    folder = settings.home / "airflow"
    kept = [json.loads((folder / name).read_text()) for name in ("secrets.json", "passwords.json")]
    words = {
        str(admin_url().password),
        str(make_url(settings.redis_url.get_secret_value()).password),
    }
    words |= {TEST_KEY, *(value for document in kept for value in document.values())}
    assert len(words) == 7
    numbers, names = identifiers(settings.inbox, (MONTH,))
    assert numbers and names
    text = "\n".join(body.decode(errors="replace") for _, body in sink.received)
    assert not leaks(text, numbers, names)
    assert not [path for path, body in sink.received for word in words if word.encode() in body]


def test_workers_fork_with_the_slow_imports_done(
    figures: dict[str, list[object]], settings: Settings
) -> None:
    assert figures
    parts = json.loads((settings.home / "airflow" / "service.json").read_text())["processes"]
    for number in (1, 2):
        maps = Path(f"/proc/{parts[f'worker-{number}']['pid']}/maps").read_text()
        assert "libarrow" in maps  # of the process that forks, which runs no task itself


def test_a_worker_that_died_makes_the_next_start_begin_anew(
    figures: dict[str, list[object]], settings: Settings
) -> None:
    assert figures
    record = settings.home / "airflow" / "service.json"
    before = json.loads(record.read_text())["processes"]
    os.kill(before["worker-2"]["pid"], signal.SIGKILL)
    while processes.exists(before["worker-2"]["pid"]):
        time.sleep(0.1)
    assert airflow_service.status(settings) is None
    assert airflow_service.up(settings) == airflow_service.status(settings)
    after = json.loads(record.read_text())["processes"]
    assert all(after[name]["pid"] != before[name]["pid"] for name in before)
    assert airflow_service.stop(settings)
