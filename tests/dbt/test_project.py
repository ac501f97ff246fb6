"""The project itself: it parses, its unit tests pass, its guards can fail."""

from __future__ import annotations

import pytest

from loaders.postgres.database import Role, connect
from tests.dbt import rows
from tests.dbt.conftest import Dbt


def test_the_project_parses(dbt: Dbt) -> None:
    dbt("parse")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"periods": ["2025-13"]}, "is not a month"),
        ({"periods": ["2025-06'); drop table x; --"]}, "is not a month"),
        ({"periods": "2025-06"}, "a list of months is needed"),
        ({"as_of_period": "2025"}, "is not a month"),
        ({"candidate_id": "a'b"}, "only letters"),
    ],
)
def test_variables_are_checked_before_they_become_sql(
    dbt: Dbt, variables: dict[str, object], message: str
) -> None:
    macro = (
        "select {{ is_computed_period() }}, {{ as_of_period() }},"
        " '{{ checked_identifier(var('candidate_id'), 'candidate_id') }}'"
    )
    assert message in dbt("compile", "--inline", macro, fails=True, **variables).output


def test_unit_tests_pass_and_the_data_tests_can_fail(dbt: Dbt) -> None:
    """First the worked examples, on empty tables; then each kind of data test on broken rows."""
    dbt("seed")
    dbt("run", as_of_period="2025-06")
    done = dbt("test", "--select", "test_type:unit")
    assert len(done.results) >= 25
    assert set(done.results.values()) == {"pass"}

    _break_things()
    broken = dbt(
        "test",
        "--select",
        "test_type:data",
        fails=True,
        periods=["2025-06"],
        as_of_period="2025-06",
    )
    failed = {name for name, status in broken.results.items() if status in ("fail", "warn")}
    for name in MUST_FAIL:
        assert any(test.startswith(name) for test in failed), (name, sorted(failed))


# One name of each guard that has its own SQL, and what breaks it is in _break_things.
MUST_FAIL = (
    "each_row_is_a_stg_housing__temporary_houses",
    "every_card_has_a_month_a_person_and_a_sex",
    "every_insured_person_is_counted_once",
    "every_commune_with_a_population_is_a_commune_of_that_month",
    "every_workplace_is_a_registered_facility",
    "breakdowns_add_up_int_kpi__commune_values",
    "communes_add_to_their_boundary",
    "breakdowns_add_to_their_total",
    "no_sum_gives_a_hidden_cell_away",
    "every_kpi_of_the_register_is_on_the_scorecard",
    "every_series_has_one_verdict",
    "every_commune_of_a_delivered_period_has_its_figures",
    "every_row_of_a_period_has_a_known_unit",
    "a_hidden_row_shows_no_figure",
    "only_an_available_verdict_has_a_score",
)


def _break_things() -> None:
    month = "2025-06"
    rows.houses(month, [(1, rows.URBAN, "HN", None), (1, rows.URBAN, "HN", None)])
    # A commune of another province: known to nobody, and without a sex.
    rows.cards(month, [(1, "00004", "3", 1990)])
    rows.population(month, {(rows.URBAN, "1", 1990): 1})
    rows.insert(
        "health__staff",
        month,
        [{"person_key": rows.key(1), "facility_code": "59999", "work_status_code": "DLV"}],
    )
    commune = "'k', 'sample', 'total', '2025-06'"
    with connect(Role.TRANSFORMER) as connection:
        for statement in (
            "insert into intermediate.int_delivery__units (dataset, period, unit_code) values"
            " ('statistics_office__commune_population', '2025-06', '21013'),"
            " ('housing__temporary_houses', '2025-06', '21010')",
            "insert into kpi.kpi__doctors_per_10k (kpi_id, data_label, series, period, unit_code,"
            f" breakdown, breakdown_value, numerator, denominator) values ({commune}, '21010',"
            f" 'total', 'total', 3, 9), ({commune}, '21010', 'sex', 'male', 2, 9)",
            "insert into intermediate.int_kpi__rolled_up (kpi_id, data_label, series, period,"
            " boundary, unit_level, unit_code, breakdown, breakdown_value, numerator) values"
            f" ({commune}, 'b', 'boundary', 'b', 'total', 'total', 3),"
            f" ({commune}, 'b', 'boundary', 'b', 'sex', 'male', 2),"
            f" ({commune}, 'b', 'commune', '21010', 'total', 'total', 2)",
            "insert into intermediate.int_kpi__sums (sum_id, cell_id)"
            " values ('s', 'a'), ('s', 'b')",
            "insert into intermediate.int_kpi__suppressed_cells (cell_id) values ('a')",
            "delete from candidate.scorecard where kpi_id = 'doctors_per_10k'",
            "insert into candidate.fct_kpi_value (kpi_id, data_label, series, period, boundary,"
            " unit_level, unit_code, unit_id, breakdown, breakdown_value, value, maturity,"
            f" is_suppressed) values ({commune}, 'b', 'commune', '21010', '21010@x', 'total',"
            " 'total', 3, 'final', true)",
            "insert into candidate.fct_kpi_verdict (kpi_id, data_label, series, period, boundary,"
            " unit_level, unit_code, unit_id, verdict, reason_vi, reason_en, method_id, score,"
            f" straight_line_verdict) values ({commune}, 'b', 'commune', '2', '2@x',"
            " 'not_available', '', '', 'm', 3, 'behind')",
        ):
            connection.execute(statement)
