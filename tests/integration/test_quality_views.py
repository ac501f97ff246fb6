"""The views of quality in schema audit, and that page, JSON-LD and views tell the same figures."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from loaders import audit
from loaders.contracts.model import load_contracts
from loaders.periods import end_of
from loaders.postgres.database import Role, connect
from loaders.report import render_quality, words
from loaders.report.data import ReleaseView
from loaders.report.quality_data import QualityView, read_quality
from loaders.report.quality_json import quality_document, render_quality_json
from loaders.stages.setup import record_schedule
from tests.integration.trail import VIETNAM, insert, judge, receive, refuse_row
from tests.quality_pages import rule
from tests.report_pages import Node, parse, release_view

VIEWS = ("quality_timeliness", "quality_volumes", "quality_rules", "quality_quarantine")
CANDIDATE = "2025-07-c1"


@pytest.fixture(scope="module")
def trail(warehouse: Any) -> QualityView:
    """Three months of two datasets; the last month of one is held, one file never came."""
    with connect(Role.LOADER) as connection:
        record_schedule(connection, [d for c in load_contracts() for d in c.datasets])
        for dataset, period, day, read, bad in (
            ("staff", "2025-05", datetime(2025, 6, 5, 23, 59, tzinfo=VIETNAM), 200, 0),
            ("staff", "2025-06", datetime(2025, 7, 6, 0, 1, tzinfo=VIETNAM), 100, 1),
            ("staff", "2025-07", datetime(2025, 8, 12, 9, tzinfo=VIETNAM), 210, 5),
            ("staff", "2025-08", datetime(2025, 9, 1, 9, tzinfo=VIETNAM), 9, 0),
            ("facilities", "2025-05", datetime(2025, 6, 1, 9, tzinfo=VIETNAM), 50, 0),
        ):
            batch_id = f"{dataset}-{period}"
            receive(connection, dataset, period, batch_id, at=day)
            judge(connection, dataset, period, batch_id, "accepted", read=read, quarantined=bad)
        judge(connection, "facilities", "2025-06", None, "missing", reason="no file")
        receive(connection, "facilities", "2025-07", "facilities-2025-07")
        judge(
            connection,
            "facilities",
            "2025-07",
            "facilities-2025-07",
            "held",
            read=60,
            quarantined=40,
            reason="40 of 60 rows are in quarantine",
        )
        for number in range(5, 0, -1):
            refuse_row(
                connection,
                *("staff", "2025-07", "staff-2025-07", number),
                column_name="position_code",
                offending_value=f"BS{number}",
            )
        refuse_row(connection, "staff", "2025-07", "staff-2025-07", 9, column_name="person_key")
        earlier, last = uuid4(), uuid4()
        for rule_id, result, gate_run in (
            ("staff.left_the_suite", "fail", earlier),
            ("staff.once", "fail", earlier),
            ("staff.once", "pass", last),
            ("staff.known", "fail", last),
        ):
            row = rule(rule_id, result, subject_id="staff-2025-07", kind="row", gate_run=gate_run)
            insert(connection, sql.Identifier("audit", "rule_result"), row)
        row = rule("staff.known", "fail", subject_id="replaced", kind="row", gate_run=uuid4())
        insert(connection, sql.Identifier("audit", "rule_result"), row)
    with connect(Role.PUBLISHER) as connection:
        return read_quality(connection, "2025-07", CANDIDATE)


def rows_of(view: str) -> list[dict[str, Any]]:
    with connect(Role.AUDITOR) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(f"select * from audit.{view}").fetchall()


def by_period(rows: Any, dataset: str) -> dict[str, Any]:
    return {row["period"]: row for row in rows if row["dataset"] == dataset}


# --- what the views say -------------------------------------------------------------------------


def test_a_day_is_late_by_vietnams_calendar(trail: QualityView) -> None:
    staff = by_period(trail.timeliness, "staff")
    assert staff["2025-05"]["expected_on"] == date(2025, 6, 5)
    late = {period: (row["is_on_time"], row["days_late"]) for period, row in staff.items()}
    assert late == {"2025-05": (True, 0), "2025-06": (False, 1), "2025-07": (False, 7)}


def test_what_never_came_is_neither_late_nor_in_time(trail: QualityView) -> None:
    row = by_period(trail.timeliness, "facilities")["2025-06"]
    assert (row["status"], row["is_received"], row["is_on_time"]) == ("missing", False, None)
    assert row["days_late"] is None and row["expected_on"] == date(2025, 7, 5)


def test_the_data_served_instead_have_an_age(trail: QualityView) -> None:
    facilities = by_period(trail.timeliness, "facilities")
    served = {p: (r["served_period"], r["served_age_days"]) for p, r in facilities.items()}
    assert served == {
        "2025-05": ("2025-05", 0),
        "2025-06": ("2025-05", 30),
        "2025-07": ("2025-05", 61),
    }
    assert facilities["2025-07"]["served_batch_id"] == "facilities-2025-05"


def test_volumes_are_compared_with_the_last_accepted_period(trail: QualityView) -> None:
    staff = by_period(trail.volumes, "staff")
    july = staff["2025-07"]
    assert (july["rows_loaded"], july["rows_loaded_before"]) == (205, 99)
    assert july["change_pct"] == Decimal("107.0707")
    assert july["quarantined_pct"] == Decimal("2.3810")
    assert july["is_whole"] is True
    held = by_period(trail.volumes, "facilities")["2025-07"]
    assert (held["is_whole"], held["change_pct"]) == (None, None)


def test_a_batch_that_lost_rows_is_not_whole(trail: QualityView) -> None:
    with connect(Role.ADMIN) as connection:
        values = {"source": "health", "dataset": "staff", "period": "2025-07"}
        audit.record_batch_result(
            connection,
            **values,
            batch_id="staff-2025-07",
            stage="gate",
            status="accepted",
            rows_read=210,
            rows_loaded=204,
            rows_quarantined=5,
        )
        found = connection.execute(
            "select is_whole from audit.quality_volumes"
            " where dataset = 'staff' and period = '2025-07'"
        ).fetchall()
        connection.rollback()
    assert found == [(False,)]


def test_only_the_last_run_of_a_batch_in_use_counts(trail: QualityView) -> None:
    assert {row["rule_id"]: row["result"] for row in trail.rules} == {
        "staff.once": "pass",
        "staff.known": "fail",
    }
    unused = [row for row in rows_of("quality_rules") if not row["is_in_use"]]
    assert [row["subject_id"] for row in unused] == ["replaced"]


def test_examples_are_the_first_rows_and_show_no_personal_value(trail: QualityView) -> None:
    code, person = sorted(trail.quarantine, key=lambda row: -row["findings"])
    assert code["findings"] == 5
    assert [(e["row_number"], e["value"]) for e in code["examples"]] == [
        (1, "BS1"),
        (2, "BS2"),
        (3, "BS3"),
    ]
    assert [(e["row_number"], e["value"]) for e in person["examples"]] == [(9, None)]
    assert code["file_name"] == "staff_2025-07.xlsx"


def test_later_months_belong_to_later_releases(trail: QualityView) -> None:
    assert "2025-08" in {row["period"] for row in rows_of("quality_volumes")}
    for rows in (trail.timeliness, trail.volumes):
        assert max(row["period"] for row in rows) == "2025-07"


@pytest.mark.parametrize("period", ["2024-02", "2025-12", "2025-Q1", "2025-Q4", "2025"])
def test_a_period_ends_in_the_database_as_in_python(warehouse: Any, period: str) -> None:
    with connect(Role.AUDITOR) as connection:
        found = connection.execute("select audit.period_end(%s)", (period,)).fetchone()
    assert found == (end_of(period),)


@pytest.mark.parametrize("period", ["2025-13", "2025-Q5", "25", "2024-2025", ""])
def test_what_is_no_period_has_no_end(warehouse: Any, period: str) -> None:
    with connect(Role.AUDITOR) as connection:
        found = connection.execute("select audit.period_end(%s)", (period,)).fetchone()
    assert found == (None,)


def test_every_column_says_what_it_is_in_both_languages(warehouse: Any) -> None:
    query = """
        select c.relname || '.' || a.attname
        from pg_class as c
        inner join pg_attribute as a on c.oid = a.attrelid
        where
            c.relnamespace = 'audit'::regnamespace and a.attnum > 0
            and (c.relname like 'quality%%' or c.relname = 'delivery_schedule')
            and c.relkind in ('r', 'v')
            and coalesce(col_description(c.oid, a.attnum), '') not like '%%_ / _%%'
    """
    with connect(Role.ADMIN) as connection:
        assert connection.execute(query, ()).fetchall() == []
        connection.execute("comment on column audit.quality_rules.kind is null")
        assert connection.execute(query, ()).fetchall() == [("quality_rules.kind",)]
        connection.rollback()


@pytest.mark.parametrize("view", VIEWS)
def test_dashboards_do_not_see_single_rows(trail: QualityView, view: str) -> None:
    assert rows_of(view)
    with connect(Role.BI) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"select * from audit.{view}")


# --- the schedule -------------------------------------------------------------------------------


def test_a_schedule_is_recorded_once_and_a_change_is_an_event(trail: QualityView) -> None:
    datasets = [dataset for contract in load_contracts() for dataset in contract.datasets]
    with connect(Role.LOADER) as connection:
        assert record_schedule(connection, datasets) == 0
        connection.execute(
            "insert into audit.delivery_schedule (source, dataset, title_vi, title_en, frequency,"
            " due_day, contract_version) values ('health', 'staff', 'x', 'x', 'monthly', 9, '0')"
        )
        assert record_schedule(connection, datasets) == 1
        (event,) = connection.execute(
            "select payload -> 'row' ->> 'due_day' from audit.event where kind = %s"
            " order by seq desc limit 1",
            (audit.SCHEDULE_EVENT,),
        ).fetchall()
        connection.rollback()
    assert event == ("5",)


# --- the same figures everywhere ----------------------------------------------------------------


def release_of(quality: QualityView) -> ReleaseView:
    view = release_view(quality=quality)
    assert view.note["candidate_id"] == CANDIDATE
    return view


def cells(page: Node, period: str, dataset: str) -> list[str]:
    """The line of a batch in the list of batches of the page."""
    (line,) = [
        row
        for table in page.all("table", "batches")
        for row in table.all("tr")
        if row.all("td") and row.all("td")[0].text == period and f".{dataset} " in row.text
    ]
    return [cell.text for cell in line.all("td")]


def values_of(document: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """(metric, subject) → value of every measurement."""
    return {
        (node["dqv:isMeasurementOf"]["@id"], node["dqv:computedOn"]["@id"]): node["dqv:value"]
        for node in document["@graph"]
        if node["@type"] == "dqv:QualityMeasurement"
    }


def test_page_json_and_views_say_the_same(trail: QualityView) -> None:
    view = release_of(trail)
    page = parse(render_quality(view))
    values = values_of(json.loads(render_quality_json(view)))
    seen = 0
    for name in ("quality_timeliness", "quality_volumes"):
        for row in rows_of(name):
            if row["ends_on"] > date(2025, 7, 31):
                continue
            line = cells(page, words.period(row["period"]), row["dataset"])
            subject = f"urn:x-nq42:delivery:health:{row['dataset']}:{row['period']}"
            found = {
                metric.removeprefix("urn:x-nq42:metric:"): value
                for (metric, of), value in values.items()
                if of == subject
            }
            if name == "quality_volumes":
                columns = ("rows_read", "rows_loaded", "rows_quarantined")
                assert [words.number(row[column]) for column in columns] == line[2:5]
            else:
                columns = ("days_late", "served_age_days", "is_on_time")
                assert ("–" if row["days_late"] is None else str(row["days_late"])) == line[7]
            for column in columns:
                assert found.get(column) == row[column], (row["dataset"], row["period"], column)
            seen += 1
    assert seen == 12
    for row in rows_of("quality_rules"):
        if row["is_in_use"]:
            metric = f"urn:x-nq42:rule:{row['rule_id']}:{row['rule_version']}"
            subject = "urn:x-nq42:delivery:health:staff:2025-07"
            assert values[metric, subject] == row["rows_failing"]
    shown = {row.all("th")[0].text: row for row in page.all("table", "quarantine")[0].all("tr")[1:]}
    for row in rows_of("quality_quarantine"):
        (line,) = [of for head, of in shown.items() if row["column_name"] in head]
        assert [cell.text for cell in line.all("td", "num")] == [words.number(row["findings"])] * 2
        annotations = [
            node["nq42:findings"]
            for node in quality_document(view)["@graph"]
            if node.get("nq42:column") == row["column_name"]
        ]
        assert annotations == [row["findings"]]


def test_a_figure_that_differs_would_be_found(trail: QualityView) -> None:
    changed = [
        {**row, "rows_loaded": 206} if row["rows_loaded"] == 205 else row for row in trail.volumes
    ]
    other = QualityView(timeliness=trail.timeliness, volumes=changed, datasets=trail.datasets)
    line = cells(parse(render_quality(release_of(other))), "07/2025", "staff")
    assert line[3] == "206"


def test_the_trail_is_dated_by_its_newest_event(trail: QualityView) -> None:
    assert trail.head is not None
    with connect(Role.AUDITOR) as connection:
        assert audit.head(connection) == trail.head["hash"]
    text = parse(render_quality(release_of(trail))).all("header")[0].text
    assert trail.head["hash"] in text and f"sự kiện {trail.head['seq']}" in text
    assert trail.head["at"].astimezone(UTC).year >= 2025
