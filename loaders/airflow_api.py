"""A small client of Airflow's REST API: what the demo asks for, and nothing else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import httpx

from loaders.airflow_service import Service

FINISHED = ("success", "failed")
#: Task states that need a person, the one that waits for an answer, and those in which nothing more
#: happens.
FAILED_TASK = ("failed", "upstream_failed")
WAITING_TASK = "awaiting_input"
FINISHED_TASK = (*FAILED_TASK, "success", "skipped", "removed")


class AirflowApiError(RuntimeError):
    """Airflow refused a request; the message is its own."""


@dataclass(frozen=True)
class Run:
    """A DAG run; `state` is queued, running, success or failed."""

    dag_id: str
    run_id: str
    period: str | None
    state: str

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED


@dataclass(frozen=True)
class TaskRun:
    """A task of a DAG run; `state` is None before it is scheduled.

    ``map_index`` counts the tasks that a mapped one became; ``mapped_to`` is what each stands for.
    """

    task_id: str
    state: str | None
    try_number: int
    seconds: float | None
    map_index: int = -1
    mapped_to: str | None = None

    @property
    def name(self) -> str:
        return f"{self.task_id} [{self.mapped_to}]" if self.mapped_to else self.task_id

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED_TASK


class AirflowApi:
    """Use as a `with` block; logs in at the start."""

    def __init__(self, service: Service) -> None:
        # A proxy of the environment must not see loopback traffic.
        self._client = httpx.Client(base_url=service.url, timeout=30, trust_env=False)
        credentials = {"username": service.user, "password": service.password}
        token = self._ask("POST", "/auth/token", json=credentials)["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def dag_ids(self) -> set[str]:
        """DAGs that can be started now."""
        found = self._ask("GET", "/api/v2/dags", params={"limit": 100, "exclude_stale": True})
        return {dag["dag_id"] for dag in found["dags"]}

    def import_errors(self) -> list[str]:
        """DAG files that Airflow cannot read, with the traceback."""
        found = self._ask("GET", "/api/v2/importErrors")
        return [f"{e['filename']}: {e['stack_trace']}" for e in found["import_errors"]]

    def trigger(self, dag_id: str, period: str, run_id: str) -> Run:
        """Start a DAG for a month; a run of that name that exists already is started again."""
        body = {"dag_run_id": run_id, "partition_key": period, "logical_date": None}
        return _run(self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body))

    def backfill(self, dag_id: str, first: dt.date, last: dt.date) -> None:
        """Run a DAG for each month whose run falls between two days, those included."""
        body = {
            "dag_id": dag_id,
            "from_date": f"{first}T00:00:00Z",
            "to_date": f"{last}T00:00:00Z",
            "max_active_runs": 4,
        }
        self._ask("POST", "/api/v2/backfills", json=body)

    def runs(self, dag_id: str) -> list[Run]:
        """The newest hundred runs of a DAG, oldest first."""
        path = f"/api/v2/dags/{dag_id}/dagRuns"
        found = self._ask("GET", path, params={"limit": 100, "order_by": "-id"})
        return [_run(run) for run in reversed(found["dag_runs"])]

    def unfinished(self, dag_ids: Sequence[str]) -> tuple[int, Run | None]:
        """How many runs of some DAGs have not ended, and the oldest of them."""
        body = {
            "dag_ids": list(dag_ids),
            "states": ["queued", "running"],
            "page_limit": 1,
            "order_by": "id",
        }
        found = self._ask("POST", "/api/v2/dags/~/dagRuns/list", json=body)
        return found["total_entries"], next(map(_run, found["dag_runs"]), None)

    def tasks(self, run: Run) -> list[TaskRun]:
        """The tasks of a run."""
        found = self._ask("GET", f"{_path(run)}/taskInstances", params={"limit": 100})
        return [_task(ti) for ti in found["task_instances"]]

    def tasks_of(self, runs: Sequence[Run]) -> list[tuple[Run, list[TaskRun]]]:
        """Present state of some runs and of their tasks, in two requests."""
        body = {
            "dag_ids": sorted({run.dag_id for run in runs}),
            "page_limit": 100,
            "order_by": "-id",
        }
        wanted = {(run.dag_id, run.run_id) for run in runs}
        found = self._ask("POST", "/api/v2/dags/~/dagRuns/list", json=body)
        now = {
            (run.dag_id, run.run_id): run
            for run in map(_run, found["dag_runs"])
            if (run.dag_id, run.run_id) in wanted
        }
        body = {
            "dag_ids": sorted({run.dag_id for run in runs}),
            "dag_run_ids": sorted({run.run_id for run in runs}),
            "page_limit": 100,
        }
        found = self._ask("POST", "/api/v2/dags/~/dagRuns/~/taskInstances/list", json=body)
        tasks: dict[tuple[str, str], list[TaskRun]] = {key: [] for key in now}
        for ti in found["task_instances"]:
            key = (ti["dag_id"], ti["dag_run_id"])
            if key in tasks:
                tasks[key].append(_task(ti))
        return [(now[key], tasks[key]) for key in now]

    def question(self, run: Run, task: TaskRun) -> str:
        """What a task that waits for a person asks, as Markdown."""
        return str(self._ask("GET", _question_path(run, task))["body"])

    def answer(self, run: Run, task: TaskRun, option: str, inputs: Mapping[str, str]) -> None:
        """Answer a task that waits for a person, in the name of the client's login."""
        body = {"chosen_options": [option], "params_input": dict(inputs)}
        self._ask("PATCH", _question_path(run, task), json=body)

    def log_tail(self, run: Run, task: TaskRun, lines: int = 12) -> list[str]:
        """The last lines of a task's log."""
        path = f"{_path(run)}/taskInstances/{task.task_id}/logs/{max(task.try_number, 1)}"
        params = {"full_content": True, "map_index": task.map_index}
        found = self._ask("GET", path, params=params)
        shown = [line for entry in found["content"] for line in _log_lines(entry)]
        return [line for line in shown if not line.startswith("::")][-lines:]  # fold marks

    def _ask(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        response = self._client.request(method, path, **arguments)
        if response.is_error:
            raise AirflowApiError(f"{method} {path}: {response.status_code} {response.text[:500]}")
        return dict(response.json())


def _path(run: Run) -> str:
    return f"/api/v2/dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}"


def _question_path(run: Run, task: TaskRun) -> str:
    return f"{_path(run)}/taskInstances/{task.task_id}/-1/hitlDetails"


def _run(document: dict[str, Any]) -> Run:
    return Run(
        dag_id=document["dag_id"],
        run_id=document["dag_run_id"],
        period=document["partition_key"],
        state=document["state"],
    )


def _task(document: dict[str, Any]) -> TaskRun:
    return TaskRun(
        task_id=document["task_id"],
        state=document["state"],
        try_number=document["try_number"],
        seconds=document["duration"],
        map_index=document["map_index"],
        mapped_to=document["rendered_map_index"],
    )


def _log_lines(entry: Any) -> list[str]:
    if not isinstance(entry, dict):
        return str(entry).splitlines()
    lines = [str(entry.get("event", ""))]
    for error in entry.get("error_detail") or []:
        lines.append(f"{error.get('exc_type')}: {error.get('exc_value')}")
    return [line for text in lines for line in text.splitlines()]
