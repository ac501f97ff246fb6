"""Months through a running Airflow, by its own backfill: from the first trigger to the end.

A program of its own, because the settings of a process are read once:
`python -m tests.bench.orchestrated 2025-11 2025-12`, each month in order. It says how far it is;
its last line is an `Orchestrated` as JSON.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from loaders import airflow_service
from loaders.airflow_api import WAITING_TASK, AirflowApi, Run
from loaders.contracts.model import load_contracts
from loaders.demo import ANSWER, RELEASE_DAG
from loaders.periods import end_of, start_of
from loaders.settings import get_settings
from tests.bench.bare import Timer

IMPORTS = [f"import_{contract.source}" for contract in load_contracts()]
#: Each question costs the API server time that the tasks could have had.
POLL_SECONDS = 5
#: An import that has ended causes its release run within seconds.
QUIET_SECONDS = 300
SAY_EVERY_SECONDS = 60


@dataclass(frozen=True)
class Orchestrated:
    """What the months took.

    Attributes:
        seconds: from the first trigger to the end of the last run.
        busy_seconds: of all processors of the machine in that time.
        task_seconds: of all tasks together.
        runs: of the imports, and of the release.
        tasks: those for which a process was started; one that waited had more than one.
    """

    seconds: float
    busy_seconds: float
    task_seconds: float
    runs: int
    tasks: int


def run(months: Sequence[str]) -> Orchestrated:
    """Bring consecutive months through all imports and to their releases.

    Raises:
        AssertionError: a run did not end well.
    """
    settings = get_settings()
    try:
        service = airflow_service.up(settings, schedules_start=dt.datetime.now(dt.UTC))
        with AirflowApi(service) as api:
            while not {*IMPORTS, RELEASE_DAG} <= api.dag_ids():
                time.sleep(POLL_SECONDS)
            with Timer() as timer:
                for dag_id in IMPORTS:
                    api.backfill(dag_id, start_of(months[0]), end_of(months[-1]))
                _wait_for_imports(api)
                releases = _wait_for_releases(api, len(months))
            imports = [run for dag_id in IMPORTS for run in api.runs(dag_id)]
            assert len(imports) == len(IMPORTS) * len(months), len(imports)
            runs = [*imports, *releases]
            bad = [run for run in runs if run.state != "success"]
            assert not bad, bad
            tasks = [task for run in runs for task in api.tasks(run)]
            return Orchestrated(
                seconds=timer.seconds,
                busy_seconds=timer.busy_seconds,
                task_seconds=sum(task.seconds or 0 for task in tasks),
                runs=len(runs),
                # What the scheduler skips by itself has had no try.
                tasks=sum(task.try_number > 0 for task in tasks),
            )
    finally:
        airflow_service.stop(settings)


def _wait_for_imports(api: AirflowApi) -> None:
    """One count at a time. A question that is asked meanwhile waits: a later release follows."""
    said = 0.0
    while True:
        left, oldest = api.unfinished(IMPORTS)
        if oldest is None:
            return
        if time.monotonic() - said > SAY_EVERY_SECONDS:
            said = time.monotonic()
            print(f"import runs left: {left}, the oldest of {oldest.period}", flush=True)
        time.sleep(POLL_SECONDS)


def _wait_for_releases(api: AirflowApi, expected: int) -> list[Run]:
    """At least one run for each month, all ended; what waits for a person is answered."""
    print("imports are over, releases run", flush=True)
    answered: set[str] = set()
    busy = time.monotonic()
    while True:
        releases = api.runs(RELEASE_DAG)
        unfinished = [release for release in releases if not release.is_finished]
        if len(releases) >= expected and not unfinished:
            return releases
        busy = time.monotonic() if unfinished else busy
        assert time.monotonic() < busy + QUIET_SECONDS, f"{len(releases)} releases of {expected}"
        for release in unfinished:
            if release.state != "running" or release.run_id in answered:
                continue
            for task in api.tasks(release):
                if task.state == WAITING_TASK:
                    answered.add(release.run_id)
                    api.answer(release, task, "Approve", ANSWER)
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    print(json.dumps(asdict(run(sys.argv[1:]))))
