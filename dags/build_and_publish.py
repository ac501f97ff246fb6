"""`build_and_publish`: from raw to a release. Written by hand: there is one, for all sources."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, AssetAll, AssetAny, PartitionedAssetTimetable, TriggerRule, task
from airflow.sdk.exceptions import AirflowSkipException

from dags.approval import ApproveRelease
from dags.backfill import BuildCandidate
from dags.wiring import ARRIVED, RELEASE_FIRST, dag_arguments, finish, intake_asset, run_name
from loaders.contracts.model import load_contracts

DOCUMENTATION = """\
### Purpose
Computes the figures of a month from `raw`, judges them at the release gate, publishes them. Runs
when every source has concluded the month, which it does when all its monthly lists have come or
their days of grace are over, and again for each delivery that comes later (`await_deliveries`).
Where warnings failed, `approve` asks a person: the question is under *Required Actions*.

A backfill is published once: a run that it caused waits until no import runs, without a worker.
What a backfill or a late delivery caused is left to the next run when one stands in the queue.

### Output
A release: `marts` switched in one transaction, what changed in `publication`, month and
quality report under the reports folder, the release as files under the exports folder. When
nothing changed since the last release, no release.

### Impact of failure
The old release stays, whole. A failed `build` leaves no candidate; a candidate that `gate` holds
or that waits for its approval stays beside the marts for inspection. Waiting keeps no later month
out: when the next run stands in the queue, this one ends, superseded, and the next candidate holds
its months too. A failed `export` leaves the release as published and the files of the one before.

### How to rerun
Clear the failed task once its cause is gone; clear `gate` to be asked again after a rejection.
After a restated delivery, *Trigger* this DAG with the month (YYYY-MM) as partition key; a month
before the published one gives a new release of the published month.
"""


SOURCES = [contract.source for contract in load_contracts()]

with DAG(
    **dag_arguments(
        verb="build",
        subject="and_publish",
        owner="nq42",
        tags=["release"],
        priority_weight=RELEASE_FIRST,
    ),
    schedule=PartitionedAssetTimetable(
        assets=AssetAny(AssetAll(*(intake_asset(source) for source in SOURCES)), ARRIVED)
    ),
    dag_display_name="build_and_publish · Tính toán và công bố",
    description="Tính chỉ tiêu, kiểm tra, công bố / compute, judge, publish",
    doc_md=DOCUMENTATION,
) as build_and_publish:

    @task
    def gate(built: dict[str, Any]) -> dict[str, Any]:
        from loaders.stages.gate import gate_release as stage

        if built["status"] == "unchanged":
            raise AirflowSkipException("nothing changed since the published release")
        return finish(stage(built["candidate_id"], run_id=run_name()))

    # Without warnings `approve` is skipped; with nothing new, `gate` and `approve` are.
    @task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    def publish(gated: dict[str, Any]) -> dict[str, Any]:
        from loaders.report import write_release_report
        from loaders.stages.publish import publish as stage

        return finish(
            stage(gated["subject_id"], run_id=run_name(), after_publish=write_release_report)
        )

    @task
    def export() -> dict[str, Any]:
        from loaders.exports import export_newest

        done = export_newest()
        return {"release_id": done.release_id, "files": len(done.files)}

    build = BuildCandidate(
        task_id="build", imports=[f"import_{source}" for source in SOURCES], doc="Runs dbt."
    )
    gated = gate(build.output)
    ApproveRelease(task_id="approve", gated=gated) >> publish(gated) >> export()
