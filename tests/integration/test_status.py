"""`nq42 status` on a trail of a few deliveries."""

from __future__ import annotations

import datetime as dt
import json

import psycopg
import pytest

from loaders import audit
from loaders.operations.status import DatasetStatus, Status, read_status
from loaders.postgres.database import Role, connect
from loaders.stages.arrival import note_absence
from loaders.stages.decisions import Finding
from loaders.stages.gate.hold import Hold
from loaders.stages.publish import publish
from tests.candidates import judge_candidate, make_candidate
from tests.conftest import Warehouse
from tests.integration.commands import nq42
from tests.integration.trail import VIETNAM, judge, receive

TODAY = dt.date(2025, 8, 9)  # what health owes for July is due on the 5th


@pytest.fixture(scope="module", autouse=True)
def trail(warehouse: Warehouse) -> None:
    with connect(Role.LOADER) as connection:
        late = dt.datetime(2025, 8, 8, 1, tzinfo=VIETNAM)
        receive(connection, "facilities", "2025-07", "b1")
        judge(connection, "facilities", "2025-07", "b1", "accepted", read=10, quarantined=2)
        receive(connection, "staff", "2025-07", "b2", at=late)
        judge(connection, "staff", "2025-07", "b2", "held", reason="too few rows")
        judge(connection, "health_records", "2025-07", None, "missing", reason="nothing in inbox")
        judge(connection, "immunisation_doses", "2025-07", None, "refused", reason="not a workbook")
        receive(connection, "immunisation_children", "2025-07", "b3")
        audit.record_batch_result(
            connection,
            batch_id="b3",
            source="health",
            dataset="immunisation_children",
            period="2025-07",
            stage="land",
            status="landed",
        )


def of(status: Status, dataset: str) -> DatasetStatus:
    (found,) = [each for each in status.datasets if each.dataset == dataset]
    return found


def test_what_arrived_what_is_late_and_what_is_held() -> None:
    status = read_status(today=TODAY)
    assert status.month == "2025-07"  # the latest on record
    facilities = of(status, "facilities")
    assert facilities.state == "accepted"
    assert (facilities.rows_loaded, facilities.rows_quarantined) == (8, 2)
    assert (facilities.received_on, facilities.days_late) == (dt.date(2025, 8, 4), 0)
    assert facilities.expected_on == dt.date(2025, 8, 5)
    assert (facilities.next_period, facilities.next_due_on) == ("2025-08", dt.date(2025, 9, 5))
    assert facilities.advice == ""

    staff = of(status, "staff")
    assert (staff.state, staff.days_late, staff.reason) == ("held", 3, "too few rows")
    assert "runbook.md#held" in staff.advice
    missing = of(status, "health_records")
    assert (missing.state, missing.days_late) == ("awaited", 4)
    assert missing.last_on == dt.date(2025, 8, 15)
    assert "Sở Y tế" in missing.advice and "by itself until 2025-08-15" in missing.advice
    assert "runbook.md#refused" in of(status, "immunisation_doses").advice
    landed = of(status, "immunisation_children")
    assert landed.state == "landed" and "nq42 import health 2025-07" in landed.advice


def test_what_is_waited_for_is_late_then_given_up_then_here(warehouse: Warehouse) -> None:
    def seen(today: dt.date = TODAY) -> tuple[str, bool]:
        doses = of(read_status("2025-05", today=today), "immunisation_doses")
        return doses.state, "nq42 import health 2025-05" in doses.advice

    def nothing_came() -> None:
        with connect(Role.LOADER) as connection:
            judge(connection, "immunisation_doses", "2025-05", None, "missing", reason="nothing")

    due_on, last_on = dt.date(2025, 6, 5), dt.date(2025, 6, 15)
    nothing_came()
    assert seen(due_on) == ("awaited", False)
    assert of(read_status("2025-05", today=due_on), "immunisation_doses").advice == ""
    assert seen(last_on) == ("awaited", False)
    assert seen(last_on + dt.timedelta(days=1)) == ("missing", True)  # nobody waited
    for absence, has_to_be_imported in (("late", False), ("given_up", True)):
        assert note_absence("health", "immunisation_doses", "2025-05", absence)
        assert seen() == (absence, has_to_be_imported)
        nothing_came()  # a person's run says so once more
        assert seen() == (absence, has_to_be_imported)
    shown = nq42("status", "--width", "200", "--month", "2025-05").stdout
    assert "hết hạn chờ / given up" in shown
    with connect(Role.LOADER) as connection:
        receive(connection, "immunisation_doses", "2025-05", "b5")
        judge(connection, "immunisation_doses", "2025-05", "b5", "accepted", read=1, quarantined=0)
    assert seen() == ("accepted", False)


