"""What all DAGs share: names, schedules, common arguments, and how a stage's result ends a task."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import Asset, ExceptionRetryPolicy, RetryAction, RetryRule, get_current_context
from airflow.sdk.exceptions import AirflowFailException

from dags.notices import notify_failure, notify_success, tell_absence
from loaders.settings import register_secret_source

TIMEZONE = ZoneInfo("Asia/Ho_Chi_Minh")
#: First word of every dag_id.
VERBS = ("await", "build", "import", "maintain")
DOC_HEADINGS = ("Purpose", "Output", "Impact of failure", "How to rerun")
#: The partition key of a run is the month that its files describe.
PERIOD_FORMAT = "%Y-%m"
MONTHLY_HOUSEKEEPING = "30 3 15 * *"
#: Schedules count from here; a DAG that is new to Airflow first takes the latest month since.
SCHEDULES_START = dt.datetime(2024, 1, 1, tzinfo=TIMEZONE)
#: An ISO time that takes the place of the above: the demo gives the present, so that only the
#: months that it asks for are run.
SCHEDULES_START_VARIABLE = "NQ42_SCHEDULES_START"

RETRIES = 3
RETRY_DELAY = dt.timedelta(seconds=30)
#: Absolute weights: with one free worker a release goes before what came late, and that before the
#: imports of other months. No task waits in a worker for another, so none can starve for good.
RELEASE_FIRST, LATE_FIRST = 100, 10

#: What an intake's event says of its run: a backfill is published once, when all of it has ended.
RUN_TYPE = "run_type"
#: Something came after its month was concluded.
ARRIVED = Asset(name="arrived_late", uri="nq42://arrived/late", group="nq42")

log = logging.getLogger(__name__)


class SourceUnreachable(ConnectionError):
    """A source could not be asked; `RETRY_POLICY` knows it as trouble of the network."""


#: Only what may be gone at the next try is tried again. Bad data stay bad, and a bug stays a bug.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            [ConnectionError, TimeoutError, ChildProcessError, "psycopg.OperationalError"],
            action=RetryAction.RETRY,
            retry_delay=RETRY_DELAY,
            reason="the network or the database was not reachable, or a process was killed",
        ),
    ],
    default=RetryAction.FAIL,
)


def schedules_start() -> dt.datetime:
    """Time from which schedules count, in Asia/Ho_Chi_Minh."""
    given = os.environ.get(SCHEDULES_START_VARIABLE)
    return dt.datetime.fromisoformat(given).astimezone(TIMEZONE) if given else SCHEDULES_START


def dag_arguments(
    *,
    verb: str,
    subject: str,
    owner: str,
    tags: list[str],
    max_active_runs: int = 1,
    priority_weight: int = 1,
) -> dict[str, Any]:
    """Arguments of every DAG; `dag_id` is verb_object with a verb of the closed list.

    Raises:
        ValueError: the verb is not in the list.
    """
    if verb not in VERBS:
        raise ValueError(f"{verb!r} is no verb for a dag_id; known: {', '.join(VERBS)}")
    return {
        "dag_id": f"{verb}_{subject}",
        "start_date": schedules_start(),
        # A month that nobody asked for is not imported behind people's backs: see "How to rerun".
        "catchup": False,
        "max_active_runs": max_active_runs,
        "tags": ["nq42", verb, *tags],
        "default_args": {
            "owner": owner,
            "retries": RETRIES,
            "retry_delay": RETRY_DELAY,
            "retry_policy": RETRY_POLICY,
            "priority_weight": priority_weight,
            "weight_rule": "absolute",
            "on_failure_callback": [log_failure, notify_failure],
            "on_success_callback": notify_success,
        },
    }


def intake_asset(source: str) -> Asset:
    """What an import leaves for a month: the source's rows in raw, new or last good ones."""
    return Asset(name=f"intake_{source}", uri=f"nq42://intake/{source}", group="nq42")


def period_and_run() -> dict[str, str]:
    """Month, name and type of the running DAG run.

    Raises:
        AirflowFailException: the run was started without a partition key.
    """
    run = get_current_context()["dag_run"]
    if not run.partition_key:
        raise AirflowFailException("start the run with a month as partition key, such as 2025-07")
    return {"period": run.partition_key, "run_id": run_name(), "run_type": run.run_type.value}


def run_name() -> str:
    """`dag_id/run_id`: what receipts and releases keep to find the run again."""
    run = get_current_context()["dag_run"]
    return f"{run.dag_id}/{run.run_id}"


def task_states(dag_id: str, run_id: str) -> dict[str, str]:
    """State of each task of a DAG run that has one; a mapped one is `task_id_number`."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = RuntimeTaskInstance.get_task_states(dag_id=dag_id, run_ids=[run_id])
    return {task_id: str(state) for task_id, state in states.get(run_id, {}).items()}


def finished_tasks(dag_id: str, run_id: str) -> set[str]:
    """The tasks of a DAG run in which nothing more happens."""
    from loaders.airflow_api import FINISHED_TASK

    return {name for name, state in task_states(dag_id, run_id).items() if state in FINISHED_TASK}


def finish(record: Any) -> dict[str, Any]:
    """Hand a stage record on, or end the task as its status says.

    Raises:
        AirflowFailException: ``refused`` or ``held``; not tried again, the data would be the same.
    """
    result = record.to_dict()
    if result["status"] in ("refused", "held"):
        raise AirflowFailException(f"{result['status']}: {result['reason']}")
    return result


def airflow_secret(name: str) -> str | None:
    """A secret that a contract names, from the Airflow connection of that name; None without one.

    A connector takes from it what it needs: ``url`` a database, ``username`` and ``password`` a
    server; keys of the connection's Extra go first, such as ``private_key`` or ``token``.
    """
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        found = Connection.get(name)
    except AirflowNotFoundException:
        return None
    parts = {"url": found.get_uri(), "username": found.login, "password": found.password}
    given = {key: value for key, value in parts.items() if value}
    return json.dumps(given | found.extra_dejson)


register_secret_source(airflow_secret)


def log_failure(context: Mapping[str, Any]) -> None:
    """One structured line per failed task, for log collectors."""
    ti, run = context["ti"], context["dag_run"]
    log.error(
        "task failed dag_id=%s task_id=%s run_id=%s period=%s try_number=%s reason=%r",
        ti.dag_id,
        ti.task_id,
        run.run_id,
        run.partition_key,
        ti.try_number,
        str(context.get("exception")),
    )


def notify_absence(source: str, dataset: str, period: str, absence: str) -> None:
    """One structured line, once, for a dataset that is ``late`` or ``given_up``."""
    log.warning(
        "delivery absent source=%s dataset=%s period=%s absence=%s",
        source,
        dataset,
        period,
        absence,
    )
    tell_absence(get_current_context(), absence)
