"""The verdict macro on a real PostgreSQL against published cases and cases by hand."""

from __future__ import annotations

import csv
from typing import Any

import pytest
from psycopg.rows import dict_row

from loaders.postgres.database import Role, connect
from loaders.settings import PROJECT_ROOT
from tests.dbt.conftest import Dbt

CASES = PROJECT_ROOT / "tests/data/progress_cases.csv"
TOLERANCE = 1e-9
# The two words for a met target: the published method's and ours.
STATUS = {"target_achieved": "achieved"}
COLUMNS = (
    "case_id text, base_year float8, base_value float8, current_year float8, current_value float8,"
    " target_year float8, target_value float8, direction_sign integer, natural_limit float8"
)


# One compilation for all: dbt needs seconds to start.
MACROS = {
    "progress": "{{ progress_verdict('observation') }}",
    "operator": "{{ is_target_achieved() }}",
    "band": "{{ band_target('value') }}, {{ band_target('direction') }}",
    "series": "{{ series_verdict('score', 'verdict') }}",
    "period": "{{ year_decimal('period') }}, ({{ period_end('period') }})::text",
}
BETWEEN = "\n-- next macro\n"


@pytest.fixture(scope="module")
def compiled(dbt: Dbt) -> dict[str, str]:
    """The SQL of each macro."""
    text = dbt("compile", "--inline", BETWEEN.join(MACROS.values())).compiled[0]
    return dict(zip(MACROS, text.split(BETWEEN.strip()), strict=True))


def _number(text: str) -> float | None:
    return float(text) if text else None


def _judge(query: str, rows: list[tuple[Any, ...]]) -> dict[str, dict[str, Any]]:
    """The compiled macro run over the given observations, by case id."""
    with connect(Role.TRANSFORMER) as connection:
        connection.execute(f"create temporary table observation ({COLUMNS})")
        with connection.cursor() as cursor:
            cursor.executemany(f"insert into observation values ({', '.join(['%s'] * 9)})", rows)
        cursor = connection.cursor(row_factory=dict_row)
        return {row["case_id"]: row for row in cursor.execute(query).fetchall()}


@pytest.fixture(scope="module")
def cases() -> list[dict[str, str]]:
    with CASES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_published_cases_come_out_the_same(
    compiled: dict[str, str], cases: list[dict[str, str]]
) -> None:
    assert len(cases) == 126
    names = ("base_year", "base_value", "current_year", "current_value", "target_year", "target")
    rows = [
        (
            case["case_id"],
            *(_number(case[name]) for name in names),
            int(case["direction"]),
            _number(case["limit_value"]),
        )
        for case in cases
    ]
    judged = _judge(compiled["progress"], rows)
    for case in cases:
        found = judged[case["case_id"]]
        assert found["verdict"] == STATUS.get(case["status"], case["status"]), case
        for column, expected in (("ratio", case["progress_value"]), ("score", case["score"])):
            if expected:
                assert found[column] == pytest.approx(float(expected), abs=TOLERANCE), case
            else:
                assert found[column] is None, case


# base year, base, current year, current, target year, target, direction, limit
BY_HAND = {
    "too_short": (2024.5, 90, 2025.4, 91, 2031, 95, 1, 100),
    "exactly_one_year": (2024 + 7 / 12, 90, 2025 + 7 / 12, 91, 2031, 95, 1, 100),
    "opposite_signs": (2020, 2, 2024, -1, 2031, 5, 1, None),
    "negative_base": (2020, -4, 2024, -2, 2031, -1, 1, None),
    "no_current": (2020, 2, 2024, None, 2031, 5, 1, None),
    "base_is_target": (2020, 5, 2024, 4, 2031, 5, 1, None),
    "achieved_from_target": (2020, 5, 2024, 6, 2031, 5, 1, None),
    "target_opposite_sign": (2020, 5, 2024, 4, 2031, -5, -1, None),
    "deadline_at_base": (2020, 5, 2024, 4, 2020, 6, 1, None),
    "houses": (2024.5, 800, 2025.5, 300, 2031, 0, -1, None),
    "houses_too_slow": (2024.5, 800, 2025.5, 790, 2031, 0, -1, None),
    "worsening": (2020, 98, 2024, 97, 2031, 95, 1, 100),
    "late": (2020, 10, 2024, 12, 2022, 20, 1, 100),
    "at_limit_falling": (2020, 100, 2024, 99, 2031, None, 1, 100),
    "at_limit": (2020, 100, 2024, 100, 2031, None, 1, 100),
    "towards_limit": (2020, 90, 2024, 98, 2031, 99, 1, 100),
}


