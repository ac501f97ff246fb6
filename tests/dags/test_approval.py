"""What a person may leave empty on Airflow's page."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from dags.approval import ApproveRelease


def answered(monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]) -> str:
    """In whose name the answer of the login "Trần Thị Mẫu" is kept."""
    kept: list[str] = []

    def approve(candidate_id: str, *, by: str, **_: Any) -> Any:
        kept.append(by)
        return SimpleNamespace(decision="approved", to_dict=dict)

    monkeypatch.setattr("loaders.stages.approve.approve", approve)
    task = ApproveRelease(task_id="approve", gated={"subject_id": "2025-07-x"})
    event = {
        "chosen_options": ["Approve"],
        "params_input": given,
        "responded_by_user": {"id": "1", "name": "Trần Thị Mẫu"},
        "responded_at": dt.datetime(2025, 8, 6, tzinfo=dt.UTC),
        "timedout": False,
    }
    task.execute_complete({"ti": SimpleNamespace()}, event)
    return kept[0]


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
