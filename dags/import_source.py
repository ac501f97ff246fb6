"""`import_<source>`: one Airflow DAG for each contract."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from airflow.sdk import (
    DAG,
    CronPartitionTimetable,
    get_current_context,
    get_parsing_context,
    task,
)

from dags.arrival import TakeDelivery
from dags.take_source import TakeSource
from dags.wiring import (
    PERIOD_FORMAT,
    RUN_TYPE,
    dag_arguments,
    intake_asset,
    log,
    period_and_run,
    task_states,
)
from loaders.contracts.model import Contract, load_contracts

#: Ids of the task that takes all datasets, and of the mapped one of those that need their own.
TAKE, TAKE_ONE = "take", "take_one"


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
        sources go on, and `build_and_publish` runs with what there is. `take` takes all that is
        there; each dataset that is refused, held or waited for has a `take_one` of its own, with
        the reason, which is also in `audit.batch_result`. A scheduled run waits for a monthly list
        until its days of grace are over; from then on, and for lists of a quarter or year,
        `await_deliveries` waits.

        ### How to rerun
        *Clear* one `take_one` to look at its dataset again, or `take` for all of the source.
        The same file again changes nothing, unless suite or contract have changed since it was
        accepted: then the month is judged again by today's rules. For a corrected file, put it
        into the inbox with a `restatement` reason in its side-car, then *Trigger* this DAG with
        the month (YYYY-MM) as partition key, and `build_and_publish` with the same month. A past
        month works the same.
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
            owner=contract.owner_en.replace(",", ";"),  # at a comma Airflow makes two of it
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
        taken = TakeSource(
            task_id=TAKE,
            source=contract.source,
            asset=asset,
            rest=TAKE_ONE,
            doc="Lands, loads and judges all that the source has sent.",
        )
        one = TakeDelivery.partial(
            task_id=TAKE_ONE,
            source=contract.source,
            map_index_template="{{ task.dataset }}",
            doc="A dataset to look at or to wait for.",
        ).expand_kwargs(taken.output)

        # A teardown runs whatever became of the datasets and does not decide how the run ends: a
        # refused dataset leaves a failed run, yet the month is announced to build_and_publish.
        @task(outlets=[asset])
        def conclude(*, outlet_events: Any) -> dict[str, str]:
            run = get_current_context()["dag_run"]
            outlet_events[asset].extra = {RUN_TYPE: period_and_run()["run_type"]}
            states = task_states(run.dag_id, run.run_id)
            log.info("intake concluded: %s", states)
            return states

        [taken, one] >> conclude().as_teardown()
    return dag


# A task's process reads this file for one DAG, the scheduler for all.
_wanted = get_parsing_context().dag_id
for _contract in load_contracts():
    if _wanted in (None, f"import_{_contract.source}"):
        globals()[f"import_{_contract.source}"] = import_dag(_contract)