@pytest.fixture(scope="module")
def judged(compiled: dict[str, str]) -> dict[str, dict[str, Any]]:
    rows = [(name, *case) for name, case in BY_HAND.items()]
    return _judge(compiled["progress"], rows)


@pytest.mark.parametrize(
    ("case", "verdict"),
    [
        ("too_short", "not_available"),
        ("exactly_one_year", "substantial_progress"),
        ("opposite_signs", "not_available"),
        ("negative_base", "substantial_progress"),
        ("no_current", "not_available"),
        ("base_is_target", "not_available"),
        ("achieved_from_target", "achieved"),
        ("target_opposite_sign", "not_available"),
        ("deadline_at_base", "not_available"),
        ("worsening", "achieved"),
        ("late", "limited_progress"),
        ("at_limit_falling", "deterioration"),
        ("at_limit", "substantial_progress"),
    ],
)
def test_verdict_of_the_edges(judged: dict[str, dict[str, Any]], case: str, verdict: str) -> None:
    assert judged[case]["verdict"] == verdict
    assert (judged[case]["score"] is None) == (verdict == "not_available")
    assert judged[case]["reason_vi"] and judged[case]["reason_en"]


def test_a_count_is_judged_by_the_straight_line(judged: dict[str, dict[str, Any]]) -> None:
    """800 houses in mid-2024, none wanted at the end of 2030: 677 expected after a year."""
    houses = judged["houses"]
    assert houses["straight_line_expected"] == pytest.approx(800 - 800 / 6.5)
    assert houses["straight_line_verdict"] == "on_track"
    assert houses["projected_achievement_year"] == pytest.approx(2025.5 + 300 / 500)
    assert houses["projected_target_year_value"] == 0  # not minus 2,450
    slow = judged["houses_too_slow"]
    assert slow["straight_line_verdict"] == "behind"
    assert slow["projected_achievement_year"] == pytest.approx(2104.5)
    assert slow["projected_target_year_value"] == pytest.approx(790 - 10 * 5.5)


def test_flags_and_reasons(judged: dict[str, dict[str, Any]]) -> None:
    assert judged["worsening"]["is_achieved_but_worsening"]
    assert judged["worsening"]["reason_en"] == "Target met, but worse than in the base period."
    assert judged["late"]["is_deadline_passed"]
    assert judged["late"]["reason_vi"].endswith("Đã quá hạn.")
    assert not judged["houses"]["is_deadline_passed"]
    assert judged["towards_limit"]["projected_target_year_value"] == 100  # not 112 %
    # No pace, no projection: not the natural limit in its place.
    assert judged["too_short"]["projected_target_year_value"] is None
    assert judged["too_short"]["reason_en"] == (
        "Not assessed: less than a year between base and current period."
    )
    assert "trái dấu" in judged["opposite_signs"]["reason_vi"]


@pytest.mark.parametrize(
    ("operator", "value", "low", "high", "current", "achieved"),
    [
        ("<", 2, None, None, 2, False),
        ("<", 2, None, None, 1.99, True),
        ("<=", 2, None, None, 2, True),
        (">", 95, None, None, 95, False),
        (">=", 95, None, None, 95, True),
        ("=", 0, None, None, 0, True),
        ("=", 0, None, None, 1, False),
        ("between", None, 35, 40, 35, True),
        ("between", None, 35, 40, 40.01, False),
        ("about", 2.1, 2.0, 2.2, 2.0, True),
        ("about", 75, None, None, 75.04, True),
        ("about", 75, None, None, 75.06, False),
        ("decrease", None, None, None, 49, True),
        ("decrease", None, None, None, 50, False),
        ("increase", None, None, None, 51, True),
        ("increase", None, None, None, 50, False),
        ("<=", None, None, None, 1, None),
        ("status", 1, None, None, 1, True),
        ("status", 1, None, None, 0.5, False),
        ("none", None, None, None, 1, None),
        ("none", None, None, None, 1, None),
        (">", 95, None, None, None, None),
    ],
)
def test_operators_decide_what_is_achieved(
    operator_sql: str,
    operator: str,
    value: float | None,
    low: float | None,
    high: float | None,
    current: float | None,
    achieved: bool | None,
) -> None:
    with connect(Role.TRANSFORMER) as connection:
        found = connection.execute(operator_sql, (operator, value, low, high, current)).fetchone()
    assert found == (achieved,)


