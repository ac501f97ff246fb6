"""The sql connector against PostgreSQL and SQLite: types, windows, rights, limits."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import URL

from loaders.postgres.database import conninfo
from loaders.settings import SettingsError
from tests.conftest import Warehouse
from tests.integration.landing import QUICK, Landing, landed, receipts, recorded

SCHEMA = """
create schema if not exists agency;
create table if not exists agency.payment (
    id bigint primary key, code text, amount numeric(14, 2), rate double precision,
    paid_on date, changed_at timestamp, note text, detail jsonb, is_open boolean
);
truncate agency.payment;
create or replace function agency.write() returns bigint language sql as
$$ insert into agency.payment (id) values (1) returning id $$;
"""
WINDOW = (
    "select id, changed_at from agency.payment where paid_on between :period_start and :period_end"
    " and (cast(:since as timestamp) is null or changed_at > cast(:since as timestamp)) order by id"
)


@pytest.fixture
def agency(warehouse: Warehouse, landing: Landing) -> Iterator[psycopg.Connection]:
    """An agency's table in the test's database, which the secret leads to."""
    text = warehouse.url.set(drivername="postgresql").render_as_string(hide_password=False)
    landing.secret("agency", text)
    with psycopg.connect(conninfo(warehouse.url), autocommit=True) as connection:
        connection.execute(SCHEMA)
        yield connection


def add(agency: psycopg.Connection, number: int, day: str, changed: str) -> None:
    agency.execute(
        "insert into agency.payment (id, paid_on, changed_at) values (%s, %s, %s)",
        (number, day, changed),
    )


def rows(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def sql(landing: Landing, period: str, query: str, **more: Any) -> Any:
    options = {"url_credential": "agency", "query": query, "retry": QUICK}
    return landing(period, "sql", **options | more)


def test_null_and_empty_stay_apart_and_numbers_keep_their_digits(
    landing: Landing, agency: psycopg.Connection
) -> None:
    agency.execute(
        "insert into agency.payment values (9007199254740993, '001', 1250000.10, 'NaN',"
        " '2024-01-31', '2024-02-01 10:00', '', '{\"a\": [1.50, null]}', true),"
        " (2, null, null, 0.1, null, null, E'a\\nb;\"', null, null)"
    )
    result = sql(landing, "2024-01", "select * from agency.payment order by id desc")
    content = landed(result)
    assert content.splitlines()[0].decode() == (
        '{"id":9007199254740993,"code":"001","amount":1250000.10,"rate":"nan",'
        '"paid_on":"2024-01-31","changed_at":"2024-02-01T10:00:00","note":"",'
        '"detail":{"a":[1.5,null]},"is_open":true}'
    )
    second = rows(content)[1]
    assert (second["code"], second["note"], second["rate"]) == (None, 'a\nb;"', 0.1)
    assert result.file_name == "health_insurance_members_2024-01.jsonl"


def test_the_mark_of_an_earlier_period_opens_the_window_and_a_rerun_sees_the_same(
    landing: Landing, agency: psycopg.Connection
) -> None:
    add(agency, 1, "2024-03-05", "2024-03-05 08:00")
    add(agency, 2, "2024-03-20", "2024-03-31 17:00:00.25")
    first = sql(landing, "2024-03", WINDOW, mark_column="changed_at")
    assert [row["id"] for row in rows(landed(first))] == [1, 2]
    assert recorded("2024-03")["details"] == {"mark": "2024-03-31 17:00:00.250000"}
    add(agency, 3, "2024-04-02", "2024-03-31 17:00:00.25")  # not after the mark
    add(agency, 4, "2024-04-03", "2024-04-30 17:00")
    second = sql(landing, "2024-04", WINDOW, mark_column="changed_at")
    assert [row["id"] for row in rows(landed(second))] == [4]
    # Neither its own mark nor a later one moves the window of a period.
    assert sql(landing, "2024-04", WINDOW, mark_column="changed_at").status == "unchanged"
    assert sql(landing, "2024-03", WINDOW, mark_column="changed_at").status == "unchanged"


def test_a_first_mark_may_be_given(landing: Landing, agency: psycopg.Connection) -> None:
    add(agency, 1, "2023-03-05", "2023-03-05 08:00")
    add(agency, 2, "2023-03-06", "2023-03-06 08:00")
    result = sql(landing, "2023-03", WINDOW, first_since="2023-03-05 12:00")
    assert [row["id"] for row in rows(landed(result))] == [2]


def test_the_day_after_the_period_bounds_timestamps(
    landing: Landing, agency: psycopg.Connection
) -> None:
    add(agency, 1, "2024-05-31", "2024-05-31 23:59:59")
    add(agency, 2, "2024-06-01", "2024-06-01 00:00")
    query = (
        "select id from agency.payment where changed_at >= :period_start"
        " and changed_at < :period_after"
    )
    assert [row["id"] for row in rows(landed(sql(landing, "2024-05", query)))] == [1]


def test_no_rows_are_missing(landing: Landing, agency: psycopg.Connection) -> None:
    result = sql(landing, "2024-07", WINDOW)
    assert (result.status, result.is_unreachable) == ("missing", False)


def test_many_rows_come_in_pieces(landing: Landing, agency: psycopg.Connection) -> None:
    query = (
        "select n as id, repeat('x', 100) as text from generate_series(1, 60000) as n order by n"
    )
    content = landed(sql(landing, "2024-08", query))
    assert [row["id"] for row in rows(content)] == list(range(1, 60001))


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("insert into agency.payment (id) values (1) returning id", "SyntaxError 42601"),
        ("select agency.write()", "ReadOnlySqlTransaction 25006"),
        ("select nothing from agency.payment", 'column "nothing" does not exist'),
        ("select 1 as a, 2 as a", "gives ['a'] twice"),
        ("select '051185000123'::integer[]", "InvalidTextRepresentation 22P02"),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused(
    landing: Landing, agency: psycopg.Connection, query: str, reason: str
) -> None:
    result = sql(landing, "2024-07", query)
    assert result.status == "refused", result.reason
    assert reason in (result.reason or "")
    assert "051185" not in (result.reason or "")
    assert receipts("2024-07") == []


def test_a_mark_column_that_the_query_does_not_give_is_refused(
    landing: Landing, agency: psycopg.Connection
) -> None:
    result = sql(landing, "2024-07", "select 1 as id", mark_column="changed_at")
    assert "gives no column 'changed_at' (mark_column), only ['id']" in (result.reason or "")


def test_a_slow_query_hits_its_time_limit(landing: Landing, agency: psycopg.Connection) -> None:
    result = sql(landing, "2024-07", "select pg_sleep(5)", statement_seconds=0.2)
    assert (result.status, result.is_unreachable) == ("missing", True)
    assert "QueryCanceled 57014" in (result.reason or "")


def test_a_connection_that_breaks_among_the_rows_starts_the_query_anew(
    landing: Landing, agency: psycopg.Connection
) -> None:
    def break_once() -> None:
        ended = None
        while ended is None:
            ended = agency.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and wait_event = 'PgSleep'"
            ).fetchone()
            time.sleep(0.01)

    query = (
        "select n as id from generate_series(1, 20000) as n"
        " where n <> 15000 or pg_sleep(0.5) is not null"
    )
    breaker = threading.Thread(target=break_once)
    breaker.start()
    result = sql(landing, "2024-09", query)
    breaker.join()
    assert [row["id"] for row in rows(landed(result))] == list(range(1, 20001))


def test_a_wrong_password_is_not_tried_again_and_never_shown(
    landing: Landing,
    warehouse: Warehouse,
    capfd: pytest.CaptureFixture[str],
) -> None:
    wrong: URL = warehouse.url.set(password="wrong-4711")
    landing.secret("agency", wrong.render_as_string(hide_password=False))
    result = sql(landing, "2024-07", "select 1 as id")
    assert result.status == "refused"
    assert "refuses the login" in (result.reason or "")
    assert "4711" not in f"{result!r} {recorded('2024-07')} {capfd.readouterr()}"


def test_a_secret_that_is_no_address_is_a_wrong_setting(landing: Landing) -> None:
    for text in ("no address 4711", "nosuch://u:4711@h/d", "oracle+oracledb://u:4711@h/d"):
        landing.secret("agency", text)
        with pytest.raises(SettingsError, match="'agency'") as caught:
            sql(landing, "2024-07", "select 1 as id")
        assert "4711" not in str(caught.value)


@pytest.fixture
def register(tmp_path: Path, landing: Landing) -> Path:
    path = tmp_path / "register.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table card (id integer, day text, photo blob)")
        connection.execute("insert into card values (1, '2024-10-31', x'00ff'), (2, null, null)")
    connection.close()
    landing.secret("agency", f"sqlite:///{path}")
    return path


def test_a_sqlite_file_is_read_and_cannot_be_written(landing: Landing, register: Path) -> None:
    content = landed(sql(landing, "2024-10", "select * from card order by id"))
    assert rows(content) == [
        {"id": 1, "day": "2024-10-31", "photo": "00ff"},
        {"id": 2, "day": None, "photo": None},
    ]
    before = register.read_bytes()
    result = sql(landing, "2024-11", "delete from card returning id")
    assert result.status == "refused"
    assert register.read_bytes() == before
    result = sql(landing, "2024-11", "select id from nowhere")
    assert "no such table: nowhere" in (result.reason or "")


def test_a_sqlite_file_that_is_away_is_not_made(landing: Landing, tmp_path: Path) -> None:
    landing.secret("agency", f"sqlite:///{tmp_path / 'away.db'}")
    result = sql(landing, "2024-11", "select 1 as id")
    assert (result.status, result.is_unreachable) == ("missing", True)
    assert list(tmp_path.iterdir()) == []


def test_a_locked_sqlite_file_is_tried_again(landing: Landing, register: Path) -> None:
    writer = sqlite3.connect(register)
    writer.execute("begin exclusive")
    result = sql(landing, "2024-11", "select id from card", connect_seconds=0.1)
    assert result.is_unreachable, result.reason
    writer.close()


def test_the_period_is_bound_as_dates(landing: Landing, register: Path) -> None:
    query = "select id from card where day between :period_start and :period_end"
    assert [r["id"] for r in rows(landed(sql(landing, "2024-10", query)))] == [1]
