"""A suite in SQL: every failing row is counted and named, and no connection is left behind."""

from __future__ import annotations

import json
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy

from loaders.postgres.database import Role, connect, lasting, role_url, url
from loaders.quality import runner
from loaders.quality.ahead import Ahead, running_ahead
from loaders.quality.runner import RuleOutcome, run_suite
from loaders.quality.suites import read_suite
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


def judge(folder: Path, table: str, *rules: dict[str, Any]) -> list[RuleOutcome]:
    path = folder / f"{table}.json"
    path.write_text(json.dumps({"name": table, "expectations": rules}), "utf-8")
    return run_suite(url(Role.LOADER), "stage", table, read_suite(path), {"period": "2025-06"})


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
    opened = []
    real = psycopg.connect

    def counted(*args: Any, **kwargs: Any) -> psycopg.Connection:
        opened.append(real(*args, **kwargs))
        return opened[-1]

    with monkeypatch.context() as patch:
        patch.setattr(psycopg, "connect", counted)
        outcomes = judge(tmp_path, table, *rules)
    # One for all rules, which also tells whether the server was there all the time.
    assert len(opened) == 1
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
    with connect(Role.LOADER) as connection:
        connection.execute("truncate stage.numbers")
    outcomes = judge(tmp_path, table, *rules)
    assert [(o.result, o.rows_scanned, o.rows_failing) for o in outcomes] == [("pass", 0, 0)] * 3


def test_conditions_are_judged_in_one_scan_and_a_broken_one_fails_alone(
    table: str, tmp_path: Path
) -> None:
    """The sequence counts how often the condition is looked at: once for each row, twice if not."""
    with connect(Role.LOADER) as connection:
        connection.execute("drop sequence if exists stage.looks")
        connection.execute("create sequence stage.looks")
        # A function that is known to change something is asked as often as it stands in a query.
        connection.execute(
            "create or replace function stage.look() returns bigint language plpgsql stable"
            " as $$ begin return nextval('stage.looks'); end $$"
        )

    def conditions(*texts: str) -> list[dict[str, Any]]:
        return [
            rule(f"condition_{number}", "row", "unexpected_rows_expectation", rows_where=text)
            for number, text in enumerate(texts)
        ]

    looked, negative = "stage.look() < 0", "value < 0 and 'a%' like 'a%%' and ':x' <> '{'"
    outcomes = judge(tmp_path, table, *conditions(looked, negative))
    assert [(o.result, o.rows_failing) for o in outcomes] == [("pass", 0), ("fail", FAILING)]
    with connect(Role.LOADER) as connection:
        assert connection.execute("select last_value from stage.looks").fetchone() == (ROWS,)
    outcomes = judge(tmp_path, table, *conditions("1 / (value - 1500) > 2", negative))
    assert [o.result for o in outcomes] == ["error", "fail"]
    assert (outcomes[1].rows_failing, outcomes[1].failing_where) == (FAILING, negative)
    assert "DivisionByZero" in outcomes[0].observed


@pytest.mark.parametrize("separator", [", ", " "])
def test_a_list_of_what_failed_is_not_cut_in_a_word(
    table: str, tmp_path: Path, separator: str
) -> None:
    """The release suites cut each list at 400 characters; of the whole 500 are shown."""
    items = [f"kpi_{number}" for number in range(200)]
    listed = (
        f"left(string_agg('kpi_' || (_row_number - 1), '{separator}' ORDER BY _row_number), 400)"
    )
    found = {}
    for name, lists in (("one", f"{listed} AS l"), ("two", f"{listed} AS l, {listed} AS more")):
        query = f"SELECT count(*) AS n, {lists} FROM {{batch}} WHERE _row_number <= 200"
        check = rule(name, "dataset", "unexpected_rows_expectation", unexpected_rows_query=query)
        (outcome,) = judge(tmp_path, table, check)
        found[name] = outcome.observed
    shown = found["one"].removeprefix("n=200, l=").removesuffix(" …").split(separator)
    assert shown == items[: len(shown)] and 380 < len(separator.join(shown)) < 400
    assert found["one"].endswith(" …")
    assert found["two"].startswith(found["one"]) and len(found["two"]) <= 500
    assert found["two"].endswith(" …") and not found["two"].endswith("… …")


