"""Every intake rule has a delivery that makes it fire, and a clean one that does not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import sql

from loaders.contracts.derive import column_list
from loaders.contracts.model import Dataset, load_contracts
from loaders.periods import end_of, school_year_of, start_of
from loaders.postgres.database import Role, connect, url
from loaders.quality import RuleOutcome, get_suite, run_suite, suite_files
from loaders.stages.gate import ensure_raw_tables
from tests.conftest import Warehouse
from tests.guards import intake_public_health

PERIOD = "2025-06"
A, B, C = (f"00000000-0000-0000-0000-00000000000{i}" for i in range(1, 4))
D = dt.date

MEMBER = {
    "report_month": D(2025, 6, 1),
    "person_key": A,
    "social_insurance_key": A,
    "birth_month": D(1985, 3, 1),
    "sex_code": "2",
    "residence_unit_code": "21010",
    "card_key": A,
    "object_code": "GD",
    "benefit_level": "4",
    "issuing_province_code": "51",
    "valid_from": D(2025, 1, 1),
    "valid_to": D(2025, 12, 31),
}
FACILITY = {
    "facility_code": "51001",
    "facility_name": "Bệnh viện",
    "facility_type_code": "BV",
    "ownership_code": "CL",
    "unit_code": "21010",
    "planned_beds": 100,
    "actual_beds": 120,
}
STAFF = {
    "person_key": A,
    "licence_key": A,
    "birth_month": D(1980, 1, 1),
    "sex_code": "1",
    "profession_code": "BS",
    "degree_code": "DH",
    "facility_code": "51001",
    "is_main_workplace": "1",
    "work_status_code": "DLV",
}
PUPIL = {
    "report_month": D(2025, 6, 1),
    "school_year": "2024-2025",
    "record_key": A,
    "record_version": 1,
    "pupil_key": A,
    "person_key": A,
    "birth_month": D(2015, 5, 1),
    "sex_code": "1",
    "residence_unit_code": "21010",
    "school_code": "51-1",
    "level_code": "1",
    "grade": 4,
    "study_status_code": "1",
}
HOUSE = {
    "household_key": A,
    "person_key": A,
    "unit_code": "21010",
    "household_group_code": "HN",
    "work_kind_code": "XM",
    "programme_code": "GN",
    "approved_on": D(2024, 5, 1),
    "started_on": D(2024, 8, 1),
    "completed_on": D(2025, 1, 1),
}
AREA = {"area_label": "Quang Ngai", "year_label": "2023", "item_label": "Area", "value": 5155}
GROUP = {"area_label": "Quang Ngai", "group_label": "Total", "year_label": "2023", "value": 100}
PUBLISHED = {
    "indicator": "ty_le_ho_ngheo",
    "area_label": "Kon Tum",
    "period_label": "2023",
    "value": 6.84,
    "unit_label": "%",
    "standing": "proven",
    "reference_text": "kontum.gov.vn",
}
PEOPLE = {
    "report_month": D(2025, 6, 1),
    "unit_code": "21010",
    "sex_code": "1",
    "birth_year": 1985,
    "population": 12,
}
PROVINCES = ("Quang Ngai", "Kon Tum", "WHOLE COUNTRY")
UNITS = ("21010", "21013")  # the seeds of this test: two communes of Quảng Ngãi, valid in 2025-06

#: Dataset → rows of a clean delivery.
CLEAN: dict[str, list[dict[str, Any]]] = {
    "social_insurance__health_insurance_members": [MEMBER, MEMBER | {"card_key": B}],
    "health__facilities": [FACILITY, FACILITY | {"facility_code": "51002"}],
    "health__staff": [STAFF, STAFF | {"facility_code": "51002", "is_main_workplace": "0"}],
    "education__pupils": [PUPIL, PUPIL | {"record_version": 2}],
    "housing__temporary_houses": [HOUSE, HOUSE | {"programme_code": "NCC", "completed_on": None}],
    "statistics_office__population_area": [AREA | {"area_label": name} for name in PROVINCES],
    "statistics_office__population_by_sex_residence": [
        *(GROUP | {"area_label": name} for name in PROVINCES),
        GROUP | {"group_label": "Male", "value": 49.9},
        GROUP | {"group_label": "Female", "value": 50.1},
    ],
    "statistics_office__published_indicators": [PUBLISHED, PUBLISHED | {"period_label": "2024"}],
    "statistics_office__commune_population": [PEOPLE | {"unit_code": code} for code in UNITS],
} | intake_public_health.CLEAN

#: Rule → rows that it must find (row rules: added to the clean ones; else the whole delivery).
FIRES: dict[str, list[dict[str, Any]]] = {
    # 21025 is a commune code from 2025-07-01 on; before that day it was another commune.
    "hi_members.unit_valid_on_date": [MEMBER | {"card_key": C, "residence_unit_code": "21099"}],
    "hi_members.birth_not_in_future": [MEMBER | {"card_key": C, "birth_month": D(2025, 7, 1)}],
    "hi_members.validity_in_order": [MEMBER | {"card_key": C, "valid_to": D(2024, 12, 31)}],
    "hi_members.not_repeated": [MEMBER],
    "hi_members.one_person_one_commune": [MEMBER, MEMBER | {"residence_unit_code": "21013"}],
    "hi_members.volume_like_before": [MEMBER],
    "facilities.unit_valid_on_date": [FACILITY | {"facility_code": "51009", "unit_code": "99999"}],
    "facilities.not_repeated": [FACILITY],
    "facilities.stations_have_few_beds": [
        FACILITY | {"facility_code": "51009", "facility_type_code": "TYT"}
    ],
    "facilities.has_hospitals": [FACILITY | {"facility_type_code": "PK"}],
    "facilities.volume_like_before": [FACILITY],
    "staff.birth_not_in_future": [STAFF | {"person_key": B, "birth_month": D(2030, 1, 1)}],
    "staff.of_working_age": [STAFF | {"person_key": B, "birth_month": D(2010, 1, 1)}],
    "staff.facility_known": [STAFF | {"person_key": B, "facility_code": "51777"}],
    "staff.not_repeated": [STAFF],
    "staff.volume_like_before": [STAFF],
    "pupils.unit_valid_on_date": [PUPIL | {"record_key": B, "residence_unit_code": "00000"}],
    "pupils.age_plausible": [PUPIL | {"record_key": B, "birth_month": D(1950, 1, 1)}],
    "pupils.grade_fits_level": [PUPIL | {"record_key": B, "grade": 9}],
    "pupils.school_year_of_month": [PUPIL | {"record_key": B, "school_year": "2025-2026"}],
    "pupils.not_repeated": [PUPIL],
    "pupils.volume_like_before": [PUPIL],
    "houses.unit_valid_on_date": [HOUSE | {"household_key": B, "unit_code": "21025"}],
    "houses.approved_before_completed": [
        HOUSE | {"household_key": B, "started_on": None, "completed_on": D(2024, 4, 30)}
    ],
    "houses.started_before_completed": [
        HOUSE | {"household_key": B, "completed_on": D(2024, 7, 31)}
    ],
    "houses.not_in_future": [HOUSE | {"household_key": B, "completed_on": D(2025, 7, 1)}],
    "houses.not_repeated": [HOUSE],
    "houses.volume_like_before": [HOUSE],
    "population_area.not_negative": [AREA | {"year_label": "2022", "value": -1}],
    "population_area.not_repeated": [AREA],
    "population_area.has_our_provinces": [AREA],
    "population_groups.not_negative": [GROUP | {"year_label": "2022", "value": -1}],
    "population_groups.not_repeated": [GROUP],
    "population_groups.has_our_provinces": [GROUP],
    "population_groups.sexes_add_up": [
        GROUP,
        GROUP | {"group_label": "Male", "value": 49},
        GROUP | {"group_label": "Female", "value": 49},
    ],
    "published.not_repeated": [PUBLISHED],
    "published.percentages_in_range": [PUBLISHED | {"period_label": "2022", "value": 684}],
    "published.has_unit": [PUBLISHED | {"unit_label": None}],
    "commune_population.unit_valid_on_date": [PEOPLE | {"unit_code": "21025"}],
    "commune_population.not_repeated": [PEOPLE],
    "commune_population.birth_year_plausible": [PEOPLE | {"birth_year": 2026}],
    "commune_population.every_commune": [PEOPLE],
    "commune_population.volume_like_before": [PEOPLE],
} | intake_public_health.FIRES
DATASETS = {d.raw_table: d for contract in load_contracts() for d in contract.datasets}
RULES = [
    (path.stem, rule)
    for path in suite_files("intake")
    for rule in get_suite("intake", path.stem).rules
]


@pytest.fixture(scope="module")
def border(warehouse: Warehouse) -> Iterator[None]:
    """Raw tables with one earlier month, and a unit list of two communes."""
    with connect(Role.LOADER) as connection:
        ensure_raw_tables(connection, list(DATASETS.values()))
        for dataset in DATASETS.values():
            name = sql.Identifier("raw", f"{dataset.raw_table}__2025_05")
            connection.execute(
                sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES IN ('2025-05')").format(
                    name, sql.Identifier("raw", dataset.raw_table)
                )
            )
            # Three rows make a delivery of one row suspicious, and one of two rows not.
            first = CLEAN[dataset.raw_table][0]
            codes = (
                {"facility_code": f"5100{i}"} if "facility_code" in first else {} for i in "123"
            )
            rows = [first | code for code in codes]
            _insert(connection, name, dataset, rows, "2025-05")
    with connect(Role.TRANSFORMER) as connection:
        connection.execute(
            "create table reference.geo_unit (unit_level text, unit_code text, valid_from date,"
            " valid_to date, old_province_code text)"
        )
        connection.execute(
            "insert into reference.geo_unit values"
            " ('commune', '21010', '2004-01-01', '2025-06-30', '51'),"
            " ('commune', '21013', '2004-01-01', '2025-06-30', '51'),"
            " ('commune', '21025', '2025-07-01', null, '51'),"
            " ('district', '21099', '2004-01-01', null, '51')"
        )
    yield


def _insert(
    connection: Any,
    table: sql.Identifier,
    dataset: Dataset,
    rows: list[dict[str, Any]],
    period: str,
) -> None:
    for number, row in enumerate(rows, start=1):
        record = row | {
            "_period": period,
            "_batch_id": "b",
            "_row_number": number,
            "_sheet": "",
            "_data_label": "sample",
        }
        connection.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                table,
                sql.SQL(", ").join(map(sql.Identifier, record)),
                sql.SQL(", ").join(sql.Placeholder() * len(record)),
            ),
            list(record.values()),
        )


def judge(raw_table: str, rows: list[dict[str, Any]]) -> dict[str, RuleOutcome]:
    dataset = DATASETS[raw_table]
    table = sql.Identifier("stage", "judged")
    with connect(Role.LOADER) as connection:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table, column_list(dataset)))
        _insert(connection, table, dataset, rows, PERIOD)
    variables = {
        "period": PERIOD,
        "period_start": start_of(PERIOD).isoformat(),
        "period_end": end_of(PERIOD).isoformat(),
        "school_year": school_year_of(PERIOD),
        "raw_table": f'raw."{raw_table}"',
    }
    suite = get_suite("intake", raw_table)
    outcomes = run_suite(url(Role.LOADER), "stage", "judged", suite, variables)
    return {outcome.rule.meta.id: outcome for outcome in outcomes}


def test_every_rule_has_a_case() -> None:
    assert {rule.meta.id for _, rule in RULES} == set(FIRES)


@pytest.mark.parametrize("raw_table", CLEAN)
def test_a_clean_delivery_passes_every_rule(border: None, raw_table: str) -> None:
    outcomes = judge(raw_table, CLEAN[raw_table])
    assert {rule_id: o.observed for rule_id, o in outcomes.items() if o.result != "pass"} == {}


@pytest.mark.parametrize(("raw_table", "rule"), RULES, ids=[rule.meta.id for _, rule in RULES])
def test_the_rule_fires(border: None, raw_table: str, rule: Any) -> None:
    bad = FIRES[rule.meta.id]
    if rule.meta.kind == "row":
        outcome = judge(raw_table, [*CLEAN[raw_table], *bad])[rule.meta.id]
        assert (outcome.result, outcome.rows_failing) == ("fail", len(bad))
        with connect(Role.LOADER) as connection:
            query = outcome.failing_rows_sql or ""
            found = connection.execute(query.encode()).fetchall()
        first = len(CLEAN[raw_table]) + 1
        assert sorted(row[0] for row in found) == list(range(first, first + len(bad)))
    else:
        assert judge(raw_table, bad)[rule.meta.id].result == "fail"
