"""A published figure, looked up in the ledger of releases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

TOTAL = "total"


class TraceError(LookupError):
    """No such figure; the message says what there is."""


@dataclass(frozen=True)
class Query:
    """Which figure: as in `fct_kpi_value`; what is left out must leave one cell."""

    kpi_id: str
    unit_code: str
    period: str
    boundary: str | None = None
    series: str | None = None
    breakdown: str = TOTAL
    breakdown_value: str = TOTAL
    release_id: str | None = None


def all_rows(
    connection: psycopg.Connection, statement: str, values: tuple[Any, ...]
) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement.encode(), values).fetchall()


def one_row(
    connection: psycopg.Connection, statement: str, values: tuple[Any, ...]
) -> dict[str, Any] | None:
    return next(iter(all_rows(connection, statement, values)), None)


def release_of(connection: psycopg.Connection, release_id: str | None) -> dict[str, Any]:
    found = one_row(
        connection,
        "select release_seq, release_id, period, candidate_id, published_at, chain_head,"
        " manifest -> 'batches' as batches, manifest -> 'lineage' -> 'kpis' as definitions"
        " from publication.release"
        " where %s::text is null or release_id = %s order by release_seq desc limit 1",
        (release_id, release_id),
    )
    if found is None:
        raise TraceError(
            f"release {release_id} is not there" if release_id else "nothing is published"
        )
    return found


CELL = """
    select distinct on (boundary, series) *
    from publication.kpi_value
    where
        kpi_id = %s and unit_code = %s and period = %s and breakdown = %s
        and breakdown_value = %s and release_seq <= %s
    order by boundary, series, release_seq desc
"""


def cell_of(connection: psycopg.Connection, query: Query, release_seq: int) -> dict[str, Any]:
    found = all_rows(
        connection,
        CELL,
        (
            *(query.kpi_id, query.unit_code, query.period),
            *(query.breakdown, query.breakdown_value, release_seq),
        ),
    )
    cells = [
        cell
        for cell in found
        if cell["change"] != "withdrawn"
        and query.boundary in (None, cell["boundary"])
        and query.series in (None, cell["series"])
    ]
    # A commune has the same figure in both boundaries.
    if len({cell["series"] for cell in cells}) == 1:
        return cells[0]
    if cells:
        names = ", ".join(sorted({cell["series"] for cell in cells}))
        raise TraceError(f"{query.kpi_id} has several series ({names}): name one with --series")
    raise TraceError(_what_there_is(connection, query, release_seq))


def _what_there_is(connection: psycopg.Connection, query: Query, release_seq: int) -> str:
    """Names the first part of the question that has no answer, and the answers that there are."""
    asked = {
        "kpi_id": query.kpi_id,
        "unit_code": query.unit_code,
        "period": query.period,
        "breakdown": query.breakdown,
        "breakdown_value": query.breakdown_value,
        "boundary": query.boundary,
        "series": query.series,
    }
    given: dict[str, str] = {}
    for column, value in asked.items():
        if value is None:
            continue
        conditions = " and ".join([f"{name} = %s" for name in given] or ["true"])
        known = [
            row["known"]
            for row in all_rows(
                connection,
                f"select distinct {column} as known from publication.kpi_value"
                f" where {conditions} and release_seq <= %s order by 1 desc",
                (*given.values(), release_seq),
            )
        ]
        if value not in known:
            listed = ", ".join(known[:12]) + (f" and {len(known) - 12} more" * (len(known) > 12))
            where = " ".join(f"{name}={other}" for name, other in given.items())
            return f"no figure with {column} {value!r} {where}: there is {listed or 'none'}"
        given[column] = value
    return "the figure was withdrawn"


def verdict_of(
    connection: psycopg.Connection, cell: dict[str, Any], release_seq: int
) -> dict[str, Any] | None:
    """The verdict of the unit's series as of the release, when this is the figure it judges."""
    found = one_row(
        connection,
        "select verdict, target_id, operator, target_value, target_year, base_period, base_value,"
        " period, change from publication.kpi_verdict where kpi_id = %s and series = %s"
        " and boundary = %s and unit_code = %s and release_seq <= %s"
        " order by release_seq desc limit 1",
        (*(cell[k] for k in ("kpi_id", "series", "boundary", "unit_code")), release_seq),
    )
    is_judged = found and found["change"] != "withdrawn" and cell["breakdown"] == TOTAL
    return found if is_judged and found and found["period"] == cell["period"] else None
