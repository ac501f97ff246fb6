"""From one published figure to the files and row numbers that it was counted from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from loaders.periods import months_of
from loaders.postgres.database import Role, connect
from loaders.settings import get_settings
from loaders.trace.counted import DELIVERED, CountedRows, compiled_models, counted_rows

#: Breakdowns by what a commune is, not by what its people are: other communes, not other rows.
UNIT_BREAKDOWNS = ("urban_rural", "zone")
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


@dataclass
class File:
    """A delivered file behind the figure, as its receipt and its gate left it."""

    source: str
    dataset: str
    period: str
    batch_id: str
    file_name: str
    sha256: str
    landing_path: str
    is_purged: bool
    corrections_path: str | None
    contract_version: str | None
    maturity: str
    data_label: str
    rows_loaded: int
    rows_quarantined: int
    rules_run: int
    rules_failed: int
    #: False when another batch has taken its place since the release.
    is_of_release: bool
    #: Part of the figure → numbers of its rows; data rows, counted from 1 below the header.
    rows: dict[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """Numerator, denominator or delivered value: as published, and as added up again."""

    name: str
    published: Decimal | None
    traced: Decimal | None

    @property
    def is_whole(self) -> bool:
        return (self.published or 0) == (self.traced or 0)


@dataclass(frozen=True)
class Trace:
    """All that stands behind one published figure."""

    release: dict[str, Any]
    cell: dict[str, Any]
    kpi: dict[str, Any]
    verdict: dict[str, Any] | None
    parts: list[Part]
    files: list[File]
    #: Rows of a hidden cell are its size: they are listed only when asked for.
    is_withheld: bool

    @property
    def is_whole(self) -> bool:
        return all(part.is_whole for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """The trace as JSON types; figures as text, in their own digits."""
        return {
            "release": self.release,
            "figure": self.cell,
            "kpi": self.kpi,
            "verdict": self.verdict,
            "parts": [asdict(part) | {"is_whole": part.is_whole} for part in self.parts],
            "files": [asdict(file) for file in self.files],
            "is_whole": self.is_whole,
        }


def trace(query: Query, *, show_protected: bool = False) -> Trace:
    """Walk from a figure to its rows.

    The rows are those of raw as it stands: of a release whose batches were replaced since, the
    parts may not add up any more, and `File.is_of_release` says which file is another.

    Args:
        show_protected: also the rows of a cell that is hidden for disclosure protection.

    Raises:
        TraceError: there is no such figure, or there are several.
        BuildError: dbt cannot compile the KPI's model.
    """
    with connect(Role.PUBLISHER) as connection:
        connection.execute("set transaction read only")
        release = _release(connection, query.release_id)
        cell = _cell(connection, query, release["release_seq"])
        kpi = _one(connection, "select * from marts.dim_kpi where kpi_id = %s", (query.kpi_id,))
        verdict = _verdict(connection, cell, release["release_seq"])
    is_withheld = bool(cell["is_suppressed"]) and not show_protected
    parts, rows = ([], {}) if is_withheld else _counted(cell, release)
    with connect(Role.PUBLISHER) as connection:
        connection.execute("set transaction read only")
        files = [_file(connection, key, release, found) for key, found in sorted(rows.items())]
    return Trace(release, cell, kpi or {}, verdict, parts, files, is_withheld)


# --- the figure -----------------------------------------------------------------------------------


def _all(
    connection: psycopg.Connection, statement: str, values: tuple[Any, ...]
) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement.encode(), values).fetchall()


def _one(
    connection: psycopg.Connection, statement: str, values: tuple[Any, ...]
) -> dict[str, Any] | None:
    return next(iter(_all(connection, statement, values)), None)


def _release(connection: psycopg.Connection, release_id: str | None) -> dict[str, Any]:
    found = _one(
        connection,
        "select release_seq, release_id, period, candidate_id, published_at, chain_head,"
        " manifest -> 'batches' as batches from publication.release"
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


def _cell(connection: psycopg.Connection, query: Query, release_seq: int) -> dict[str, Any]:
    found = _all(
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
            for row in _all(
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


def _verdict(
    connection: psycopg.Connection, cell: dict[str, Any], release_seq: int
) -> dict[str, Any] | None:
    """The verdict of the unit's series as of the release, when this is the figure it judges."""
    found = _one(
        connection,
        "select verdict, target_id, operator, target_value, target_year, base_period, base_value,"
        " period, change from publication.kpi_verdict where kpi_id = %s and series = %s"
        " and boundary = %s and unit_code = %s and release_seq <= %s"
        " order by release_seq desc limit 1",
        (*(cell[k] for k in ("kpi_id", "series", "boundary", "unit_code")), release_seq),
    )
    is_judged = found and found["change"] != "withdrawn" and cell["breakdown"] == TOTAL
    return found if is_judged and found and found["period"] == cell["period"] else None


# --- its rows -------------------------------------------------------------------------------------

Rows = dict[tuple[str, str], dict[str, list[int]]]


