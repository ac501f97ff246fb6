"""`await_deliveries`: written by hand, because it waits for all sources."""

from __future__ import annotations

import datetime as dt

from airflow.sdk import DAG, AssetAll, PartitionedAssetTimetable, task

from dags.arrival import AwaitDelivery
from dags.wiring import ARRIVED, LATE_FIRST, dag_arguments, intake_asset, period_and_run
from loaders.contracts.model import load_contracts

DOCUMENTATION = """\
### Purpose
Waits for what had not come when a month was concluded: late monthly lists, and lists of a quarter
or a year, which are due later. Runs once for a month, beside `build_and_publish`, with one task for
each such dataset. A waiting task holds no worker: the triggerer asks the source.

### Output
What comes is landed, loaded and judged, and `build_and_publish` runs again with the month. A
dataset that is not there when its days of grace are over is *late*, one that is not there on its
last day is *given up*: each is recorded once in `audit.batch_result` and reported once.

### Impact of failure
What was refused or held is on the failed task, as in an import; the published release stays. A run
that was deleted waits for nothing: trigger the import by hand once the delivery is there.

### How to rerun
*Clear* a failed task once its cause is gone. For a delivery that comes after its last day, put it
into the inbox and trigger `import_<source>` and `build_and_publish` with the month as partition
key.
"""

with DAG(
    **dag_arguments(
        verb="await",
        subject="deliveries",
        owner="nq42",
        tags=["arrival"],
        # A yearly list is waited for up to three months: no later month may stand behind it.
        max_active_runs=24,
        priority_weight=LATE_FIRST,
    ),
    schedule=PartitionedAssetTimetable(
        assets=AssetAll(*(intake_asset(contract.source) for contract in load_contracts()))
    ),
    dag_display_name="await_deliveries · Chờ dữ liệu đến muộn",
    description="Chờ dữ liệu chưa đến / wait for deliveries that have not come",
    doc_md=DOCUMENTATION,
) as await_deliveries:

    @task
    def find() -> list[dict[str, str]]:
        """What is still waited for; with nothing, `take` is skipped."""
        from loaders.stages.arrival import awaited

        now = dt.datetime.now(dt.UTC)
        return [one.to_dict() for one in awaited(period_and_run()["period"], now)]

    AwaitDelivery.partial(
        task_id="take",
        outlets=[ARRIVED],
        map_index_template="{{ task.source }} {{ task.dataset }} {{ task.period }}",
        doc="Lands, loads and judges one delivery when it comes.",
    ).expand_kwargs(find())
