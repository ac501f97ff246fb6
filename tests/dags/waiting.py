"""Tasks that wait for deliveries, run in this process: real stages, real triggers, no scheduler.

Due dates are moved, not the clock.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import DagRunType
from airflow.sdk.exceptions import TaskDeferred

from dags import arrival, wiring
from loaders.contracts.model import Named, get_dataset
from loaders.periods import TIMEZONE, end_of


class Waiting:
    """One dataset under a calendar that a test moves, and what its tasks do."""

    def __init__(self, patch: pytest.MonkeyPatch, source: str, dataset: str, period: str) -> None:
        self._patch = patch
        self.source, self.dataset, self.period = source, dataset, period
        self.notices: list[tuple[str, str, str, str]] = []
        self._definition = get_dataset(source, dataset)
        self._extension = self._definition.extension
        patch.setattr(arrival, "notify_absence", lambda *notice: self.notices.append(notice))

    def restore(self) -> None:
        object.__setattr__(self._definition, "extension", self._extension)

    def change(self, **changes: Any) -> None:
        """Change the contract of the dataset, for every module that has it."""
        changed = self._definition.extension.model_copy(update=changes)
        object.__setattr__(self._definition, "extension", changed)

    def due(self, days: int, *, grace: int = 1, wait: int = 10) -> None:
        """Make the delivery due so many days from today, in Vietnam."""
        today = dt.datetime.now(TIMEZONE).date()
        due_day = (today - end_of(self.period)).days + days
        calendar = {"due_day": due_day, "grace_days": grace, "wait_days": wait}
        schedule = self._definition.extension.schedule.model_copy(update=calendar)
        self.change(schedule=schedule)

    def lie_in(self, folder: str, pattern: str) -> None:
        """Deliveries lie on a share."""
        options = {"folder": folder, "pattern": pattern}
        self.change(connector=Named(name="local", options=options))

    def run(self, month: str, run_type: str = "scheduled") -> None:
        """What follows happens in a run of this month."""
        run = SimpleNamespace(
            dag_id="import_x",
            run_id=f"{run_type}__{month}",
            partition_key=month,
            run_type=DagRunType(run_type),
        )
        self._patch.setattr(wiring, "get_current_context", lambda: {"dag_run": run})

    def take(self) -> arrival.TakeDelivery:
        return arrival.TakeDelivery(task_id="x", source=self.source, dataset=self.dataset)

    def wait(self) -> arrival.AwaitDelivery:
        return arrival.AwaitDelivery(
            task_id="x", source=self.source, dataset=self.dataset, period=self.period
        )


def deferred(task: Any, event: dict[str, Any] | None = None) -> arrival.ArrivalTrigger:
    """The trigger that the task waits for, as the triggerer makes it from its stored form."""
    with pytest.raises(TaskDeferred) as waits:
        go_on(task, event)
    assert waits.value.method_name == "resume"
    path, arguments = waits.value.trigger.serialize()
    assert path == f"{arrival.__name__}.{arrival.ArrivalTrigger.__name__}"
    return arrival.ArrivalTrigger(**arguments)


def go_on(task: Any, event: dict[str, Any] | None = None) -> Any:
    return task.execute({}) if event is None else task.resume({}, event)


def event_of(trigger: Any, *, seconds: float = 20) -> dict[str, Any]:
    """What the trigger says in the end."""

    async def first() -> dict[str, Any]:
        async for event in trigger.run():
            return dict(event.payload)
        raise AssertionError("the trigger ended without an event")

    return asyncio.run(asyncio.wait_for(first(), seconds))
