"""The ledgers of releases: which rows of each mart came, went or changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from loaders.publication.content import Columns, PublishError, columns_of, fix_text_form

# What a ledger adds to the columns of its mart.
OWN_COLUMNS = {"release_seq", "change", "cause", "causes"}


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


def append_differences(
    connection: psycopg.Connection, ledger: Ledger, release_seq: int, causes: dict[str, Any]
) -> dict[str, int]:
    """Add the rows that differ from the latest published state; their number by kind of change."""
    types = {
        name: type_
        for name, type_ in columns_of(connection, "publication", ledger.table).items()
        if name not in OWN_COLUMNS
    }
    columns = list(types)
    _check_fit(ledger, types, columns_of(connection, "candidate", ledger.mart))
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
                -- by their bytes: what was 1.0 and is now 1.00 is printed otherwise
                or record_image_ne(row({offered_values}), row({published_values}))
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


def _check_fit(ledger: Ledger, kept: Columns, offered: Columns) -> None:
    """The mart has the columns of its ledger, in the same types, so that its bytes come back."""
    missing, unknown = sorted(set(kept) - set(offered)), sorted(set(offered) - set(kept))
    others = [
        f"{name} is {offered[name]} instead of {kept[name]}"
        for name in kept
        if name in offered and offered[name] != kept[name]
    ]
    if missing or unknown or others:
        raise PublishError(
            f"candidate.{ledger.mart} does not fit publication.{ledger.table}: missing {missing}, "
            f"unknown {unknown}, other types {others}; a change of columns needs a migration in "
            "sql/"
        )


def append_rows(connection: psycopg.Connection, mart: str, release_seq: int, exists: bool) -> None:
    """Keep which rows of a mart without a ledger of its own came and went, copy by copy.

    Args:
        exists: false for a mart that the release does not hold any more.
    """
    fix_text_form(connection)
    offered = sql.SQL("select to_jsonb(t)::text as line from candidate.{} as t").format(
        sql.Identifier(mart)
    )
    statement = sql.SQL(
        """
        with kept as (
            select content::text as line, sum(copies) as copies
            from publication.mart_row
            where mart = %(mart)s
            group by content::text
        ),
        offered as (
            select line, count(*) as copies from ({offered}) as t group by line
        )
        insert into publication.mart_row (release_seq, mart, content, copies)
        select
            %(release_seq)s, %(mart)s, line::jsonb,
            coalesce(offered.copies, 0) - coalesce(kept.copies, 0)
        from offered full join kept using (line)
        where coalesce(offered.copies, 0) <> coalesce(kept.copies, 0)
        """
    ).format(offered=offered if exists else sql.SQL("select null::text as line where false"))
    connection.execute(statement, {"mart": mart, "release_seq": release_seq})


def kept_marts(connection: psycopg.Connection) -> set[str]:
    """The marts of which :func:`append_rows` has kept rows."""
    rows = connection.execute("select distinct mart from publication.mart_row").fetchall()
    return {mart for (mart,) in rows}


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
