"""What a person may leave empty on Airflow's page, and what is tried again by itself."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    DownstreamTasksSkipped,
)

from dags.approval import ApproveRelease
from dags.wiring import RETRIES
from loaders.stages.approve import ApprovalError

GATED = {"status": "waiting", "subject_id": "2025-07-x"}


def answered(monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]) -> str:
    """In whose name the answer of the login "Trần Thị Mẫu" is kept."""
    kept: list[str] = []

    def approve(candidate_id: str, *, by: str, **_: Any) -> Any:
        kept.append(by)
        return SimpleNamespace(decision="approved", to_dict=dict)

    monkeypatch.setattr("loaders.stages.approve.approve", approve)
    take_answer(given)
    return kept[0]


def take_answer(given: dict[str, Any]) -> None:
    event = {
        "chosen_options": ["Approve"],
        "params_input": given,
        "responded_by_user": {"id": "1", "name": "Trần Thị Mẫu"},
        "responded_at": dt.datetime(2025, 8, 6, tzinfo=dt.UTC),
        "timedout": False,
    }
    ApproveRelease(task_id="approve", gated=GATED).execute_complete(
        {"ti": SimpleNamespace()}, event
    )


def test_without_a_name_it_is_that_of_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    for empty in (None, "", "  "):
        given = {"approved_by": empty, "reason": "as agreed"}
        assert answered(monkeypatch, given) == "Trần Thị Mẫu"
    given = {"approved_by": "Nguyễn Văn Mẫu", "reason": "as agreed"}
    assert answered(monkeypatch, given) == "Nguyễn Văn Mẫu"


def test_the_page_lets_the_name_be_empty_and_not_the_reason() -> None:
    params = ApproveRelease(task_id="approve", gated={}).params
    types = {name: params.get_param(name).schema["type"] for name in params}
    assert types == {"approved_by": ["null", "string"], "reason": "string"}


def test_a_killed_process_is_tried_again(dags: dict[str, Any]) -> None:
    """It leaves no exception: only the number of tries counts."""
    assert dags["build_and_publish"]["tasks"]["approve"]["retries"] == RETRIES > 0


def test_an_answer_that_is_refused_fails_past_every_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: Exception = ApprovalError("'admin' is no person's name")

    def approve(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr("loaders.stages.approve.approve", approve)
    answer = {"approved_by": "", "reason": "as agreed"}
    with pytest.raises(AirflowFailException, match="no person's name"):
        take_answer(answer)
    raised = psycopg.OperationalError("the database is away")
    with pytest.raises(psycopg.OperationalError):  # left to the retry policy
        take_answer(answer)


def test_after_a_kill_nobody_is_asked_for_what_was_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with DAG("d"):
        task, publish = ApproveRelease(task_id="a", gated=GATED), EmptyOperator(task_id="p")
        task >> publish
    noted: dict[str, str] = {}
    ti = SimpleNamespace(map_index=-1, xcom_push=lambda key, value: noted.update({key: value}))
    for standing in ("approved", "published"):
        monkeypatch.setattr("loaders.stages.approve.get_standing", lambda _, s=standing: s)
        with pytest.raises(AirflowSkipException, match="approved already"):
            task.execute({"ti": ti, "task": task})
    for standing in ("rejected", "superseded"):
        monkeypatch.setattr("loaders.stages.approve.get_standing", lambda _, s=standing: s)
        with pytest.raises(DownstreamTasksSkipped) as skipped:
            task.execute({"ti": ti, "task": task})
        assert skipped.value.tasks == ["p"]
        assert noted["not_published"].startswith(standing)
