"""The months that scheduled and backfilled runs take, at the edges of day, month, year and zone."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from loaders.contracts.schedule import Schedule
from loaders.settings import PROJECT_ROOT

#: Prints for each case what Airflow makes of the project's timetable.
ASKED = """
import datetime as dt, json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DagRunInfo, TimeRestriction
from pendulum import parse

bag = DagBag(dag_folder=sys.argv[1])
given = json.loads(sys.argv[2])
stored = DagSerialization.to_dict(bag.dags["import_health"])
timetable = DagSerialization.from_dict(stored).timetable
answers = {"next": [], "backfill": []}
for after in given["next"]:
    last = DagRunInfo(
        run_after=parse(after), data_interval=None, partition_date=None, partition_key=None
    )
    limits = TimeRestriction(earliest=parse("2023-12-31T17:00Z"), latest=None, catchup=True)
    info = timetable.next_dagrun_info_v2(last_dagrun_info=last, restriction=limits)
    answers["next"].append([info.run_after.in_timezone("UTC").isoformat(), info.partition_key])
for first, last in given["backfill"]:
    infos = timetable.iter_partition_dagrun_infos(earliest=parse(first), latest=parse(last))
    answers["backfill"].append([info.partition_key for info in infos])
print("\\n" + json.dumps(answers))
"""
#: A run that starts after this moment (the fifth, 06:00 in Vietnam, is 23:00 UTC of the fourth)
#: → when it starts, and the month that it takes.
NEXT = {
    "the month before": ("2025-07-20T00:00Z", "2025-08-04T23:00:00+00:00", "2025-07"),
    "a second before it is due": ("2025-08-04T22:59:59Z", "2025-08-04T23:00:00+00:00", "2025-07"),
    "the moment that it is due": ("2025-08-04T23:00:00Z", "2025-09-04T23:00:00+00:00", "2025-08"),
    # 17:00 UTC on the last day is the first day of the next month in Vietnam.
    "the month boundary": ("2026-01-31T17:00:00Z", "2026-02-04T23:00:00+00:00", "2026-01"),
    "the end of the year": ("2025-12-31T17:00:00Z", "2026-01-04T23:00:00+00:00", "2025-12"),
    "a leap February": ("2024-02-29T17:00:00Z", "2024-03-04T23:00:00+00:00", "2024-02"),
    "summer time elsewhere": ("2025-03-30T01:30:00Z", "2025-04-04T23:00:00+00:00", "2025-03"),
}
BACKFILLS = {
    "half a year": ("2025-01-01T00:00Z", "2025-06-30T00:00Z", [f"2025-0{m}" for m in range(1, 7)]),
    "over the new year": ("2025-12-01T00:00Z", "2026-01-31T00:00Z", ["2025-12", "2026-01"]),
    "a leap February": ("2024-02-01T00:00Z", "2024-02-29T00:00Z", ["2024-02"]),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    given = {
        "next": [after for after, _, _ in NEXT.values()],
        "backfill": [case[:2] for case in BACKFILLS.values()],
    }
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "NQ42_"))},
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(PROJECT_ROOT),
        "TZ": "America/New_York",  # the machine's own zone is nobody's business
    }
    done = subprocess.run(
        [sys.executable, "-c", ASKED, str(PROJECT_ROOT / "dags"), json.dumps(given)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("case", NEXT)
def test_a_scheduled_run_takes_the_month_that_has_ended_in_vietnam(
    case: str, answers: dict[str, Any]
) -> None:
    _, starts, month = NEXT[case]
    assert answers["next"][list(NEXT).index(case)] == [starts, month]


@pytest.mark.parametrize("case", BACKFILLS)
def test_a_backfill_takes_the_months_that_are_named(case: str, answers: dict[str, Any]) -> None:
    assert answers["backfill"][list(BACKFILLS).index(case)] == BACKFILLS[case][2]


@pytest.mark.parametrize(
    ("frequency", "due_day", "period", "due", "late", "given_up"),
    [
        ("monthly", 5, "2026-01", "2026-02-05", "2026-02-06T17:00", "2026-02-15T17:00"),
        ("monthly", 28, "2024-01", "2024-02-28", "2024-02-29T17:00", "2024-03-09T17:00"),
        ("monthly", 28, "2025-01", "2025-02-28", "2025-03-01T17:00", "2025-03-10T17:00"),
        ("quarterly", 20, "2025-Q4", "2026-01-20", "2026-01-23T17:00", "2026-02-09T17:00"),
        ("annual", 25, "2025", "2026-01-25", "2026-01-30T17:00", "2026-03-11T17:00"),
    ],
)
def test_days_of_grace_and_of_waiting_end_at_midnight_in_vietnam(
    frequency: str, due_day: int, period: str, due: str, late: str, given_up: str
) -> None:
    schedule = Schedule.model_validate({"frequency": frequency, "due_day": due_day})
    assert schedule.due_on(period) == dt.date.fromisoformat(due)
    assert schedule.late_at(period) == dt.datetime.fromisoformat(f"{late}+00:00")
    assert schedule.given_up_at(period) == dt.datetime.fromisoformat(f"{given_up}+00:00")


def test_a_contract_may_wait_otherwise_than_others_of_its_frequency() -> None:
    given = {"frequency": "monthly", "due_day": 5, "grace_days": 0, "wait_days": 0}
    schedule = Schedule.model_validate(given)
    assert schedule.late_at("2026-01") == schedule.given_up_at("2026-01")
    with pytest.raises(ValidationError, match="may not end before"):
        Schedule.model_validate({**given, "grace_days": 2})
