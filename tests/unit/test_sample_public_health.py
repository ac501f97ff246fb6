"""Public health of the invented province: what its files say by hand is what the truth says."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict

import pytest

from loaders.quality.suites import get_suite
from loaders.sample.defects import Kind
from loaders.sample.public_health import KINDS
from tests.unit.written import Written

MONTHS = ["2024-12", "2025-12", "2026-06"]


def _date(text: str) -> dt.date:
    day, month, year = text.split("/")
    return dt.date(int(year), int(month), int(day))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(MONTHS, tmp_path_factory.mktemp("public_health"))


@pytest.mark.parametrize("month", MONTHS)
def test_a_child_needs_every_dose_of_the_first_year(written: Written, month: str) -> None:
    year, number = int(month[:4]), int(month[5:])
    newest: dict[str, dt.date] = {}
    for row in written.good("immunisation_children", month):
        born = _date(row["birth_month"])
        if row["status_code"] == "QL" and (born.year, born.month) == (year - 1, number):
            newest[row["person_key"]] = born
    days: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in written.good("immunisation_doses", month):
        days[row["person_key"], row["vaccine_code"]].add(row["given_on"])

    def is_complete(child: str) -> bool:
        def given(*vaccines: str) -> int:
            return len(set().union(*(days[child, vaccine] for vaccine in vaccines)))

        return (
            given("BCG") >= 1
            and given("VGBSS") >= 1
            and given("DPT5", "6IN1") >= 3
            and given("OPV", "6IN1") >= 3
            and given("IPV", "6IN1") >= 1
            and given("SOI", "SQR") >= 1
        )

    complete = sum(is_complete(child) for child in newest)
    assert written.total("epi_full_immunisation_u1", month) == (complete, len(newest))
    assert 0 < complete < len(newest)


def test_the_hard_cases_of_immunisation_are_there(written: Written) -> None:
    children = written.good("immunisation_children", "2025-12")
    managed = Counter(row["person_key"] for row in children if row["status_code"] == "QL")
    assert max(managed.values()) == 2
    assert {row["status_code"] for row in children} >= {"QL", "CD"}
    doses = written.good("immunisation_doses", "2025-12")
    assert {row["place_code"] for row in doses} == {"TT", "BV", "DV", "NT"}
    assert {row["vaccine_code"] for row in doses} >= {"DPT5", "6IN1", "SOI", "SQR"}
    same_day = Counter((row["person_key"], row["given_on"], row["vaccine_code"]) for row in doses)
    assert max(same_day.values()) == 2


@pytest.mark.parametrize("year", ["2024", "2025"])
def test_stunting_leaves_out_what_cannot_be(written: Written, year: str) -> None:
    scores = [float(row["height_for_age_z"]) for row in written.good("nutrition_survey", year)]
    plausible = [z for z in scores if abs(z) <= 6]
    assert len(plausible) < len(scores)
    stunted = sum(z < -2 for z in plausible)
    assert written.total("stunting_u5", year) == (stunted, len(plausible))


def test_records_are_counted_as_the_platform_counts_them(written: Written) -> None:
    rows = written.good("health_records", "2025-12")
    for kpi_id, column in (
        ("electronic_health_record_coverage", "persons_with_record"),
        ("population_health_managed", "persons_managed"),
    ):
        people = sum(
            int(row["population"]) for row in written.good("commune_population", "2025-12")
        )
        found = sum(int(row[column]) for row in rows)
        assert written.total(kpi_id, "2025-12") == (found, people)


def test_a_station_becomes_a_point_and_keeps_what_it_has(written: Written) -> None:
    before = {row["facility_code"]: row for row in written.good("facility_sanitation", "2024")}
    after = {row["facility_code"]: row for row in written.good("facility_sanitation", "2025")}
    assert {row["station_kind_code"] for row in before.values()} == {"TRAM"}
    points = {code for code, row in after.items() if row["station_kind_code"] == "DIEM"}
    assert len(points & set(before)) > 100
    for code in set(before) & set(after):
        assert before[code]["has_standard_toilet"] <= after[code]["has_standard_toilet"]
    standard = sum(row["has_standard_toilet"] == "1" for row in after.values())
    assert written.total("sanitation_health_stations", "2025") == (standard, len(after))


def test_a_status_needs_its_decision(written: Written) -> None:
    status = {
        (row["unit_code"], row["disease_code"]): row
        for row in written.good("disease_status", "2025")
    }
    assert len(status) == 6
    for row in status.values():
        assert (row["is_ended"] == "1") == (row["decided_on"] is not None)
    # One of the two old provinces is recognised.
    assert written.total("malaria_eliminated", "2025", series="status") == (1, 2)
    assert written.total("aids_ended", "2025", series="status") == (0, 2)


def test_every_kind_of_damage_names_a_rule_of_its_dataset() -> None:
    for name, kinds in KINDS.items():
        rules = {rule.meta.id for rule in get_suite("intake", f"health__{name}").rules}
        for kind in kinds:
            assert isinstance(kind, Kind)
            assert kind.rule in rules or kind.rule.startswith("contract."), kind
