"""How a stage's result ends a task, and where Airflow holds secrets."""

from __future__ import annotations

import datetime as dt
import json
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from dags import wiring
from dags.approval import LATEST, SOONEST, ApproveRelease, as_markdown, pause
from dags.wiring import (
    LATE_RETRIES,
    RETRY_POLICY,
    DeliveryMissing,
    SourceUnreachable,
    airflow_secret,
    wait_or_skip,
)
from loaders.stages.decisions import Finding, Question


@pytest.mark.parametrize(
    ("run_type", "try_number", "is_unreachable", "ends"),
    [
        ("scheduled", 1, False, DeliveryMissing),
        ("scheduled", 1, True, DeliveryMissing),
        ("scheduled", LATE_RETRIES + 1, False, AirflowSkipException),
        ("scheduled", LATE_RETRIES + 1, True, SourceUnreachable),
        ("manual", 1, False, AirflowSkipException),
        ("manual", 1, True, SourceUnreachable),
    ],
)
def test_a_silent_source_is_skipped_and_an_unreachable_one_fails(
    monkeypatch: pytest.MonkeyPatch,
    run_type: str,
    try_number: int,
    is_unreachable: bool,
    ends: type[Exception],
) -> None:
    context = {
        "ti": SimpleNamespace(try_number=try_number),
        "dag_run": SimpleNamespace(run_type=run_type),
    }
    monkeypatch.setattr(wiring, "get_current_context", lambda: context)
    with pytest.raises(ends, match="the agency's server"):
        wait_or_skip("the agency's server", is_unreachable)


def test_an_unreachable_source_is_trouble_of_the_network_and_tried_again() -> None:
    (network,) = RETRY_POLICY.rules
    assert any(isinstance(SourceUnreachable("x"), kind) for kind in network.exception[:2])


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
