"""`import_<source>`: one Airflow DAG for each contract."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from airflow.sdk import (
    DAG,
    CronPartitionTimetable,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    TriggerRule,
    task,
    task_group,
)

from dags.wiring import (
    LATE_RETRIES,
    LATE_RETRY_DELAY,
    PERIOD_FORMAT,
    RETRY_POLICY,
    dag_arguments,
    due_or_skip,
    end_as,
    finish,
    intake_asset,
    log,
    period_and_run,
    run_name,
    task_states,
    wait_or_skip,
)
from loaders.contracts.model import Contract, Dataset, load_contracts

LAND_RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            "dags.wiring.DeliveryMissing",
            action=RetryAction.RETRY,
            retry_delay=LATE_RETRY_DELAY,
            reason="the source has sent nothing yet",
        ),
        *RETRY_POLICY.rules,
    ],
    default=RetryAction.FAIL,
)


def intake(dataset: Dataset) -> Any:
    """Task group of one dataset: land, load, gate. Returns the group's gate task."""
    # Its gate looks up rows of other datasets: it waits for their gates, however those end.
    waits = bool(dataset.extension.after)

    @task(retries=LATE_RETRIES, retry_policy=LAND_RETRY_POLICY)
    def land() -> dict[str, Any]:
        from loaders.stages.land import land as stage

        due = period_and_run()
        due["period"] = due_or_skip(dataset.period_in(due["period"]))
        record = stage(dataset.source, dataset.name, **due)
        if record.status == "missing":
            wait_or_skip(record.reason)
        return finish(record)

    @task
    def load(landed: dict[str, Any]) -> dict[str, Any]:
        from loaders.stages.load import load as stage

        return finish(stage(landed["batch_id"], run_id=run_name()))

    @task(trigger_rule=TriggerRule.ALL_DONE if waits else TriggerRule.ALL_SUCCESS)
    def gate(loaded: dict[str, Any] | None) -> dict[str, Any]:
        from loaders.stages.gate import gate_intake as stage

        if loaded is None:
            end_as(f"{dataset.name}.load")
        return finish(stage(loaded["batch_id"], run_id=run_name()))

    @task_group(group_id=dataset.name, tooltip=f"{dataset.title_vi} / {dataset.description}")
    def group() -> Any:
        return gate(load(land()))

    return group()


def documentation(contract: Contract) -> str:
    datasets = "\n".join(f"- `{d.name}`: {d.title_vi}. {d.description}" for d in contract.datasets)
    return dedent("""\
        ### Purpose
        Takes the monthly delivery of {owner_vi} / {owner_en}: lands the files unchanged, loads
        them into stage tables, judges them at the intake gate and swaps them into `raw`.
        {purpose}

        ### Output
        One month of each dataset in `raw`, every bad row with its reason in `quarantine`, receipts
        and rule results in `audit`, and an event of the asset `{asset}`:

        {datasets}

        ### Impact of failure
        A dataset that is missing, refused or held keeps its last good data; the other datasets and
        sources go on, and `build_and_publish` runs with what there is. The reason is on the failed
        task and in `audit.batch_result`. A scheduled run asks a silent source again for ten days.

        ### How to rerun
        The same file again changes nothing. For a corrected file, put it into the inbox with a
        `restatement` reason in its side-car, then *Trigger* this DAG with the month (YYYY-MM) as
        partition key, and `build_and_publish` with the same month. A past month works the same.
        """).format(
        owner_vi=contract.owner_vi,
        owner_en=contract.owner_en,
        purpose=contract.purpose,
        asset=intake_asset(contract.source).uri,
        datasets=datasets,
    )


def import_dag(contract: Contract) -> DAG:
    """The DAG of one source."""
    asset = intake_asset(contract.source)
    with DAG(
        **dag_arguments(
            verb="import",
            subject=contract.source,
            owner=contract.owner_en,
            tags=[contract.source],
            # A run that waits for a late delivery must not keep another month out; the stages
            # lock the dataset's month that they work on.
            max_active_runs=4,
        ),
        schedule=CronPartitionTimetable(
            contract.cron,
            timezone="Asia/Ho_Chi_Minh",
            run_offset=-1,  # the run of the 5th takes the month before
            key_format=PERIOD_FORMAT,
        ),
        dag_display_name=f"import_{contract.source} · {contract.title_vi}",
        description=f"{contract.title_vi} / {contract.title_en}",
        doc_md=documentation(contract),
    ) as dag:
        gates = {dataset.name: intake(dataset) for dataset in contract.datasets}

        for dataset in contract.datasets:
            for name in dataset.extension.after:
                gates[name] >> gates[dataset.name]

        # A teardown runs whatever became of the datasets and does not decide how the run ends: a
        # refused dataset leaves a failed run, yet the month is announced to build_and_publish.
        @task(outlets=[asset])
        def conclude() -> dict[str, str]:
            states = task_states()
            summary = {name: states.get(f"{name}.gate", "none") for name in gates}
            log.info("intake concluded: %s", summary)
            return summary

        list(gates.values()) >> conclude().as_teardown()
    return dag


for _contract in load_contracts():
    globals()[f"import_{_contract.source}"] = import_dag(_contract)
