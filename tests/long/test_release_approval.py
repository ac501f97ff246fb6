"""The question between gate and publish, in a real Airflow. Slow: it looks again once a minute."""

from __future__ import annotations

import datetime as dt
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from loaders import airflow_service
from loaders.airflow_api import WAITING_TASK, AirflowApi, Run, TaskRun
from loaders.airflow_config import metadata_database
from loaders.postgres.database import Role, admin_url, connect, conninfo
from loaders.sample import generate
from loaders.stages.approve import approve, list_waiting
from loaders.stages.intake import import_source
from loaders.stages.land import land
from loaders.stages.setup import prepare_warehouse
from tests.conftest import Warehouse, drop_airflow_metadata

MONTH, DAG = "2025-06", "build_and_publish"
TIMEOUT_SECONDS = 600
#: Pause between two looks of somebody who answers as soon as it is asked.
AT_ONCE = 0.02
PERSON, REASON = "Trần Văn Bình", "danh sách còn thiếu sẽ gửi trong tháng sau"


@pytest.fixture(scope="module")
def api(warehouse: Warehouse) -> Iterator[AirflowApi]:
    """A month for which a source sent nothing, and an Airflow that has seen the DAG."""
    settings = warehouse.settings
    try:
        prepare_warehouse()
        generate([MONTH], 0.005, 42, settings.inbox, None)
        for source in ("statistics_office", "housing"):
            import_source(source, MONTH)
        next((settings.inbox / "education" / MONTH).glob("thongtinhocsinh_*")).unlink()
        assert land("education", "pupils", MONTH).status == "missing"
        service = airflow_service.up(settings, schedules_start=dt.datetime.now(dt.UTC))
        with AirflowApi(service) as client:
            wait_for(lambda: DAG in client.dag_ids())
            yield client
    finally:
        airflow_service.stop(settings)
        drop_airflow_metadata()


def wait_for(condition: Callable[[], Any], pause: float = 1) -> Any:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(pause)
    return found


def tasks(api: AirflowApi, run: Run) -> dict[str, TaskRun]:
    return {task.task_id: task for task in api.tasks(run)}


def waits(api: AirflowApi, run: Run, pause: float = 1) -> TaskRun:
    """The task `approve`, once it waits; looked for every so many seconds."""

    def parked() -> TaskRun | None:
        found = tasks(api, run)
        assert "failed" not in {task.state for task in found.values()}
        return found["approve"] if found and found["approve"].state == WAITING_TASK else None

    return wait_for(parked, pause)


@contextmanager
def killed_where_it_stands(run: Run) -> Iterator[None]:
    """What the block causes: a process of `approve`, that dies by SIGKILL while it looks."""

    def is_held_up() -> bool:
        query = "select from pg_stat_activity where wait_event_type = 'Lock' and query like %s"
        return admin.execute(query, ("%from audit.approval%",)).fetchone() is not None

    def pid() -> int | None:
        row = metadata.execute(
            "select pid from task_instance"
            " where run_id = %s and task_id = 'approve' and state = 'running'",
            (run.run_id,),
        ).fetchone()
        return row and row[0]

    metadata_url = conninfo(admin_url(metadata_database()))
    with (
        psycopg.connect(metadata_url, autocommit=True) as metadata,
        psycopg.connect(conninfo(admin_url()), autocommit=True) as admin,
        psycopg.connect(conninfo(admin_url())) as lock,
    ):
        lock.execute("lock table audit.approval in access exclusive mode")
        yield
        wait_for(is_held_up)
        os.kill(wait_for(pid), signal.SIGKILL)


def ended(api: AirflowApi, run: Run) -> tuple[str, dict[str, str | None]]:
    """State of the run and of its tasks, once it has ended."""

    def finished() -> Run | None:
        now = next(found for found in api.runs(DAG) if found.run_id == run.run_id)
        return now if now.is_finished else None

    state = wait_for(finished).state
    return state, {name: task.state for name, task in tasks(api, run).items()}


