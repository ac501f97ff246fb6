"""A backfill, and late deliveries that come together, are published once."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import DagRunType
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from dags import backfill, wiring
from dags.backfill import BuildCandidate, ImportsEndTrigger
from dags.wiring import ARRIVED, RUN_TYPE
from loaders import audit
from loaders.postgres.database import Role, connect
from loaders.stages.build import FINISHED
from loaders.stages.postponed import month_to_release, postpone_release
from loaders.stages.records import BuildResult
from tests.conftest import Warehouse
from tests.dags.waiting import event_of

IMPORTS = ["import_a", "import_b"]
BACKFILLED = {RUN_TYPE: "backfill"}
SCHEDULED = {RUN_TYPE: "scheduled"}


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The months that are built; the build itself is not what is tested here."""
    months: list[str] = []

    def build(period: str, run_id: str) -> BuildResult:
        months.append(period)
        return BuildResult(f"{period}-x", period, "built")

    monkeypatch.setattr("loaders.stages.build.build", build)
    return months


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """The context of a run of a month that these events caused."""

    def make(month: str, *extras: dict[str, str], uri: str = "x", queued: int = 0) -> Any:
        run = SimpleNamespace(
            dag_id="build_and_publish",
            run_id=month,
            partition_key=month,
            run_type=DagRunType.ASSET_TRIGGERED,
        )
        events = [SimpleNamespace(extra=e, asset=SimpleNamespace(uri=uri)) for e in extras]
        ti = SimpleNamespace(get_dr_count=lambda dag_id, states: queued)
        made = {"dag_run": run, "triggering_asset_events": {uri: events}, "ti": ti}
        monkeypatch.setattr(wiring, "get_current_context", lambda: made)
        return made

    return make


def task() -> BuildCandidate:
    return BuildCandidate(task_id="build", imports=IMPORTS)


def test_a_scheduled_month_is_built_at_once(
    warehouse: Warehouse, built: list[str], context: Callable[..., Any]
) -> None:
    task().execute(context("2025-01", SCHEDULED, SCHEDULED, queued=3))
    assert built == ["2025-01"]


def test_backfilled_months_are_left_to_the_last_run_which_builds_the_newest(
    warehouse: Warehouse, built: list[str], context: Callable[..., Any]
) -> None:
    for month in ("2025-02", "2025-04"):
        with pytest.raises(TaskDeferred) as waits:
            task().execute(context(month, SCHEDULED, BACKFILLED))
        path, arguments = waits.value.trigger.serialize()
        assert path == f"{backfill.__name__}.{ImportsEndTrigger.__name__}"
        assert arguments["imports"] == IMPORTS
        with pytest.raises(AirflowSkipException, match="left to the next run"):
            task().resume(context(month, BACKFILLED), {"is_followed": True})
    assert built == []
    # The months end in any order: the last run may be of an older one.
    task().resume(context("2025-03", BACKFILLED), {"is_followed": False})
    assert built == ["2025-04"]
    with connect(Role.PUBLISHER) as connection:
        audit.append(connection, FINISHED, {"candidate_id": "2025-04-x"})
    assert month_to_release("2025-03") == "2025-03"
    postpone_release("2025-01")
    assert month_to_release("2025-03") == "2025-03"  # a postponed month is never a step back


def test_a_backfilled_month_behind_which_another_stands_waits_for_nothing(
    warehouse: Warehouse, built: list[str], context: Callable[..., Any]
) -> None:
    with pytest.raises(AirflowSkipException, match="left to the next run"):
        task().execute(context("2024-12", BACKFILLED, queued=1))
    assert built == []


def test_late_deliveries_that_come_together_are_built_once(
    warehouse: Warehouse, built: list[str], context: Callable[..., Any]
) -> None:
    with pytest.raises(AirflowSkipException):
        task().execute(context("2025-05", {}, uri=ARRIVED.uri, queued=1))
    task().execute(context("2025-05", {}, uri=ARRIVED.uri, queued=0))
    assert built == ["2025-05"]


class Runs:
    """What the scheduler would say: for each look of the trigger, the runs of each DAG."""

    def __init__(self, *looks: dict[str, int]) -> None:
        self.looks, self.now = list(looks), -1

    def count(self, dag_id: str, states: list[str]) -> int:
        assert states == (["queued"] if dag_id == "build_and_publish" else ["queued", "running"])
        if dag_id == "build_and_publish":  # asked first in each look
            self.now = min(self.now + 1, len(self.looks) - 1)
        return self.looks[self.now].get(dag_id, 0)


@pytest.mark.parametrize(
    ("looks", "is_followed", "looked"),
    [
        ([{"import_b": 1}, {"import_a": 2}, {}, {}], False, 4),
        # Between the last import and the run that it causes nothing is seen once.
        ([{"import_b": 1}, {}, {"build_and_publish": 1}], True, 3),
        ([{}, {"import_a": 1}, {}, {}], False, 4),
        ([{"build_and_publish": 1, "import_a": 1}], True, 1),
    ],
)
def test_the_wait_ends_when_no_import_runs_or_another_run_follows(
    monkeypatch: pytest.MonkeyPatch, looks: list[dict[str, int]], is_followed: bool, looked: int
) -> None:
    runs = Runs(*looks)
    monkeypatch.setattr(backfill, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(RuntimeTaskInstance, "get_dr_count", staticmethod(runs.count))
    trigger = ImportsEndTrigger(dag_id="build_and_publish", imports=IMPORTS)
    assert event_of(trigger) == {"is_followed": is_followed}
    assert runs.now == looked - 1
