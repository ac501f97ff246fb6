"""The ledgers of releases: which rows of each mart came, went or changed, and why."""

from __future__ import annotations

import psycopg
from psycopg import sql

from loaders.audit.digest import fix_text_form
from loaders.publication.compare import (
    VALUES,
    VERDICTS,
    Ledger,
    listing,
    value_differences,
    verdict_differences,
)
from loaders.publication.content import Columns, PublishError, columns_of
from loaders.publication.history import rows_at
from loaders.publication.reasons import Reasons

# What a ledger adds to the columns of its mart.
OWN_COLUMNS = {"release_seq", "change", "cause", "causes"}


def append_values(
    connection: psycopg.Connection, release_seq: int, reasons: list[Reasons]
) -> dict[str, int]:
    """Add the cells that differ from the latest published state; their number by kind of change.

    Raises:
        PublishError: the candidate's columns or keys do not fit the ledger.
    """
    columns, old, new = _states(connection, VALUES, release_seq)
    differences = value_differences(columns, old, new, reasons)
    return _append(connection, VALUES, release_seq, columns, differences, has_cause=True)


def append_verdicts(
    connection: psycopg.Connection, release_seq: int, reasons: list[Reasons]
) -> dict[str, int]:
    """The same for verdicts, after the values: a verdict changes for the reasons of its values."""
    columns, old, new = _states(connection, VERDICTS, release_seq)
    value_changes = sql.SQL(
        """
        select
            kpi_id, data_label, series, boundary, unit_code, unit_id, period, causes,
            null::text as evidence
        from publication.kpi_value
        where release_seq = {} and breakdown = 'total'
        """
    ).format(sql.Literal(release_seq))
    differences = verdict_differences(columns, old, new, reasons, value_changes)
    return _append(connection, VERDICTS, release_seq, columns, differences, has_cause=False)


def unexplained(connection: psycopg.Connection, release_seq: int) -> dict[str, int]:
    """KPI → figures and verdicts of a release that no recorded cause explains."""
    rows = connection.execute(
        """
        select kpi_id, count(*)
        from (
            select kpi_id, release_seq, causes from publication.kpi_value
            union all
            select kpi_id, release_seq, causes from publication.kpi_verdict
        ) as changed
        where release_seq = %s and 'unexplained' = any(causes)
        group by kpi_id
        order by kpi_id
        """,
        (release_seq,),
    ).fetchall()
    return dict(rows)


def _states(
    connection: psycopg.Connection, ledger: Ledger, release_seq: int
) -> tuple[Columns, sql.Composable, sql.Composable]:
    """The mart's columns, a query for what is published, a query for what is offered."""
    columns = {
        name: type_
        for name, type_ in columns_of(connection, "publication", ledger.table).items()
        if name not in OWN_COLUMNS
    }
    _check_fit(ledger, columns, columns_of(connection, "candidate", ledger.mart))
    old = rows_at(release_seq - 1, ledger.mart, columns)
    new = sql.SQL("select {} from candidate.{}").format(
        listing("{c}", columns), sql.Identifier(ledger.mart)
    )
    return columns, old, new


def _append(
    connection: psycopg.Connection,
    ledger: Ledger,
    release_seq: int,
    columns: Columns,
    differences: sql.Composable,
    *,
    has_cause: bool,
) -> dict[str, int]:
    statement = sql.SQL(
        """
        with added as (
            insert into publication.{table} (release_seq, {columns}, change, {cause}causes)
            select {release_seq}, {columns}, change, {first_cause}causes
            from ({differences}) as differences
            returning change
        )
        select change, count(*) from added group by change
        """
    ).format(
        table=sql.Identifier(ledger.table),
        columns=listing("{c}", columns),
        cause=sql.SQL("cause, " if has_cause else ""),
        first_cause=sql.SQL("causes[1], " if has_cause else ""),
        release_seq=sql.Literal(release_seq),
        differences=differences,
    )
    try:
        rows = connection.execute(statement).fetchall()
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