def decisions() -> list[tuple[Any, ...]]:
    with connect(Role.AUDITOR) as connection:
        return connection.execute(
            "select decision, decided_by, reason, via, account from audit.approval order by id"
        ).fetchall()


def manifests() -> list[dict[str, Any]]:
    with connect(Role.AUDITOR) as connection:
        rows = connection.execute("select manifest from publication.release order by release_seq")
        return [manifest for (manifest,) in rows]


def test_a_waiting_run_is_answered_superseded_or_freed(api: AirflowApi) -> None:
    """One story, because each of its runs starts from what the one before left."""
    first = api.trigger(DAG, MONTH, "first")
    task = waits(api, first)
    (waiting,) = list_waiting()
    shown = api.question(first, task)
    assert waiting.subject_id in shown
    for finding in waiting.findings:
        assert finding.description_vi in shown and finding.description_en in shown

    # A later run stands in the queue: the waiting one makes room for it.
    second = api.trigger(DAG, MONTH, "second")
    asked = {"build": "success", "gate": "success", "approve": "success"}
    published, not_published = (
        asked | dict.fromkeys(("publish", "export"), state) for state in ("success", "skipped")
    )
    assert ended(api, first) == ("success", not_published)
    assert decisions() == []

    # The login is no person's name: the answer is refused, nothing is recorded, nobody is asked
    # again. It comes while the process that asked has just ended, or not even that.
    task = waits(api, second, AT_ONCE)
    api.answer(second, task, "Approve", {"approved_by": "", "reason": REASON})
    state, states = ended(api, second)
    assert (state, states["approve"], states["publish"]) == ("failed", "failed", "upstream_failed")
    refused = tasks(api, second)["approve"]
    assert "no person's name" in "\n".join(api.log_tail(second, refused))
    assert refused.try_number == 1
    assert decisions() == []

    third = api.trigger(DAG, MONTH, "third")
    answer = {"approved_by": PERSON, "reason": REASON}
    api.answer(third, waits(api, third, AT_ONCE), "Reject", answer)
    assert ended(api, third) == ("success", not_published)
    assert decisions() == [("rejected", PERSON, REASON, "airflow", "admin")]
    assert manifests() == []

    # Answered by the command: the waiting run finds it and publishes.
    fourth = api.trigger(DAG, MONTH, "fourth")
    waits(api, fourth)
    approve(waiting.subject_id, by=PERSON, reason=REASON, account="test")
    state, states = ended(api, fourth)
    # A look that is tried anew finds the answer at its start: skipped.
    assert states.pop("approve") in ("success", "skipped")
    done = dict.fromkeys(("build", "gate", "publish", "export"), "success")
    assert (state, states) == ("success", done)
    assert [manifest["approvals"][0]["via"] for manifest in manifests()] == ["cli"]

    # Other inputs are another candidate, which is asked for again.
    import_source("population_register", MONTH)
    # Its process is killed before it asks, and again after the answer: nobody has to clear it.
    fifth = Run(DAG, "fifth", MONTH, "queued")
    with killed_where_it_stands(fifth):
        api.trigger(DAG, MONTH, fifth.run_id)
    task = waits(api, fifth)
    assert task.try_number == 2
    with killed_where_it_stands(fifth):
        api.answer(fifth, task, "Approve", answer)
    task = waits(api, fifth)
    assert task.try_number == 3
    api.answer(fifth, task, "Approve", answer)
    assert ended(api, fifth) == ("success", published)
    assert manifests()[-1]["approvals"][0]["via"] == "airflow"
    assert decisions()[-1] == ("approved", PERSON, REASON, "airflow", "admin")

    # Nothing new: nobody is asked and nothing is published.
    sixth = api.trigger(DAG, MONTH, "sixth")
    skipped = dict.fromkeys(("gate", "approve", "publish", "export"), "skipped")
    assert ended(api, sixth) == ("success", {"build": "success"} | skipped)
    assert len(manifests()) == 2