def _counted(cell: dict[str, Any], release: dict[str, Any]) -> tuple[list[Part], Rows]:
    """What the figure's parts add up to, and (raw table, period) → part → row numbers."""
    is_delivered = cell["numerator"] is None and cell["denominator"] is None
    model = f"kpi__{DELIVERED if is_delivered else cell['kpi_id']}"
    with connect(Role.TRANSFORMER) as connection:
        connection.execute("set transaction read only")
        units = [cell["unit_code"]] if is_delivered else _members(connection, cell)
        months = _months(release)
        models = compiled_models(release["period"], months)
        by_people = cell["breakdown"] not in (TOTAL, *UNIT_BREAKDOWNS)
        query = counted_rows(
            models,
            model,
            kpi_id=cell["kpi_id"] if is_delivered else None,
            period=cell["period"],
            units=units,
            series=cell["series"],
            breakdown=(cell["breakdown"], cell["breakdown_value"]) if by_people else None,
        )
        amounts, found = _added_up(connection, query)
        tables = _partitions(connection)
    parts = [
        Part(name, cell["value" if name == "final" else name], amounts[name])
        for name in query.parts
    ]
    rows: Rows = {}
    for name, by_table in found.items():
        for oid, numbers in by_table.items():
            rows.setdefault(tables[oid], {})[name] = sorted(numbers)
    return parts, rows


def _months(release: dict[str, Any]) -> list[str]:
    ends = {months_of(batch["period"])[1] for batch in release["batches"]}
    return sorted(month for month in ends if month <= release["period"])


def _members(connection: psycopg.Connection, cell: dict[str, Any]) -> list[str]:
    """Codes of the units that were added up to the cell's unit in that period."""
    kind = cell["breakdown"] if cell["breakdown"] in UNIT_BREAKDOWNS else None
    condition = sql.SQL("true")
    if kind:
        condition = sql.SQL("{} = {}").format(
            sql.Identifier(kind), sql.Literal(cell["breakdown_value"])
        )
    statement = sql.SQL(
        "select distinct member_code::text from intermediate.int_geography__unit_membership"
        " where period = %s and boundary = %s and unit_level = %s and unit_code = %s and {}"
    ).format(condition)
    keys = ("period", "boundary", "unit_level", "unit_code")
    return [code for (code,) in connection.execute(statement, [cell[key] for key in keys])]


def _added_up(
    connection: psycopg.Connection, query: CountedRows
) -> tuple[dict[str, Decimal | None], dict[str, dict[int, set[int]]]]:
    """Sum of each part, and part → partition of raw → row numbers."""
    amounts: dict[str, Decimal | None] = dict.fromkeys(query.parts)
    rows: dict[str, dict[int, set[int]]] = {}
    with connection.cursor(name="trace") as cursor:
        for part, amount, behind in cursor.execute(query.sql.encode()):
            if amount is not None:
                amounts[part] = (amounts[part] or Decimal(0)) + amount
            for table, number in _tokens(behind):
                rows.setdefault(part, {}).setdefault(table, set()).add(number)
    return amounts, rows


def _tokens(behind: str | None) -> Iterator[tuple[int, int]]:
    for token in filter(None, (behind or "").split(",")):
        table, _, number = token.partition(":")
        yield int(table), int(number)


def _partitions(connection: psycopg.Connection) -> dict[int, tuple[str, str]]:
    """Oid of a partition of raw → (raw table, period)."""
    found = connection.execute(
        """
        select c.oid::bigint, parent.relname, pg_get_expr(c.relpartbound, c.oid)
        from pg_inherits
        inner join pg_class as c on pg_inherits.inhrelid = c.oid
        inner join pg_class as parent on pg_inherits.inhparent = parent.oid
        where parent.relnamespace = 'raw'::regnamespace
        """
    )
    # FOR VALUES IN ('2025-07')
    return {oid: (table, bound.split("'")[1]) for oid, table, bound in found}


# --- its files ------------------------------------------------------------------------------------

FILE = """
    select
        a.source, a.dataset, a.period, a.batch_id, r.file_name, r.sha256, r.landing_path,
        r.corrections_path, r.contract_version, r.maturity, r.data_label,
        a.rows_loaded, a.rows_quarantined,
        (
            select count(*) from audit.rule_result as x where x.subject_id = a.batch_id
        ) as rules_run,
        (
            select count(*) from audit.rule_result as x
            where x.subject_id = a.batch_id and x.result <> 'pass'
        ) as rules_failed
    from audit.batch_accepted as a
    inner join audit.receipt as r on a.batch_id = r.batch_id
    where a.source || '__' || a.dataset = %s and a.period = %s
"""


def _file(
    connection: psycopg.Connection,
    key: tuple[str, str],
    release: dict[str, Any],
    rows: dict[str, list[int]],
) -> File:
    found = _one(connection, FILE, key)
    assert found is not None, f"raw holds {key}, which no batch was accepted for"
    of_release = {batch["batch_id"] for batch in release["batches"]}
    return File(
        **found,
        is_purged=not (get_settings().landing / found["landing_path"]).exists(),
        is_of_release=found["batch_id"] in of_release,
        rows=rows,
    )


def ranges(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of consecutive numbers, which come in order."""
    first = last = None
    for number in numbers:
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last
