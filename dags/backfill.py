"""The task that builds a candidate; in a backfill it waits until all of it is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from dags.wiring import ARRIVED, RUN_TYPE, finish, period_and_run

PAUSE_SECONDS = 10
#: An import that has just ended may have caused a run that is not in the queue yet.
QUIET_LOOKS = 2


class ImportsEndTrigger(BaseTrigger):
    """Waits until no import runs or stands in the queue, or another release run is in the queue.

    Its event says ``{"is_followed": …}``: whether another release run will come.
    """

    def __init__(self, *, dag_id: str, imports: list[str]) -> None:
        super().__init__()
        self.dag_id, self.imports = dag_id, imports

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "dags.backfill.ImportsEndTrigger", {"dag_id": self.dag_id, "imports": self.imports}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        quiet = 0
        while True:
            if await self._count(self.dag_id, ["queued"]):
                yield TriggerEvent({"is_followed": True})
                return
            quiet = 0 if await self._is_importing() else quiet + 1
            if quiet == QUIET_LOOKS:
                yield TriggerEvent({"is_followed": False})
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _is_importing(self) -> bool:
        for dag_id in self.imports:
            if await self._count(dag_id, ["queued", "running"]):
                return True
        return False

    async def _count(self, dag_id: str, states: list[str]) -> int:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        return await asyncio.to_thread(
            RuntimeTaskInstance.get_dr_count, dag_id=dag_id, states=states
        )


class BuildCandidate(BaseOperator):
    """Builds the candidate of the run's month, or of a later one that was left to this run.

    What a backfill or late deliveries caused is left to the next run where one stands in the queue:
    many months, or many files put into the inbox together, make one release.

    Args:
        imports: ids of the DAGs that a backfill runs in.
    """

    def __init__(self, *, imports: Iterable[str], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.imports = list(imports)

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        events = [e for of in context["triggering_asset_events"].values() for e in of]
        is_backfill = any((event.extra or {}).get(RUN_TYPE) == "backfill" for event in events)
        if not is_backfill and all(event.asset.uri != ARRIVED.uri for event in events):
            return self._build()
        waiting = context["ti"].get_dr_count(dag_id=self.dag_id, states=["queued"])
        if is_backfill and not waiting:
            self.defer(
                trigger=ImportsEndTrigger(dag_id=self.dag_id, imports=self.imports),
                method_name="resume",
            )
        return self.resume(context, {"is_followed": bool(waiting)})

    def resume(self, context: Mapping[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        """Build, or leave the month to the run that stands in the queue."""
        from loaders.stages.postponed import postpone_release

        due = period_and_run()
        if event["is_followed"]:
            postpone_release(due["period"], due["run_id"])
            raise AirflowSkipException("left to the next run, which stands in the queue")
        return self._build()

    def _build(self) -> dict[str, Any]:
        from loaders.stages.build import build
        from loaders.stages.postponed import month_to_release

        due = period_and_run()
        return finish(build(month_to_release(due["period"]), due["run_id"]))
