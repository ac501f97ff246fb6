"""The ledger of releases: what each one changed, and the hash of what it contains."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql


class PublishError(RuntimeError):
    """Nothing was published; the message says why."""


@dataclass(frozen=True)
class Ledger:
    """A mart whose differences are kept release by release."""

    mart: str
    table: str
    key: tuple[str, ...]
    has_cause: bool


LEDGERS = (
    Ledger(
        "fct_kpi_value",
        "kpi_value",
        (
            *("kpi_id", "data_label", "series", "period", "boundary", "unit_code"),
            *("breakdown", "breakdown_value"),
        ),
        has_cause=True,
    ),
    Ledger(
        "fct_kpi_verdict",
        "kpi_verdict",
        ("kpi_id", "data_label", "series", "boundary", "unit_code", "unit_id"),
        has_cause=False,
    ),
)


def content(
    connection: psycopg.Connection, schema: str, table: str, *, release_seq: int | None = None
) -> dict[str, Any]:
    """Row count and sha256 of a table: of its CSV with header, rows in the order of their text.

    The same bytes as `copy (select t.* from <table> as t order by t::text collate "C") to stdout
    (format csv, header)` with time zone UTC: anybody can recompute it.
    """
    connection.execute("set local timezone to 'UTC'")
    connection.execute("set local datestyle to 'ISO'")
    only = sql.SQL("")
    if release_seq is not None:
        only = sql.SQL("where t.release_seq = {}").format(sql.Literal(release_seq))
    statement = sql.SQL(
        'copy (select t.* from {} as t {} order by t::text collate "C") '
        "to stdout (format csv, header)"
    ).format(sql.Identifier(schema, table), only)
    digest = hashlib.sha256()
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for block in copy:
                digest.update(block)
        rows = cursor.rowcount
    return {"rows": rows, "sha256": digest.hexdigest()}


def tables(connection: psycopg.Connection, schema: str) -> list[str]:
    """The names of the tables in a schema."""
    rows = connection.execute(
        "select tablename from pg_tables where schemaname = %s order by tablename", (schema,)
    ).fetchall()
    return [name for (name,) in rows]


def append_differences(
    connection: psycopg.Connection, ledger: Ledger, release_seq: int, causes: dict[str, Any]
) -> dict[str, int]:
    """Add the rows that differ from the latest published state; their number by kind of change."""
    types = _columns(connection, "publication", ledger.table)
    columns = [name for name in types if name not in {"release_seq", "change", "cause"}]
    offered = _columns(connection, "candidate", ledger.mart)
    missing, unknown = sorted(set(columns) - set(offered)), sorted(set(offered) - set(columns))
    if missing or unknown:
        raise PublishError(
            f"candidate.{ledger.mart} does not fit publication.{ledger.table}: missing {missing}, "
            f"unknown {unknown}; a new column needs a migration in sql/"
        )
    named = {*ledger.key, "unit_level"}
    values = [name for name in columns if name not in ledger.key]

    def listing(template: str, names: list[str] | tuple[str, ...]) -> sql.Composed:
        return sql.SQL(", ").join(
            sql.SQL(template).format(c=sql.Identifier(name), t=sql.SQL(types[name]))  # type: ignore[arg-type]
            for name in names
        )

    statement = sql.SQL(
        """
        with latest as (
            select distinct on ({key}) {columns}, change
            from publication.{table}
            order by {key}, release_seq desc
        ),
        published as (
            select {columns} from latest where change <> 'withdrawn'
        ),
        offered as (
            select {cast_columns} from candidate.{mart}
        ),
        differences as (
            select
                {difference_columns},
                case
                    when p.kpi_id is null then 'new'
                    when o.kpi_id is null then 'withdrawn'
                    else 'revised'
                end as change,
                {cause} as cause
            from offered as o
            full join published as p on ({offered_key}) = ({published_key})
            where
                p.kpi_id is null
                or o.kpi_id is null
                or ({offered_values}) is distinct from ({published_values})
        ),
        added as (
            insert into publication.{table} (release_seq, {columns}, change {cause_column})
            select %(release_seq)s, {columns}, change {cause_column} from differences
            returning change
        )
        select change, count(*) from added group by change
        """
    ).format(
        key=listing("{c}", ledger.key),
        columns=listing("{c}", columns),
        cast_columns=listing("{c}::{t} as {c}", columns),
        # A withdrawn row names what is gone and carries no figure.
        difference_columns=sql.SQL(", ").join(
            sql.SQL("coalesce(o.{c}, p.{c}) as {c}" if name in named else "o.{c}").format(
                c=sql.Identifier(name)
            )
            for name in columns
        ),
        offered_key=listing("o.{c}", ledger.key),
        offered_values=listing("o.{c}", values),
        published_key=listing("p.{c}", ledger.key),
        published_values=listing("p.{c}", values),
        cause=_CAUSE if ledger.has_cause else sql.SQL("null::text"),
        cause_column=sql.SQL(", cause" if ledger.has_cause else ""),
        table=sql.Identifier(ledger.table),
        mart=sql.Identifier(ledger.mart),
    )
    try:
        rows = connection.execute(statement, {"release_seq": release_seq, **causes}).fetchall()
    except psycopg.errors.UniqueViolation as error:
        raise PublishError(f"candidate.{ledger.mart} has two rows of one key: {error}") from error
    except psycopg.errors.NotNullViolation as error:
        raise PublishError(f"candidate.{ledger.mart} has an empty key: {error}") from error
    return {"new": 0, "revised": 0, "withdrawn": 0} | dict(rows)


# The most specific reason that holds.
_CAUSE = sql.SQL(
    """
    case
        when p.kpi_id is null then 'new_data'
        when o.kpi_id is null
            then case when p.period = any(%(restated)s) then 'restated_file' else 'not_computed' end
        when (o.denominator_id, o.denominator_vintage)
            is distinct from (p.denominator_id, p.denominator_vintage) then 'denominator_vintage'
        when (o.unit_id, o.unit_level) is distinct from (p.unit_id, p.unit_level) then 'boundary'
        when (o.numerator, o.denominator, o.value, o.contributors)
            is distinct from (p.numerator, p.denominator, p.value, p.contributors)
            and o.is_suppressed is not distinct from p.is_suppressed
            then case
                when o.period = any(%(restated)s) then 'restated_file'
                when %(code_changed)s then 'definition'
                else 'new_data'
            end
        when o.is_suppressed is distinct from p.is_suppressed then 'disclosure_protection'
        when o.maturity is distinct from p.maturity then 'maturity'
        else 'caveat'
    end
    """
)


def _columns(connection: psycopg.Connection, schema: str, table: str) -> dict[str, str]:
    rows = connection.execute(
        """
        select a.attname, format_type(a.atttypid, a.atttypmod)
        from pg_attribute as a
        where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped
        order by a.attnum
        """,
        (f"{schema}.{table}",),
    ).fetchall()
    return dict(rows)