def test_what_nobody_asked_for_is_late_only_after_its_day() -> None:
    cases = of(read_status(today=TODAY), "disease_cases")
    assert (cases.state, cases.days_late) == ("not_asked", 4)
    assert "runbook.md#missing" in cases.advice
    early = of(read_status(today=dt.date(2025, 8, 5)), "disease_cases")
    assert (early.days_late, early.advice) == (0, "")


def test_a_yearly_dataset_is_not_due_in_july_but_next_in_january() -> None:
    survey = of(read_status(today=TODAY), "nutrition_survey")
    assert (survey.state, survey.period, survey.advice) == ("not_due", None, "")
    assert (survey.next_period, survey.next_due_on) == ("2025", dt.date(2026, 1, 15))
    december = of(read_status("2025-12", today=TODAY), "nutrition_survey")
    assert (december.period, december.state) == ("2025", "not_asked")


def test_another_month_can_be_asked_for_and_a_wrong_one_is_refused() -> None:
    june = read_status("2025-06", today=TODAY)
    assert (june.month, of(june, "facilities").state) == ("2025-06", "not_asked")
    with pytest.raises(ValueError, match="is no month"):
        read_status("June")


def test_release_and_what_waits() -> None:
    assert read_status(today=TODAY).release is None
    make_candidate("2025-06-one", [{}])
    publish("2025-06-one")
    assert (read_status(today=TODAY).release or {})["release_id"] == "2025-06.1"
    make_candidate("2025-07-two", [{"period": "2025-07"}], period="2025-07", passed=False)
    finding = {
        "rule_id": "kpi_value.x",
        "rule_version": 1,
        "observed": "1",
        "description_vi": "Vượt",
        "description_en": "Exceeds",
    }
    judge_candidate("2025-07-two", audit.GATE_WAITING, period="2025-07", warnings=[finding])
    (question,) = read_status(today=TODAY).waiting
    assert question.subject_id == "2025-07-two"


def test_the_command_shows_the_same_in_a_table_and_as_json() -> None:
    shown = nq42("status", "--width", "200").stdout
    for words in (
        "Danh mục cơ sở y tế",
        "bị giữ / held",
        "too few rows",
        "chờ phê duyệt / waits for approval: 2025-07-two",
        "bản phát hành gần nhất / last release: 2025-06.1",
    ):
        assert words in shown
    document = json.loads(nq42("status", "--json", "--month", "2025-07").stdout)
    states = {each["dataset"]: each["state"] for each in document["datasets"]}
    assert (states["staff"], states["facilities"]) == ("held", "accepted")
    assert document["release"]["release_id"] == "2025-06.1"
    assert nq42("status", "--month", "2025-13").returncode == 1


def test_a_held_batch_that_a_person_may_answer_for_has_its_command(
    warehouse: Warehouse,
) -> None:
    with connect(Role.LOADER) as connection:
        _hold_for_approval(connection)
    advice = of(read_status(today=TODAY), "health_records").advice
    assert advice.startswith("nq42 approve b4 ") and "nq42 gate b4" in advice


def _hold_for_approval(connection: psycopg.Connection) -> None:
    receive(connection, "health_records", "2025-07", "b4")
    finding = Finding("health_records.rows", 1, "8 rows", "Ít dòng", "Few rows")
    audit.record_batch_result(
        connection,
        batch_id="b4",
        source="health",
        dataset="health_records",
        period="2025-07",
        stage="gate",
        status="held",
        reason="fewer than before",
        details={"hold": Hold((finding,), ()).to_details()},
    )
