"""How a stage's result ends a task, and where Airflow holds secrets."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from dags import wiring
from dags.wiring import (
    LATE_RETRIES,
    RETRY_POLICY,
    DeliveryMissing,
    SourceUnreachable,
    airflow_secret,
    wait_or_skip,
)


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
