"""Tasks that take one delivery, and wait for it without a worker slot while it has not come."""

from __future__ import annotations

import asyncio
import datetime as dt
from abc import abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from dags.wiring import (
    SourceUnreachable,
    finish,
    finished_tasks,
    notify_absence,
    period_and_run,
    run_name,
)
from loaders.contracts.model import get_dataset
from loaders.stages.records import Outcome

#: Between two looks at the tasks that another one comes after.
PAUSE_SECONDS = 10

#: One source is asked one thing at a time, so that one that does not answer holds up no other.
_asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
_threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="ask")


class ArrivalTrigger(BaseTrigger):
    """Asks a source from time to time whether a delivery is there, until a moment.

    Its event says ``{"is_there": …}``: true as soon as something is there, false at that moment. A
    source that cannot be asked has nothing there; any other trouble is left to the task, which
    meets it again, logs it and fails by the rules.

    Args:
        until: ISO time with a zone.
        pause_seconds: between two questions, and before the first: the task has just asked.
    """

    def __init__(
        self, *, source: str, dataset: str, period: str, until: str, pause_seconds: float
    ) -> None:
        super().__init__()
        self.source, self.dataset, self.period = source, dataset, period
        self.until, self.pause_seconds = until, pause_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("source", "dataset", "period", "until", "pause_seconds")
        return "dags.arrival.ArrivalTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        until = dt.datetime.fromisoformat(self.until)
        while True:
            left = (until - dt.datetime.now(dt.UTC)).total_seconds()
            await asyncio.sleep(max(0.0, min(self.pause_seconds, left)))
            is_over = dt.datetime.now(dt.UTC) >= until
            is_there = await self._ask()
            if is_there or is_over:
                yield TriggerEvent({"is_there": is_there})
                return

    async def _ask(self) -> bool:
        from loaders.stages.arrival import has_arrived

        loop = asyncio.get_running_loop()
        async with _asking[self.source]:
            try:
                return await loop.run_in_executor(
                    _threads, has_arrived, self.source, self.dataset, self.period
                )
            except Exception:
                self.log.exception("the source cannot be asked; the task sees to it")
                return True


class OthersEndTrigger(BaseTrigger):
    """Waits until these tasks of a run have ended, however they do."""

    def __init__(self, *, dag_id: str, run_id: str, tasks: list[str]) -> None:
        super().__init__()
        self.dag_id, self.run_id, self.tasks = dag_id, run_id, tasks

    def serialize(self) -> tuple[str, dict[str, Any]]:
        arguments = {"dag_id": self.dag_id, "run_id": self.run_id, "tasks": self.tasks}
        return "dags.arrival.OthersEndTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while not set(self.tasks) <= await asyncio.to_thread(
            finished_tasks, self.dag_id, self.run_id
        ):
            await asyncio.sleep(PAUSE_SECONDS)
        yield TriggerEvent({"have_ended": self.tasks})


class _Take(BaseOperator):
    """Lands, loads and gates one dataset. Its log names the stage that it is in."""

    def __init__(self, *, source: str, dataset: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.source, self.dataset = source, dataset

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        return self._look()

    def _look(self) -> dict[str, Any]:
        from loaders.stages.intake import import_dataset

        period = self.period_of(period_and_run()["period"])
        if period is None:
            raise AirflowSkipException("nothing is due with this month")
        return self._end(period, import_dataset(self.source, self.dataset, period, run_name()))

    def _end(self, period: str, record: Any) -> dict[str, Any]:
        if record.status != "missing":
            return finish(record)
        return self._absent(period, record.reason or "", record.is_unreachable)

    def resume(self, context: Mapping[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        """Look again, whatever the trigger saw: only `land` decides."""
        self.log.info("waited for %s.%s: %s", self.source, self.dataset, event)
        return self._look()

    def period_of(self, month: str) -> str | None:
        """The dataset's own period in a run of this month; None when nothing is due."""
        return get_dataset(self.source, self.dataset).period_in(month)

    @abstractmethod
    def _absent(self, period: str, reason: str, is_unreachable: bool) -> dict[str, Any]:
        """Wait, or end the task of a dataset for which its source has sent nothing."""

    def _wait(self, period: str, until: dt.datetime) -> None:
        from loaders.settings import get_settings

        self.defer(
            trigger=ArrivalTrigger(
                source=self.source,
                dataset=self.dataset,
                period=period,
                until=until.isoformat(),
                pause_seconds=get_settings().arrival_poll_seconds,
            ),
            method_name="resume",
        )

    def _note(self, period: str, absence: str) -> None:
        from loaders.stages.arrival import note_absence

        if note_absence(self.source, self.dataset, period, absence, run_name()):
            notify_absence(self.source, self.dataset, period, absence)


class TakeDelivery(_Take):
    """A dataset of a source's month that `take` could not finish: one to look at or to wait for.

    A scheduled run waits for a monthly list until its days of grace are over; then, and at once for
    lists of a quarter or year, it leaves the waiting to `await_deliveries`, so that the month is
    published. A run that a person started says what is missing at once, and there a source that
    cannot be reached is no silent one: it is tried again, and fails in the end.

    Args:
        found: what `take` met, as :class:`loaders.stages.records.Outcome` keeps it; the first try
            ends by it, every later one looks again. None looks at once.
        after: tasks of the same run that have to end first.
    """

    def __init__(
        self,
        *,
        source: str,
        dataset: str,
        found: dict[str, Any] | None = None,
        after: Sequence[str] = (),
        **arguments: Any,
    ) -> None:
        super().__init__(source=source, dataset=dataset, **arguments)
        self.found, self.after = found, list(after)

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        if self.after:
            run = context["dag_run"]
            trigger = OthersEndTrigger(dag_id=run.dag_id, run_id=run.run_id, tasks=self.after)
            self.defer(trigger=trigger, method_name="resume")
        if self.found and context["ti"].try_number == 1:
            return self._end(self.found["period"], Outcome(**self.found))
        return self._look()

    def _absent(self, period: str, reason: str, is_unreachable: bool) -> dict[str, Any]:
        schedule = get_dataset(self.source, self.dataset).extension.schedule
        now = dt.datetime.now(dt.UTC)
        is_scheduled = period_and_run()["run_type"] == "scheduled"
        if is_scheduled and now < schedule.late_at(period):
            if schedule.frequency == "monthly":
                self._wait(period, schedule.late_at(period))
            raise AirflowSkipException(f"not due yet, await_deliveries waits for it: {reason}")
        if is_scheduled:
            self._note(period, "late" if now < schedule.given_up_at(period) else "given_up")
        if is_unreachable:
            raise SourceUnreachable(reason)
        raise AirflowSkipException(f"missing: {reason}")


class AwaitDelivery(_Take):
    """A dataset that had not come when its month was concluded: waited for until its last day.

    Args:
        period: the dataset's own, such as "2025-Q4".
    """

    def __init__(self, *, source: str, dataset: str, period: str, **arguments: Any) -> None:
        super().__init__(source=source, dataset=dataset, **arguments)
        self.period = period

    def period_of(self, month: str) -> str:
        return self.period

    def _absent(self, period: str, reason: str, is_unreachable: bool) -> dict[str, Any]:
        schedule = get_dataset(self.source, self.dataset).extension.schedule
        now = dt.datetime.now(dt.UTC)
        if now < schedule.late_at(period):
            self._wait(period, schedule.late_at(period))
        if now < schedule.given_up_at(period):
            self._note(period, "late")
            self._wait(period, schedule.given_up_at(period))
        self._note(period, "given_up")
        raise AirflowSkipException(f"missing, no longer waited for: {reason}")
