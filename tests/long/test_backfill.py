"""Two months are backfilled in parallel by a real Airflow, and published once."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator

import pytest

from loaders import airflow_service
from loaders.airflow_api import AirflowApi, Run
from loaders.contracts.model import load_contracts
from loaders.postgres.database import Role, connect
from loaders.sample import generate
from loaders.stages.postponed import POSTPONED
from loaders.stages.setup import prepare_warehouse
from tests.conftest import Warehouse, drop_airflow_metadata
from tests.end_to_end.conftest import SCALE, SEED

MONTHS = ("2025-06", "2025-07")
IMPORTS = [f"import_{contract.source}" for contract in load_contracts()]
TIMEOUT_SECONDS = 1500


@pytest.fixture(scope="module")
def api(warehouse: Warehouse) -> Iterator[AirflowApi]:
    generate(list(MONTHS), SCALE, SEED, warehouse.inbox, None)
    prepare_warehouse()
    now = dt.datetime.now(dt.UTC)
    try:
        service = airflow_service.up(warehouse.settings, schedules_start=now)
        with AirflowApi(service) as client:
            yield client
    finally:
        airflow_service.stop(warehouse.settings)
        drop_airflow_metadata()


def _wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(2)


def test_a_backfill_takes_months_at_once_and_publishes_once(api: AirflowApi) -> None:
    _wait(lambda: set(IMPORTS) <= api.dag_ids())
    for dag_id in IMPORTS:
        api.backfill(dag_id, dt.date(2025, 6, 1), dt.date(2025, 7, 31))
    releases: list[Run] = []
    together = 0

    def ended() -> bool:
        nonlocal together
        imports = [run for dag_id in IMPORTS for run in api.runs(dag_id)]
        together = max(together, len({r.period for r in imports if r.state == "running"}))
        releases[:] = api.runs("build_and_publish")
        return len(releases) >= len(MONTHS) and all(r.is_finished for r in [*imports, *releases])

    _wait(ended)
    assert together == len(MONTHS)
    assert sorted(run.period or "" for run in releases) == list(MONTHS)
    builds = {
        run.period: next(task.state for task in api.tasks(run) if task.task_id == "build")
        for run in releases
    }
    assert sorted(map(str, builds.values())) == ["skipped", "success"]
    with connect(Role.AUDITOR) as connection:
        published = connection.execute("select period from publication.release").fetchall()
        postponed = connection.execute(
            "select payload ->> 'period' from audit.event where kind = %s", (POSTPONED,)
        ).fetchall()
    assert published == [(MONTHS[1],)]
    assert postponed == [(next(m for m, state in builds.items() if state == "skipped"),)]
