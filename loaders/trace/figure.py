"""From one published figure to the files and row numbers that it was counted from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from loaders.periods import months_of
from loaders.postgres.database import Role, connect
from loaders.settings import get_settings
from loaders.trace.counted import DELIVERED, CountedRows, compiled_models, counted_rows
from loaders.trace.published import TOTAL, Query, cell_of, one_row, release_of, verdict_of

#: Breakdowns by what a commune is, not by what its people are: other communes, not other rows.
UNIT_BREAKDOWNS = ("urban_rural", "zone")


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
    #: Why it was taken in although it was held: who approved it and why.
    admitted: str | None
    #: The same as long as its rows in raw are.
    rows_id: str
    #: False when other rows have taken its place since the release.
    is_of_release: bool
    #: Part of the figure → numbers of its rows; data rows, counted from 1 below the header.
    rows: dict[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """Numerator, denominator or delivered value: as published, and as added up again."""

    name: str
    published: Decimal | None
    traced: Decimal | None
    #: Hidden for disclosure protection: there is nothing to hold it against.
    is_hidden: bool = False

    @property
    def is_whole(self) -> bool:
        return self.is_hidden or (self.published or 0) == (self.traced or 0)


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
            "release": {
                k: v for k, v in self.release.items() if k not in ("batches", "definitions")
            },
            "definition": (self.release["definitions"] or {}).get(self.cell["kpi_id"]),
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
        release = release_of(connection, query.release_id)
        cell = cell_of(connection, query, release["release_seq"])
        kpi = one_row(connection, "select * from marts.dim_kpi where kpi_id = %s", (query.kpi_id,))
        verdict = verdict_of(connection, cell, release["release_seq"])
    is_withheld = bool(cell["is_suppressed"]) and not show_protected
    parts, rows = ([], {}) if is_withheld else _counted(cell, release)
    with connect(Role.PUBLISHER) as connection:
        connection.execute("set transaction read only")
        files = [_file(connection, key, release, found) for key, found in sorted(rows.items())]
    return Trace(release, cell, kpi or {}, verdict, parts, files, is_withheld)


# --- its rows -------------------------------------------------------------------------------------

Rows = dict[tuple[str, str], dict[str, list[int]]]


def _counted(cell: dict[str, Any], release: dict[str, Any]) -> tuple[list[Part], Rows]:
    """What the figure's parts add up to, and (raw table, period) → part → row numbers."""
    is_delivered = cell["numerator"] is None and cell["denominator"] is None
    model = f"kpi__{DELIVERED if is_delivered else cell['kpi_id']}"
    models = compiled_models(release["period"], _months(release))
    with connect(Role.TRANSFORMER) as connection:
        connection.execute("set transaction read only")
        units = [cell["unit_code"]] if is_delivered else _members(connection, cell)
        by_people = is_delivered or cell["breakdown"] not in (TOTAL, *UNIT_BREAKDOWNS)
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
    parts = []
    for name in query.parts:
        published = cell["value" if name == "final" else name]
        is_hidden = bool(cell["is_suppressed"]) and published is None
        parts.append(Part(name, published, amounts[name], is_hidden))
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
        a.source, a.dataset, a.period, a.batch_id, a.rows_id, r.file_name, r.sha256,
        r.landing_path, r.corrections_path, r.contract_version, r.maturity, r.data_label,
        a.rows_loaded, a.rows_quarantined,
        coalesce((judged.details ->> 'rules_run')::bigint, 0) as rules_run,
        coalesce((judged.details ->> 'rules_failed')::bigint, 0) as rules_failed,
        judged.reason as admitted
    from audit.batch_accepted as a
    inner join audit.receipt as r on a.batch_id = r.batch_id
    inner join audit.batch_result as judged on a.result_id = judged.id
    where a.source || '__' || a.dataset = %s and a.period = %s
"""


def _file(
    connection: psycopg.Connection,
    key: tuple[str, str],
    release: dict[str, Any],
    rows: dict[str, list[int]],
) -> File:
    found = one_row(connection, FILE, key)
    assert found is not None, f"raw holds {key}, which no batch was accepted for"
    of_release = {
        (batch["batch_id"], batch.get("rows_id", batch["batch_id"])) for batch in release["batches"]
    }
    return File(
        **found,
        is_purged=not (get_settings().landing / found["landing_path"]).exists(),
        is_of_release=(found["batch_id"], found["rows_id"]) in of_release,
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
