"""The whole project on hand-made rows: figures, verdicts, protection, comments, grants."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
import pytest
from psycopg import sql

from loaders.postgres.database import Role, connect
from loaders.publication.ledger import OWN_COLUMNS
from tests.dbt import rows
from tests.dbt.conftest import Dbt
from tests.dbt.rows import RURAL, URBAN, URBAN_TOO

MONTHS = ["2024-06", "2025-06"]
BUILD = ("build", "--exclude-resource-type", "unit_test")


def query(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connect(Role.ADMIN) as connection:
        return connection.execute(statement, parameters or None).fetchall()


def _people(first: int, unit: str, women: int, men: int) -> list[tuple[int, str, str, int]]:
    people = [(first + i, unit, "2", 1990) for i in range(women)]
    return people + [(first + women + i, unit, "1", 1990) for i in range(men)]


@pytest.fixture(scope="module")
def built(dbt: Dbt) -> Dbt:
    """Two Junes of province 51: 10 women and 10 men in each commune."""
    dbt("seed")
    for month in MONTHS:
        communes = query(
            "select unit_code from reference.geo_unit where unit_level = 'commune'"
            " and old_province_code = '51' and valid_from <= %s::date"
            " and coalesce(valid_to, 'infinity') >= %s::date",
            f"{month}-30",
            f"{month}-30",
        )
        rows.population(month, {(c, sex, 1990): 10 for (c,) in communes for sex in "12"})
    rows.cards("2024-06", _people(1, URBAN, 10, 5) + _people(50, RURAL, 10, 5))
    # 12 and 3 in two wards, 20 in a rural commune, nobody elsewhere.
    rows.cards(
        "2025-06",
        _people(1, URBAN, 7, 5) + _people(30, URBAN_TOO, 3, 0) + _people(50, RURAL, 10, 10),
    )
    rows.houses(
        "2024-06",
        [(1, URBAN, "NCC", None), (2, URBAN, "HN", None), (3, RURAL, "HN", date(2024, 6, 1))],
    )
    done = date(2025, 6, 1)
    rows.houses(
        "2025-06", [(1, URBAN, "NCC", done), (2, URBAN, "HN", done), (3, RURAL, "HN", done)]
    )
    area = "Quảng Ngãi (cũ)"
    rows.figures("2025-06", [("bac_si_tren_10000_dan", area, "2016", 6.31)])
    dbt(*BUILD, periods=MONTHS, as_of_period="2025-06", candidate_id="test-1")
    return dbt


def boundary_value(kpi_id: str, period: str, breakdown_value: str = "total") -> tuple[Any, ...]:
    return query(
        "select numerator, denominator, round(value, 4), data_label, maturity"
        " from candidate.fct_kpi_value where kpi_id = %s and period = %s"
        " and unit_code = 'qn_programme' and breakdown_value = %s",
        kpi_id,
        period,
        breakdown_value,
    )[0]


def test_figures_by_hand(built: Dbt) -> None:
    communes = {month: 173 if month < "2025" else 170 for month in MONTHS}
    for month, insured in {"2024-06": 30, "2025-06": 35}.items():
        residents = 20 * communes[month]
        numerator, denominator, value, label, maturity = boundary_value(
            "health_insurance_coverage", month
        )
        assert (numerator, denominator) == (insured, residents)
        assert float(value) == pytest.approx(100 * insured / residents, abs=1e-4)
        assert (label, maturity) == ("sample", "final")
    assert boundary_value("health_insurance_coverage", "2025-06", "rural")[0] == 20
    assert boundary_value("health_insurance_coverage", "2025-06", "male")[0] == 15
    assert boundary_value("temporary_houses_remaining", "2024-06")[:3] == (2, 3, 2)
    assert boundary_value("temporary_houses_remaining", "2025-06")[:3] == (0, 3, 0)
    # Kon Tum delivered nothing: the province of today is unknown, not the half of it.
    assert query("select distinct boundary from candidate.fct_kpi_value") == [("qn_programme",)]


def test_verdicts_and_scorecard_by_hand(built: Dbt) -> None:
    houses = query(
        "select verdict, straight_line_verdict, base_period, base_value, current_value"
        " from candidate.fct_kpi_verdict"
        " where kpi_id = 'temporary_houses_remaining' and unit_code = 'qn_programme'"
    )
    assert houses == [("achieved", "achieved", "2024-06", 2, 0)]
    cards = query(
        "select state, data_label, period, verdict, straight_line_verdict, operator, target_year"
        " from candidate.scorecard where kpi_id = 'health_insurance_coverage'"
    )
    assert cards == [
        ("computed", "sample", "2025-06", "limited_progress", "behind", ">", 2030),
    ]
    doctors = query(
        "select data_label, series, period, value, verdict from candidate.scorecard"
        " where kpi_id = 'doctors_per_10k'"
    )
    assert [row[:3] for row in doctors] == [("real", "published", "2016")]
    assert float(doctors[0][3]) == 6.31 and doctors[0][4] == "not_available"
    assert query("select count(distinct kpi_id) from candidate.scorecard") == [(61,)]
    empty = query("select caveat_en from candidate.scorecard where state = 'no_source' limit 1")
    assert empty == [("No source.",)]
    assert query("select release_label_vi, candidate_id from candidate.release_note") == [
        ("Dữ liệu mẫu / Sample data", "test-1")
    ]


def test_small_counts_cannot_be_found_by_subtraction(built: Dbt) -> None:
    hidden = query(
        "select unit_code, breakdown_value, numerator, value, contributors"
        " from candidate.fct_kpi_value where kpi_id = 'health_insurance_coverage'"
        " and period = '2025-06' and is_suppressed and unit_level = 'commune'"
    )
    units = {(unit, value) for unit, value, *_ in hidden}
    # 3 people are too few; the 12 of the other ward would give them away.
    assert {(URBAN_TOO, "total"), (URBAN, "total")} <= units
    assert all(row[2:] == (None, None, None) for row in hidden)
    assert (RURAL, "total") not in units
    assert query("select count(*) from intermediate.int_kpi__suppressed_cells where is_primary") > [
        (0,)
    ]
    # The figures of the verdicts come from the published side.
    assert query(
        "select current_value, verdict, reason_en from candidate.fct_kpi_verdict"
        " where kpi_id = 'health_insurance_coverage' and unit_code = %s",
        URBAN_TOO,
    ) == [(None, "not_available", "Not assessed: no current value is published.")]


def test_data_quality_comes_from_the_audit_trail(built: Dbt) -> None:
    found = query(
        "select status, rows_read, rows_loaded, expected_on, days_late, data_label"
        " from candidate.fct_data_quality where dataset = 'temporary_houses'"
        " and period = '2025-06'"
    )
    assert found == [("accepted", 3, 3, date(2025, 7, 5), 0, "sample")]


def test_every_mart_column_has_a_comment_and_every_key_is_enforced(built: Dbt) -> None:
    assert (
        query(
            "select table_name, column_name from information_schema.columns"
            " where table_schema = 'candidate' and col_description("
            "format('%%I.%%I', table_schema, table_name)::regclass, ordinal_position) is null"
            " and %s",
            True,
        )
        == []
    )
    keyed = query(
        "select relname from pg_constraint join pg_class on pg_class.oid = conrelid"
        " where contype = 'p' and pg_class.relnamespace = 'candidate'::regnamespace order by 1"
    )
    assert [name for (name,) in keyed] == [
        "commune_profile",
        "dim_kpi",
        "dim_period",
        "dim_target",
        "dim_task",
        "dim_unit",
        "fct_data_quality",
        "fct_kpi_gap",
        "fct_kpi_value",
        "fct_kpi_verdict",
        "fct_task_progress",
        "kpi_timeseries",
        "release_note",
    ]
    value_columns = "select column_name from information_schema.columns where table_name = %s"
    ledger = query(f"{value_columns} and table_schema = 'publication'", "kpi_value")
    mart = query(f"{value_columns} and table_schema = 'candidate'", "fct_kpi_value")
    assert {c for (c,) in ledger} - {c for (c,) in mart} == OWN_COLUMNS
    ledger = query(f"{value_columns} and table_schema = 'publication'", "kpi_verdict")
    mart = query(f"{value_columns} and table_schema = 'candidate'", "fct_kpi_verdict")
    assert {c for (c,) in ledger} - {c for (c,) in mart} == OWN_COLUMNS - {"cause"}


def test_bi_may_read_the_marts_only_once_they_are_published(built: Dbt) -> None:
    for role in ("nq42_bi", "nq42_auditor"):
        assert query("select has_table_privilege(%s, 'candidate.scorecard', 'select')", role) == [
            (True,)
        ]
    with pytest.raises(psycopg.errors.InsufficientPrivilege), connect(Role.BI) as connection:
        connection.execute("select * from candidate.scorecard")


def test_a_rerun_gives_the_same_rows_and_an_emptied_month_loses_its_own(built: Dbt) -> None:
    snapshot = "select * from candidate.fct_kpi_value order by kpi_id, period, unit_code, {}"
    order = "breakdown, breakdown_value"
    before = query(snapshot.format(order))
    select = ("--select", "+fct_kpi_value", "--exclude-resource-type", "unit_test", "test")
    built("build", *select, periods=["2025-06"], as_of_period="2025-06")
    assert query(snapshot.format(order)) == before

    with connect(Role.LOADER) as connection:
        connection.execute(
            sql.SQL("drop table raw.{}").format(
                sql.Identifier("housing__temporary_houses__2025-06")
            )
        )
    built("build", *select, periods=["2025-06"], as_of_period="2025-06")
    left = [row for row in before if (row[0], row[3]) != ("temporary_houses_remaining", "2025-06")]
    assert query(snapshot.format(order)) == left

    built("build", *select, periods=[], as_of_period="2024-06")
    assert query("select max(period) from candidate.fct_kpi_value where period like '____-__'") == [
        ("2024-06",)
    ]
