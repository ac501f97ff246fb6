"""The mart of the tasks against the extracts that it was made from."""

from __future__ import annotations

import re
from typing import Any

import pytest

from loaders.contracts.model import get_dataset
from loaders.postgres.database import Role, connect
from loaders.sample.environment import task_progress
from loaders.sample.geography import SEEDS_DIR, read_geography
from loaders.sample.province import Month, Province
from loaders.settings import PROJECT_ROOT
from tests.dbt import rows
from tests.dbt.conftest import Dbt

#: The quarter before the reform, and the first one of the successors.
MONTHS = ("2025-06", "2025-09")
STATUS = {"CTH": "not_started", "DTH": "in_progress", "HT": "done", "CH": "late"}
Report = dict[str, Any]


def query(statement: str) -> list[tuple[Any, ...]]:
    with connect(Role.ADMIN) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture(scope="module")
def reports(dbt: Dbt) -> list[Report]:
    """Two quarters of undamaged reports, loaded and built; newest first."""
    province = Province(read_geography(SEEDS_DIR), 0.01, 7)
    kept = [c.name for c in get_dataset("programme_office", "task_progress").loaded_columns]
    found: list[Report] = []
    for period in MONTHS:
        month = Month(period)
        assert month.quarter is not None
        sent = task_progress(province, month).select(kept).to_dicts()
        rows.insert("programme_office__task_progress", month.quarter, sent)
        found = [row | {"period": month.quarter} for row in sent] + found
    dbt("seed")
    dbt(
        "build", "--select", "+fct_task_progress",
        "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test",
        as_of_period="2025-09",
    )  # fmt: skip
    return found


def test_every_agency_has_its_latest_report(reports: list[Report]) -> None:
    """Also those that were silent in the newest quarter, or report as their successor."""
    given = query(
        "select t.task_id, t.agency_id, a.successor_agency_id"
        " from reference.programme_task_agency t join reference.programme_agency a"
        " using (agency_id) where t.role = 'implement'"
    )
    expected = {}
    for task, agency, successor in given:
        latest = next(
            (r for r in reports if r["task_id"] == task and r["agency_id"] in (agency, successor)),
            None,
        )
        expected[task, agency] = (
            (latest["period"], latest["agency_id"], STATUS[latest["status_code"]],
             latest["percent_done"], latest["late_reason_code"])
            if latest
            else (None, None, "not_reported", None, None)
        )  # fmt: skip
    mart = {
        (task, agency): (period, responsible if period else None, *rest)
        for task, agency, period, responsible, *rest in query(
            "select task_id, implementing_agency_id, report_period, responsible_agency_id,"
            " task_status, percent_done, late_reason_code from candidate.fct_task_progress"
        )
    }
    assert mart == expected
    periods = {values[0] for values in expected.values()}
    assert {"2025-Q2", "2025-Q3"} <= periods, "nobody fell silent: the example shows too little"


def test_no_report_gets_lost_on_the_way(reports: list[Report]) -> None:
    """Nobody's report in the files is refused as a repetition of somebody else's."""
    keys = [(r["period"], r["task_id"], r["agency_id"]) for r in reports]
    assert len(keys) == len(set(keys))


def test_the_query_of_the_document_lists_exactly_the_late_tasks(reports: list[Report]) -> None:
    text = (PROJECT_ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    (statement,) = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    late = query(statement.replace("marts.", "candidate."))
    assert late
    assert {row[6] for row in late} >= {"late"} and "done" not in {row[6] for row in late}
    # Only IV.2 has a due date, long over: everybody who has not finished it is late.
    assert {row[0] for row in late if row[6] != "late"} <= {"IV.2"}
    counted = query(
        "select count(*) from candidate.fct_task_progress where task_status = 'late'"
        " or (task_id = 'IV.2' and task_status <> 'done')"
    )
    assert counted == [(len(late),)]
