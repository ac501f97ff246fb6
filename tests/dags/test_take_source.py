"""The task that takes all of a source: real stages, no scheduler."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from dags import arrival, take_source
from dags.arrival import OthersEndTrigger, TakeDelivery
from dags.take_source import TakeSource, is_done
from loaders.contracts.model import get_contract, get_dataset
from loaders.operations.notices import Delivery
from loaders.stages import intake
from loaders.stages.records import LandResult, Outcome
from tests.conftest import Warehouse
from tests.dags.waiting import Waiting, event_of
from tests.integration.members import DATASET, SOURCE, deliver, prepare, row

MONTH = "2025-01"
FOLLOWING = [SimpleNamespace(task_id="take_one"), SimpleNamespace(task_id="conclude")]


@pytest.fixture(scope="module")
def ready(warehouse: Warehouse) -> Warehouse:
    prepare()
    return warehouse


@pytest.fixture
def run_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    made: list[Waiting] = []

    def make(month: str, run_type: str) -> None:
        made.append(Waiting(monkeypatch, SOURCE, DATASET, month))
        made[-1].run(month, run_type)

    yield make
    for one in made:
        one.restore()


class Taken:
    """What one run of the task left: what it handed on, announced, skipped and told."""

    def __init__(self, patch: pytest.MonkeyPatch, source: str) -> None:
        self.task = TakeSource(
            task_id="take", source=source, asset=Asset(name="a", uri="nq42://a"), rest="take_one"
        )
        self.announced: list[dict[str, Any]] = []
        self.skipped: list[str] = []
        self.told: list[Delivery] = []
        patch.setattr(take_source, "tell_taken", lambda _, delivery: self.told.append(delivery))
        patch.setattr(
            self.task, "skip", lambda _, tasks: self.skipped.extend(t.task_id for t in tasks)
        )
        events = SimpleNamespace(add=lambda _, extra: self.announced.append(extra))
        relatives = SimpleNamespace(get_direct_relatives=lambda upstream: FOLLOWING)
        context = {"outlet_events": {self.task.announced: events}, "ti": None, "task": relatives}
        self.rest = self.task.execute(context)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Datasets of which the intake ends otherwise than missing; the names in the order taken."""

    def play(**kinds: Any) -> list[str]:
        order: list[str] = []

        def import_dataset(source: str, name: str, period: str, run_id: str) -> Any:
            order.append(name)
            kind = kinds.get(name, "accepted")
            if isinstance(kind, Exception):
                raise kind
            away = kind == "unreachable"
            status = "missing" if away else kind
            return LandResult("b", source, name, period, status, f"{kind}!", is_unreachable=away)

        monkeypatch.setattr(intake, "import_dataset", import_dataset)
        return order

    return play


def test_what_is_there_is_taken_and_the_month_announced(
    ready: Warehouse, monkeypatch: pytest.MonkeyPatch, run_of: Callable[..., None]
) -> None:
    deliver(ready, [row(i, month="01/2025") for i in range(5)], MONTH)
    run_of(MONTH, "manual")
    taken = Taken(monkeypatch, SOURCE)
    assert taken.rest == []
    assert taken.announced == [{"run_type": "manual"}]
    assert taken.skipped == ["take_one", "conclude"]
    assert taken.told == [Delivery(SOURCE, DATASET, MONTH)]


def test_a_refused_list_is_handed_on_with_its_reason_and_stops_no_other(
    ready: Warehouse, monkeypatch: pytest.MonkeyPatch, run_of: Callable[..., None]
) -> None:
    deliver(ready, [row(1, month="02/2025")], "2025-02").write_bytes(b"\x00\xff" * 500)
    run_of("2025-02", "manual")
    taken = Taken(monkeypatch, SOURCE)
    (one,) = taken.rest
    assert (one["dataset"], one["after"], one["found"]["status"]) == (DATASET, [], "refused")
    assert (taken.announced, taken.skipped, taken.told) == ([], [], [])
    task = TakeDelivery(task_id="x", source=SOURCE, **one)
    first, again = ({"ti": SimpleNamespace(try_number=number)} for number in (1, 2))
    with pytest.raises(AirflowFailException, match=r"refused: .*not readable"):
        task.execute(first)
    # Cleared after the right file has come, it looks again.
    deliver(ready, [row(1, month="02/2025")], "2025-02")
    assert task.execute(again)["status"] == "accepted"


