"""Rewritten SQL names the rows that each kind of query counts, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import psycopg
import pytest
from sqlglot import exp

from loaders.postgres.database import Role, connect
from loaders.trace.provenance import Other, ProvenanceError, Query, Raw, parse
from tests.conftest import Warehouse

PEOPLE = """
    create table raw.people (_row_number int, name text, unit text, paid boolean, amount int);
    insert into raw.people values
        (1, 'an', 'x', true, 5), (2, 'binh', 'x', false, 0), (3, 'chi', 'y', true, 7),
        (4, 'an', 'y', true, null);
    create table raw.lists (_row_number int, name text);
    insert into raw.lists values (1, 'an'), (2, 'chi'), (3, 'dung');
    create table raw.units (unit text, zone text);
    insert into raw.units values ('x', 'plain'), ('y', 'island');
"""
#: Query with one row → the rows behind `n`, as table initial and number.
CASES = {
    "all rows of a group": ("select count(*) as n from people where unit = 'x'", "p1 p2"),
    "a filter": ("select count(*) filter (where paid) as n from people", "p1 p3 p4"),
    "a sum counts what is not zero": ("select sum(amount) as n from people", "p1 p3"),
    "distinct people": ("select count(distinct amount) as n from people", "p1 p2 p3"),
    "one row of each person": (
        "select count(*) as n from (select distinct on (name) * from people"
        " order by name, _row_number desc) as newest",
        "p2 p3 p4",
    ),
    "both sides of a join": (
        "select count(*) as n from people inner join lists on people.name = lists.name"
        " where people.unit = 'y'",
        "l1 l2 p3 p4",
    ),
    "what an outer join did not find": (
        "select count(*) as n from people left join lists on people.name = lists.name"
        " where people._row_number < 3",
        "l1 p1 p2",
    ),
    "a seed has no rows": (
        "select count(*) as n from people inner join units on people.unit = units.unit"
        " where zone = 'island'",
        "p3 p4",
    ),
    "a measure through two groups": (
        "with u as (select unit, count(*) filter (where paid) as p, count(*) as a from people"
        " group by unit) select sum(p) as n from u",
        "p1 p3 p4",
    ),
    "a union keeps both": (
        "with b as (select name from people where unit = 'x' union all select name from lists)"
        " select count(*) as n from b",
        "l1 l2 l3 p1 p2",
    ),
    "a union that drops equal rows": (
        "with b as (select name from people union select name from lists)"
        " select count(*) as n from b where name = 'an'",
        "l1 p1 p4",
    ),
    "select distinct": (
        "with b as (select distinct name from people) select count(*) as n from b"
        " where name <> 'an'",
        "p2 p3",
    ),
    "a star with the rows of a lookup": (
        "with last as (select max(_row_number) as r from people), b as (select people.*"
        " from people inner join last on people._row_number = last.r) select sum(1) as n from b",
        "p4",
    ),
    "a window passes its own row": (
        "with b as (select name, sum(amount) over (partition by name) as s from people)"
        " select count(*) as n from b where name = 'chi'",
        "p3",
    ),
    "of a difference both columns": (
        "with g as (select unit, count(*) as a, count(*) filter (where paid) as p from people"
        " group by unit) select a - p as n from g where unit = 'x'",
        "p1 p2",
    ),
}


@pytest.fixture(scope="module")
def connection(warehouse: Warehouse) -> Iterator[psycopg.Connection]:
    with connect(Role.ADMIN) as connection:
        connection.execute(PEOPLE.encode())
        yield connection
        connection.rollback()


def rows_behind(connection: psycopg.Connection, text: str) -> str:
    def physical(table: exp.Table) -> Raw | Other:
        name = table.name
        table.set("db", exp.to_identifier("raw"))
        return Other() if name == "units" else Raw()

    tree = parse(text)
    query = Query(exp.Subquery(this=tree), {}, physical, count(1))
    column = query.column("n")
    for table in tree.find_all(exp.Table):
        if table.name in ("people", "lists", "units"):
            table.set("db", exp.to_identifier("raw"))
    connection.execute("set local search_path to raw, public")
    plain = connection.execute(text.encode())
    figures = plain.fetchone()
    found = connection.execute(
        f'select n, "{column}" from ({tree.sql("postgres")}) as q'.encode()
    ).fetchone()
    assert found and figures and found[0] == figures[0]
    names = dict(
        connection.execute(
            "select c.oid::bigint::text, left(relname, 1) from pg_class as c"
            " where relnamespace = 'raw'::regnamespace"
        ).fetchall()
    )
    tokens = (token.split(":") for token in filter(None, (found[1] or "").split(",")))
    return " ".join(sorted({names[table] + number for table, number in tokens}))


@pytest.mark.parametrize("case", CASES)
def test_the_rows_behind(connection: psycopg.Connection, case: str) -> None:
    text, expected = CASES[case]
    assert rows_behind(connection, text) == expected


def test_what_is_not_known_is_refused(connection: psycopg.Connection) -> None:
    with pytest.raises(ProvenanceError, match="its columns are not known"):
        rows_behind(
            connection,
            "with b as (select * from people union select * from people)"
            " select count(*) as n from b",
        )
