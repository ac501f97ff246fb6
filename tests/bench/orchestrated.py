"""Months through a running Airflow, by its own backfill: seconds from the first trigger to the end.

A program of its own, because the settings of a process are read once:
`python -m tests.bench.orchestrated 2024-01 2025-12`.
"""

from __future__ import annotations

import datetime as dt
import sys
import time

from loaders import airflow_service
from loaders.airflow_api import WAITING_TASK, AirflowApi, Run
from loaders.contracts.model import load_contracts
from loaders.demo import ANSWER, RELEASE_DAG
from loaders.periods import end_of
from loaders.settings import get_settings

IMPORTS = [f"import_{contract.source}" for contract in load_contracts()]
POLL_SECONDS = 2


def run(first: str, last: str) -> tuple[float, float]:
    """Seconds from the first trigger to the end, and the seconds of all tasks together."""
    settings = get_settings()
    try:
        service = airflow_service.up(settings, schedules_start=dt.datetime.now(dt.UTC))
        with AirflowApi(service) as api:
            while not {*IMPORTS, RELEASE_DAG} <= api.dag_ids():
                time.sleep(POLL_SECONDS)
            started = time.monotonic()
            for dag_id in IMPORTS:
                api.backfill(dag_id, dt.date.fromisoformat(f"{first}-01"), end_of(last))
            runs = _wait(api)
            seconds = time.monotonic() - started
            tasks = [task for run in runs for task in api.tasks(run)]
            bad = [r for r in runs if r.state != "success"]
            assert not bad, bad
            return seconds, sum(task.seconds or 0 for task in tasks)
    finally:
        airflow_service.stop(settings)


def _wait(api: AirflowApi) -> list[Run]:
    """All runs, when the imports are over and what they caused is; questions are answered."""
    answered: set[str] = set()
    while True:
        time.sleep(POLL_SECONDS)
        releases = api.runs(RELEASE_DAG)
        for release in releases:
            if release.is_finished or release.run_id in answered:
                continue
            for task in api.tasks(release):
                if task.state == WAITING_TASK:
                    answered.add(release.run_id)
                    api.answer(release, task, "Approve", ANSWER)
        if releases and all(run.is_finished for run in releases):
            imports = [run for dag_id in IMPORTS for run in api.runs(dag_id)]
            periods = {run.period for run in imports}
            if all(run.is_finished for run in imports) and len(releases) == len(periods):
                return [*imports, *releases]


if __name__ == "__main__":
    print(*run(*sys.argv[1:]))