def test_of_a_long_list_every_nth_person_is_looked_at(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share of people is one in three here, and of all rows of a person or of none."""
    query = (
        "SELECT s.found, s.people, $one_in AS one_in FROM (SELECT count(*) FILTER (WHERE n = 2)"
        " AS found, count(*) AS people FROM (SELECT value % 1500 AS person, count(*) AS n"
        " FROM {batch} WHERE hashint8(value % 1500) % $one_in = 0 GROUP BY 1) p) s"
        " WHERE s.found > 0.1 * s.people"
    )
    twice = rule("twice", "dataset", "unexpected_rows_expectation", unexpected_rows_query=query)
    with connect(Role.LOADER) as connection:
        connection.execute("update stage.numbers set value = abs(value)")
    (whole,) = judge(tmp_path, table, twice)
    assert (whole.rows_scanned, whole.observed) == (ROWS, "found=500, people=1500, one_in=1")
    monkeypatch.setattr(runner, "SAMPLE_ROWS", 500)
    (part,) = judge(tmp_path, table, twice)
    found, people, one_in = (int(figure.split("=")[1]) for figure in part.observed.split(", "))
    assert one_in == 4 and 250 < people < 500
    assert found / people == pytest.approx(1 / 3, abs=0.08)


SHARE = (
    "SELECT s.found, s.people, $one_in AS one_in FROM (SELECT count(*) FILTER (WHERE value < 0)"
    " AS found, count(*) AS people FROM {batch}) s WHERE s.found > 0"
)
SESSION_SAYS = (
    "SELECT concat_ws(' ', current_user, current_setting('work_mem'),"
    " current_setting('enable_nestloop'), current_setting('jit')) AS found FROM {batch} LIMIT 1"
)
MANY_KINDS = [
    rule("positive", "row", "unexpected_rows_expectation", rows_where="value < 0"),
    rule("broken", "row", "unexpected_rows_expectation", rows_where="1 / (value - 1500) > 2"),
    rule("between", "row", "expect_column_values_to_be_between", column="value", max_value=1_900),
    rule("known", "dataset", "expect_column_values_to_not_be_null", column="value"),
    rule("like_before", "dataset", "unexpected_rows_expectation", like_before={"measure": "rows"}),
    rule("share", "dataset", "unexpected_rows_expectation", unexpected_rows_query=SHARE),
    *(
        rule(name, kind, "unexpected_rows_expectation", unexpected_rows_query=query)
        for name, kind, query in (
            ("every", "row", "SELECT _row_number FROM {batch} WHERE value % 7 = 0 AND 'a:b' <> ''"),
            ("none", "row", "SELECT _row_number FROM {batch} WHERE value > 1000000"),
            ("raises", "row", "SELECT _row_number FROM {batch} WHERE 1 / (value - 1500) > 2"),
            ("no_column", "dataset", "SELECT unheard_of FROM {batch}"),
            ("session", "dataset", SESSION_SAYS),
            ("first", "dataset", "SELECT value AS found FROM {batch} WHERE value < 0 ORDER BY 1"),
        )
    ),
]
HISTORY = {"source": "s", "dataset": "d", "data_label": "sample", "since": ""}


def test_a_long_list_is_judged_as_a_short_one(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queries that run ahead, over a second connection, change nothing in what is found."""
    path = tmp_path / "kinds.json"
    path.write_text(json.dumps({"name": "kinds", "expectations": MANY_KINDS}), "utf-8")
    suite, variables = read_suite(path), {"period": "2025-06", **HISTORY}
    ran: list[str] = []
    run = Ahead._run

    def noted(self: Ahead, query: Any) -> Any:
        ran.append(query.text)
        return run(self, query)

    monkeypatch.setattr(Ahead, "_run", noted)
    in_line = run_suite(url(Role.LOADER), "stage", table, suite, variables)
    assert not ran
    monkeypatch.setattr(runner, "AHEAD_ROWS", ROWS)
    ahead = run_suite(url(Role.LOADER), "stage", table, suite, variables)
    assert "value % 7 = 0" in ran[0]  # rows come first
    assert ahead == in_line
    results = {outcome.rule.meta.id.removeprefix("numbers."): outcome for outcome in ahead}
    errors = {name for name, outcome in results.items() if outcome.result == "error"}
    assert errors == {"broken", "raises", "no_column"}
    assert "DivisionByZero" in results["raises"].observed
    assert "unheard_of" in results["no_column"].observed
    assert results["session"].observed == "found=nq42_loader 64MB off off"
    assert results["positive"].rows_failing == FAILING
    assert results["first"].observed == f"{FAILING} rows, the first: found=-{FAILING}"


def test_what_was_found_ahead_is_not_asked_again(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(Role.LOADER) as connection:
        connection.execute("create sequence if not exists stage.asked")
    asked = "SELECT _row_number FROM {batch} WHERE value < 0 AND nextval('stage.asked') > 0"
    rules = [
        rule("asked", "row", "unexpected_rows_expectation", unexpected_rows_query=asked),
        # Great Expectations asks three times for what fails, and each time for all the rest.
        rule("no", "row", "unexpected_rows_expectation", unexpected_rows_query="SELECT {batch}"),
    ]
    monkeypatch.setattr(runner, "AHEAD_ROWS", ROWS)
    answer = Ahead.answer

    def late(self: Ahead, query: Any) -> Any:
        wait(self._sent.values())
        return answer(self, query)

    monkeypatch.setattr(Ahead, "answer", late)
    found, failed = judge(tmp_path, table, *rules)
    assert (found.result, found.rows_failing, failed.result) == ("fail", FAILING, "error")
    with connect(Role.LOADER) as connection:
        assert connection.execute("select last_value from stage.asked").fetchone() == (FAILING,)


def test_queries_that_have_not_begun_are_not_waited_for(table: str) -> None:
    """Whoever asks for one runs it; at the end of the block the others are never run."""
    with lasting(role_url(Role.LOADER)) as connection, running_ahead(connection) as ahead:
        queries = [sqlalchemy.text(f"select {n} from pg_sleep(0.2)") for n in range(50)]
        for query in queries:
            ahead.send(query)
        assert ahead.answer(queries[-1]) is None
        assert ahead.answer(sqlalchemy.text("select 'never sent'")) is None
        begun = ahead.answer(queries[0])
        assert begun is not None and begun.fetchall() == [(0,)]
    assert sum(query.cancelled() for query in ahead._sent.values()) > 40
