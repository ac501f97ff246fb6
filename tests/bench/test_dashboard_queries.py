"""How long the dashboards' own queries take on three and on six years of every unit's figures.

The queries are those that Superset sends (record_dashboard_queries.py); the figures are those of
one published month, written again for each month before it; tables and indexes are the marts'.
Wanted: p95 below 100 ms, and six years at most 1.2 times as slow as three.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from loaders.postgres.database import Role, admin_url, connect, conninfo
from loaders.sample import generate
from loaders.stages.setup import prepare_warehouse
from tests.bench.bare import run_bare
from tests.conftest import TEST_BI_PASSWORD, Warehouse

MONTH, SCALE, SEED = "2025-12", 0.01, 7
YEARS_3, YEARS_6 = 36, 72
ROUNDS = 9
WANTED_P95_MS, WANTED_RATIO = 100, 1.2
QUERIES: dict[str, list[str]] = json.loads(
    Path(__file__).with_name("dashboard_queries.json").read_text(encoding="utf-8")
)
#: Those of the marts that grow with time; of their columns these are moved to each month.
GROWING = ("fct_kpi_value", "fct_kpi_gap", "fct_data_quality")
MOVED = {
    "period": "to_char(to_date({}, 'YYYY-MM') - make_interval(months => n), 'YYYY-MM')",
    "expected_on": "({} - make_interval(months => n))::date",
}


@pytest.fixture(scope="module")
def published(warehouse: Warehouse) -> Iterator[Warehouse]:
    generate([MONTH], SCALE, SEED, warehouse.inbox, None)
    prepare_warehouse()
    run_bare(MONTH)
    yield warehouse


def months_before(connection: psycopg.Connection, mart: str, first: int, last: int) -> None:
    """Write a mart's rows of the month again for the months `first` to `last` before it."""
    columns = [
        name
        for (name,) in connection.execute(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0"
            " and not attisdropped order by attnum",
            (f"marts.{mart}",),
        )
    ]
    chosen = [
        sql.SQL(MOVED.get(name, "{}")).format(sql.Identifier(name))  # type: ignore[arg-type]
        for name in columns
    ]
    connection.execute(
        sql.SQL(
            "insert into {} ({}) select {} from {}"
            " cross join generate_series(%s::integer, %s::integer) as n"
            " where period = %s on conflict do nothing"
        ).format(
            sql.Identifier("marts", mart),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(chosen),
            sql.Identifier("marts", mart),
        ),
        (first, last, MONTH),
    )


def grow(first: int, last: int) -> int:
    """Let the marts hold `last` months more, of which those before `first` are there already."""
    with connect(Role.ADMIN) as connection:
        connection.execute(
            "insert into marts.dim_period (period, period_kind, starts_on, ends_on, year_decimal,"
            " label_vi, label_en)"
            " select to_char(m, 'YYYY-MM'), 'month', m, m + interval '1 month' - interval '1 day',"
            " extract(year from m) + extract(month from m) / 12.0, to_char(m, 'MM/YYYY'),"
            " to_char(m, 'MM/YYYY') from generate_series(%s::integer, %s::integer) as n,"
            " lateral (select (to_date(%s, 'YYYY-MM') - make_interval(months => n))::date as m)"
            " as months on conflict do nothing",
            (first, last, MONTH),
        )
        for mart in GROWING:
            months_before(connection, mart, first, last)
    with psycopg.connect(bi_login(), autocommit=True) as reader:
        found = reader.execute("select count(*) from marts.fct_kpi_value").fetchone()
    with connect(Role.ADMIN) as connection:
        connection.autocommit = True
        for mart in (*GROWING, "dim_period"):
            connection.execute(sql.SQL("vacuum analyze {}").format(sql.Identifier("marts", mart)))
    assert found is not None
    return int(found[0])


def bi_login() -> str:
    """As Superset logs in: with the settings of the role."""
    return conninfo(admin_url().set(username=str(Role.BI), password=TEST_BI_PASSWORD))


def timed() -> tuple[dict[str, list[float]], dict[str, int]]:
    """Milliseconds of every query, some rounds each after one that warms up; and its rows."""
    taken: dict[str, list[float]] = {name: [] for name in QUERIES}
    rows: dict[str, int] = {}
    with psycopg.connect(bi_login(), autocommit=True) as connection:
        for number in range(ROUNDS + 1):
            for name, lines in QUERIES.items():
                started = time.perf_counter()
                found = connection.execute("\n".join(lines).encode()).fetchall()
                if number:
                    taken[name].append((time.perf_counter() - started) * 1000)
                rows[name] = len(found)
    return taken, rows


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def test_dashboard_queries(published: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    size_3 = grow(1, YEARS_3 - 1)
    three, rows = timed()
    size_6 = grow(YEARS_3, YEARS_6 - 1)
    six, rows = timed()
    every_3, every_6 = (
        [value for values in taken.values() for value in values] for taken in (three, six)
    )
    # The fastest round says least of what else the machine does.
    whole_3, whole_6 = (sum(map(min, taken.values())) for taken in (three, six))
    ratio = statistics.median(min(six[name]) / min(three[name]) for name in QUERIES)
    with capsys.disabled():
        print(f"\nfct_kpi_value: {size_3:,} rows in {YEARS_3} months, {size_6:,} in {YEARS_6}")
        print(f"{'query':<52}{'rows':>6}{'p50 36':>9}{'p50 72':>9}{'p95 72':>9}{'72/36':>7}")
        slowest = sorted(QUERIES, key=lambda name: -statistics.median(six[name]))
        for name in slowest:
            middle_3, middle_6 = statistics.median(three[name]), statistics.median(six[name])
            print(
                f"{name:<52}{rows[name]:>6}{middle_3:>9.1f}{middle_6:>9.1f}"
                f"{p95(six[name]):>9.1f}{middle_6 / middle_3:>7.2f}"
            )
        print(
            f"all: p50 {statistics.median(every_6):.1f} ms; p95 {p95(every_3):.1f} and"
            f" {p95(every_6):.1f} ms (wanted < {WANTED_P95_MS}), 72/36"
            f" {p95(every_6) / p95(every_3):.2f} (wanted <= {WANTED_RATIO}); of the middle query"
            f" {ratio:.2f}, of all together {whole_6 / whole_3:.2f}"
            f" ({whole_3:.0f} and {whole_6:.0f} ms)"
        )
    assert all(rows.values()), "a query without rows measures nothing"