def test_a_list_whose_stages_raise_is_handed_on_and_the_others_are_taken(
    monkeypatch: pytest.MonkeyPatch, run_of: Callable[..., None], ends: Callable[..., list[str]]
) -> None:
    due = [d.name for d in get_contract("social_insurance").datasets if d.period_in(MONTH)]
    order = ends(**{due[0]: OSError("disk"), due[1]: "held"})
    run_of(MONTH, "manual")
    taken = Taken(monkeypatch, SOURCE)
    assert order == due
    assert [(one["dataset"], one["found"] and one["found"]["status"]) for one in taken.rest] == [
        (due[0], None),
        (due[1], "held"),
    ]


@pytest.mark.parametrize(
    ("kind", "run_type", "is_taken"),
    [("refused", "scheduled", True), ("missing", "manual", True), ("missing", "scheduled", False)],
)
def test_a_list_that_looks_up_another_waits_for_its_gate_however_that_ends(
    kind: str,
    run_type: str,
    is_taken: bool,
    monkeypatch: pytest.MonkeyPatch,
    run_of: Callable[..., None],
    ends: Callable[..., list[str]],
) -> None:
    assert get_dataset("health", "staff").extension.after == ("facilities",)
    month = dt.datetime.now(dt.UTC).strftime("%Y-%m")  # its lists are due next month
    order = ends(facilities=kind)
    run_of(month, run_type)
    rest = Taken(monkeypatch, "health").rest
    assert ("staff" in order) is is_taken
    handed_on = {one["dataset"]: one for one in rest}
    if not is_taken:
        number = rest.index(handed_on["facilities"])
        assert handed_on["staff"] == {
            "dataset": "staff",
            "found": None,
            "after": [f"take_one_{number}"],
        }


def test_the_task_of_such_a_list_defers_until_the_other_has_ended(
    monkeypatch: pytest.MonkeyPatch, run_of: Callable[..., None], ends: Callable[..., list[str]]
) -> None:
    task = TakeDelivery(task_id="x", source="health", dataset="staff", after=["take_one_3"])
    run = SimpleNamespace(dag_id="import_health", run_id="r")
    with pytest.raises(TaskDeferred) as waits:
        task.execute({"dag_run": run})
    path, arguments = waits.value.trigger.serialize()
    assert path == f"{arrival.__name__}.{OthersEndTrigger.__name__}"
    looks = [set(), {"take_one_0"}, {"take_one_0", "take_one_3"}]
    monkeypatch.setattr(arrival, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(arrival, "finished_tasks", lambda dag_id, run_id: looks.pop(0))
    event = event_of(OthersEndTrigger(**arguments))
    assert looks == []
    ends(staff="refused")
    run_of(MONTH, "manual")
    with pytest.raises(AirflowFailException, match="refused!"):
        task.resume({}, event)


def test_what_was_found_missing_ends_the_first_try_as_missing(
    monkeypatch: pytest.MonkeyPatch, run_of: Callable[..., None]
) -> None:
    found = Outcome("2020-01", "missing", "nothing has arrived").to_dict()
    task = TakeDelivery(task_id="x", source=SOURCE, dataset=DATASET, found=found)
    monkeypatch.setattr(task, "_note", lambda *_: None)
    run_of("2020-01", "scheduled")
    with pytest.raises(AirflowSkipException, match="missing: nothing has arrived"):
        task.execute({"ti": SimpleNamespace(try_number=1)})


@pytest.mark.parametrize(
    ("dataset", "found", "is_scheduled", "done"),
    [
        (DATASET, Outcome("2025-01", "accepted"), True, True),
        (DATASET, Outcome("2025-01", "unchanged"), True, True),
        (DATASET, Outcome("2025-01", "held", "x"), False, False),
        (DATASET, Outcome("2025-01", "refused", "x"), True, False),
        # Late: to be noted and told.
        (DATASET, Outcome("2025-01", "missing"), True, False),
        (DATASET, Outcome("2025-01", "missing"), False, True),
        (DATASET, Outcome("2025-01", "missing", is_unreachable=True), False, False),
        # Not late yet: waited for here, and a yearly list by await_deliveries.
        (DATASET, Outcome("2999-01", "missing"), True, False),
        ("nutrition_survey", Outcome("2999", "missing", is_unreachable=True), True, True),
        ("nutrition_survey", Outcome("2020", "missing"), True, False),
    ],
)
def test_which_lists_need_a_task_of_their_own(
    dataset: str, found: Outcome, is_scheduled: bool, done: bool
) -> None:
    definition = get_dataset("health" if dataset == "nutrition_survey" else SOURCE, dataset)
    assert is_done(definition, found, is_scheduled=is_scheduled) is done
