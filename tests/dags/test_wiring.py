"""How a stage's result ends a task, and where Airflow holds secrets."""

from __future__ import annotations

import datetime as dt
import json

import psycopg
import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowSkipException

from dags.approval import LATEST, SOONEST, ApproveRelease, as_markdown, pause
from dags.wiring import RETRY_POLICY, SourceUnreachable, airflow_secret
from loaders.stages.build import BuildError, BuildInterrupted
from loaders.stages.decisions import Finding, Question


def test_an_unreachable_source_is_trouble_of_the_network_and_tried_again() -> None:
    (network,) = RETRY_POLICY.rules
    assert any(isinstance(SourceUnreachable("x"), kind) for kind in network.exception[:2])


def test_a_dbt_that_was_killed_is_tried_again_and_a_broken_model_is_not() -> None:
    for error, action in (
        (BuildInterrupted("ended by signal 9"), RetryAction.RETRY),
        (psycopg.errors.AdminShutdown("terminating connection"), RetryAction.RETRY),
        (BuildError("a test failed"), RetryAction.FAIL),
    ):
        assert RETRY_POLICY.evaluate(error, 1, 3).action is action


def test_an_airflow_connection_holds_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_AGENCY",
        json.dumps(
            {
                "conn_type": "postgres",
                "host": "h",
                "schema": "d",
                "login": "u",
                "password": "p",
                "extra": {"token": "t"},
            }
        ),
    )
    found = json.loads(airflow_secret("agency") or "")
    assert found["url"].startswith("postgres://u:p@h/d")
    assert (found["username"], found["password"], found["token"]) == ("u", "p", "t")
    assert airflow_secret("nobody") is None


def test_nobody_is_asked_about_a_candidate_that_passed() -> None:
    gated = {"status": "accepted", "subject_id": "2025-06-c"}
    with pytest.raises(AirflowSkipException, match="nothing failed"):
        ApproveRelease(task_id="approve", gated=gated).execute({})


@pytest.mark.parametrize(
    ("waited", "expected"),
    [
        (dt.timedelta(seconds=5), SOONEST),
        (dt.timedelta(hours=1), dt.timedelta(minutes=3)),
        (dt.timedelta(days=20), LATEST),
    ],
)
def test_a_long_wait_is_looked_at_less_often(waited: dt.timedelta, expected: dt.timedelta) -> None:
    assert pause(waited) == expected


def test_the_question_names_candidate_content_and_findings_in_both_languages() -> None:
    finding = Finding("kpi_value.x", 2, "3 rows", "Vượt quá 100 %", "Exceeds 100 %")
    now = dt.datetime.now(dt.UTC)
    shown = as_markdown(Question("candidate", "2025-06-c", "2025-06", "f" * 64, (finding,), now))
    for text in ("2025-06-c", "f" * 64, "kpi_value.x` v2: 3 rows", "**Vượt quá 100 %**", "Exceeds"):
        assert text in shown