@pytest.fixture(scope="module")
def operator_sql(compiled: dict[str, str]) -> str:
    return (
        f"select {compiled['operator']} from"
        " (select %s::text as operator, %s::numeric as target_value,"
        " %s::numeric as target_low, %s::numeric as target_high, %s::numeric as current_value,"
        " 50::numeric as base_value, 1 as decimals) as observation"
    )


@pytest.mark.parametrize(
    ("base", "current", "value", "direction"),
    [
        (30, 36, 35, 1),
        (30, 28, 35, 1),
        (45, 38, 40, -1),
        (37, 33, 35, 1),
        (37, 42, 40, -1),
        (37, 38, 37.5, 1),
    ],
)
def test_a_band_is_measured_to_its_nearer_edge(
    band_sql: str, base: float, current: float, value: float, direction: int
) -> None:
    with connect(Role.TRANSFORMER) as connection:
        found = connection.execute(band_sql, (base, current)).fetchone()
    assert found == (value, direction)


@pytest.fixture(scope="module")
def band_sql(compiled: dict[str, str]) -> str:
    return (
        f"select {compiled['band']} from"
        " (select 'between' as operator, null::numeric as target_value,"
        " 35::numeric as target_low, 40::numeric as target_high, 1 as direction_sign,"
        " %s::numeric as base_value, %s::numeric as current_value) as observation"
    )


@pytest.mark.parametrize(
    ("series", "verdict"),
    [
        ([(5, "achieved"), (5, "achieved")], "achieved"),
        ([(5, "achieved"), (4.9, "substantial_progress")], "substantial_progress"),
        ([(5, "achieved"), (None, "not_available")], "achieved"),
        ([(5, "achieved"), (-5, "deterioration")], "moderate_progress"),
        ([(0, "moderate_progress"), (-5, "deterioration")], "limited_progress"),
        ([(-2.6, "deterioration")], "deterioration"),
        ([(None, "not_available")], "not_available"),
    ],
)
def test_several_series_make_one_verdict(
    series_sql: str, series: list[tuple[float | None, str]], verdict: str
) -> None:
    rows = ", ".join(["(%s::float8, %s)"] * len(series))
    query = f"select {series_sql} from (values {rows}) as series (score, verdict)"
    with connect(Role.TRANSFORMER) as connection:
        found = connection.execute(query, [part for pair in series for part in pair]).fetchone()
    assert found == (verdict,)


@pytest.fixture(scope="module")
def series_sql(compiled: dict[str, str]) -> str:
    return compiled["series"]


@pytest.mark.parametrize(
    ("period", "decimal", "ends_on"),
    [
        ("2016", 2017.0, "2016-12-31"),
        ("2025-07", 2025 + 7 / 12, "2025-07-31"),
        ("2024-02", 2024 + 2 / 12, "2024-02-29"),
        ("2024-Q3", 2024.75, "2024-09-30"),
        ("2024-2025", 2025 + 8 / 12, "2025-08-31"),
        ("2025-H1", None, None),
    ],
)
def test_periods_have_an_end(
    period_sql: str, period: str, decimal: float | None, ends_on: str | None
) -> None:
    with connect(Role.TRANSFORMER) as connection:
        found = connection.execute(period_sql, (period,)).fetchone()
    assert found is not None
    assert found[0] == pytest.approx(decimal, abs=1e-12) if decimal else found[0] is None
    assert found[1] == ends_on


@pytest.fixture(scope="module")
def period_sql(compiled: dict[str, str]) -> str:
    return f"select {compiled['period']} from (select %s::text as period) as periods"
