"""A suite in SQL: every failing row is counted and named, and no connection is left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from loaders.postgres.database import Role, connect, url
from loaders.quality import read_suite, run_suite
from tests.conftest import Warehouse

ROWS, FAILING = 2_000, 700


def rule(name: str, kind: str, type_: str, **kwargs: Any) -> dict[str, Any]:
    return {
        "type": type_,
        "severity": "critical",
        "kwargs": kwargs,
        "meta": {
            "id": f"numbers.{name}", "version": 1, "kind": kind, "dimension": "validity",
            "owner": "nobody", "origin": "this test", "column": "value",
            "description_vi": "Giá trị âm trong bảng", "description_en": "A negative value",
        },
    }  # fmt: skip


@pytest.fixture
def table(warehouse: Warehouse) -> str:
    with connect(Role.LOADER) as connection:
        connection.execute("drop table if exists stage.numbers")
        connection.execute(
            "create table stage.numbers as select n as _row_number,"
            " case when n <= %s then -n else n end as value from generate_series(1, %s) as n",
            (FAILING, ROWS),
        )
    return "numbers"


def test_every_failing_row_is_counted_and_named_over_few_connections(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [
        rule("between", "row", "expect_column_values_to_be_between", column="value", min_value=0),
        *(
            rule(
                f"negative_{number}",
                "row",
                "unexpected_rows_expectation",
                unexpected_rows_query="SELECT _row_number FROM {batch} WHERE value < 0",
            )
            for number in range(8)
        ),
    ]
    path = tmp_path / f"{table}.json"
    path.write_text(json.dumps({"name": table, "expectations": rules}), "utf-8")
    opened = []
    real = psycopg.connect

    def counted(*args: Any, **kwargs: Any) -> psycopg.Connection:
        opened.append(real(*args, **kwargs))
        return opened[-1]

    with monkeypatch.context() as patch:
        patch.setattr(psycopg, "connect", counted)
        outcomes = run_suite(
            url(Role.LOADER), "stage", table, read_suite(path), {"period": "2025-06"}
        )
    assert 0 < len(opened) < len(rules)
    assert all(connection.closed for connection in opened)
    assert [(o.result, o.rows_scanned, o.rows_failing) for o in outcomes] == [
        ("fail", ROWS, FAILING)
    ] * len(rules)
    with connect(Role.LOADER) as connection:
        for outcome in outcomes:
            query = f"select f._row_number from ({outcome.failing_rows_sql}) as f order by 1"
            found = connection.execute(query.encode()).fetchall()
            assert [number for (number,) in found] == list(range(1, FAILING + 1))


def test_a_table_without_rows_passes(table: str, tmp_path: Path) -> None:
    rules = [
        rule("between", "row", "expect_column_values_to_be_between", column="value", min_value=0),
        rule("known", "dataset", "expect_column_values_to_not_be_null", column="value"),
        rule(
            "unique",
            "dataset",
            "expect_compound_columns_to_be_unique",
            column_list=["_row_number", "value"],
        ),
    ]
    path = tmp_path / f"{table}.json"
    path.write_text(json.dumps({"name": table, "expectations": rules}), "utf-8")
    with connect(Role.LOADER) as connection:
        connection.execute("truncate stage.numbers")
    outcomes = run_suite(url(Role.LOADER), "stage", table, read_suite(path), {"period": "2025-06"})
    assert [(o.result, o.rows_scanned, o.rows_failing) for o in outcomes] == [("pass", 0, 0)] * 3
