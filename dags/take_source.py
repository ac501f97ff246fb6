"""The task that takes what a source has sent for a month, one dataset after the other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset, AssetAlias, BaseOperator
from airflow.sdk.bases.skipmixin import SkipMixin

from dags.notices import tell_taken
from dags.wiring import RUN_TYPE, period_and_run, run_name
from loaders.contracts.model import Dataset, get_contract
from loaders.operations.notices import Delivery
from loaders.stages.records import Outcome


class TakeSource(BaseOperator, SkipMixin):
    """Lands, loads and gates each dataset of a source that is due with the month.

    One task and not one for each dataset, because a task costs Airflow more than a small dataset's
    three stages (docs/decisions/0008-one-task-per-source.md). A dataset that is refused, held,
    unreachable or waited for, or whose stages raise, stops no other: it is handed on to a task of
    its own. With none of these the month is announced here and the tasks that follow are skipped.

    Args:
        asset: what the month is announced as.
        rest: id of the mapped task of what is handed on, to which the tasks `after` refer.

    Returns:
        Arguments of `dags.arrival.TakeDelivery` for each dataset that is handed on.
    """

    def __init__(self, *, source: str, asset: Asset, rest: str, **arguments: Any) -> None:
        # An alias, because a task's own asset is announced whenever the task succeeds.
        self.announced = AssetAlias(f"taken_{source}", group="nq42")
        super().__init__(outlets=[self.announced], **arguments)
        self.source, self.asset, self.rest = source, asset, rest

    def execute(self, context: Mapping[str, Any]) -> list[dict[str, Any]]:
        run = period_and_run()
        is_scheduled = run["run_type"] == "scheduled"
        handed_on: list[dict[str, Any]] = []
        waited_for: dict[str, str] = {}
        for dataset in get_contract(self.source).datasets:
            period = dataset.period_in(run["period"])
            if period is None:
                continue
            after = [waited_for[name] for name in dataset.extension.after if name in waited_for]
            # It may look up rows of these: it waits for their gates, however those end.
            found = None if after else self._take(context, dataset, period)
            if found is not None and is_done(dataset, found, is_scheduled=is_scheduled):
                continue
            if found is None or found.status == "missing":
                waited_for[dataset.name] = f"{self.rest}_{len(handed_on)}"
            found_there = found and found.to_dict()
            handed_on.append({"dataset": dataset.name, "found": found_there, "after": after})
        if not handed_on:
            context["outlet_events"][self.announced].add(
                self.asset, extra={RUN_TYPE: run["run_type"]}
            )
            self.skip(context["ti"], context["task"].get_direct_relatives(upstream=False))
        return handed_on

    def _take(self, context: Mapping[str, Any], dataset: Dataset, period: str) -> Outcome | None:
        """How the dataset's intake ended; None when it did not end by itself."""
        from loaders.stages.intake import import_dataset

        self.log.info("::group::%s %s", dataset.name, period)
        try:
            record = import_dataset(self.source, dataset.name, period, run_name())
        except Exception:
            self.log.exception("%s %s is tried again by itself", dataset.name, period)
            return None
        finally:
            self.log.info("::endgroup::")
        is_unreachable = getattr(record, "is_unreachable", False)  # only `land` asks the source
        found = Outcome(period, record.status, record.reason, is_unreachable)
        self.log.info("%s %s: %s", dataset.name, period, found.status)
        if found.status in ("accepted", "unchanged"):
            tell_taken(context, Delivery(self.source, dataset.name, period))
        return found


def is_done(dataset: Dataset, found: Outcome, *, is_scheduled: bool) -> bool:
    """Whether no task of its own has to wait for the dataset, or to show what became of it.

    What is missing in a run that a person started is no more than missing, and a list of a quarter
    or year that is not late yet is waited for by `await_deliveries`.
    """
    if found.status != "missing":
        return found.status not in ("refused", "held")
    schedule = dataset.extension.schedule
    if is_scheduled:
        is_late = dt.datetime.now(dt.UTC) >= schedule.late_at(found.period)
        return schedule.frequency != "monthly" and not is_late
    return not found.is_unreachable
