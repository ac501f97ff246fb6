"""Quarantine: every row of a batch that breaks a row rule, with the rule and its reason."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql

from loaders.quality.runner import RuleOutcome
from loaders.stages.load import Batch
from loaders.stages.refused import QUARANTINE_COLUMNS


def quarantine(
    connection: psycopg.Connection, batch: Batch, outcomes: Sequence[RuleOutcome]
) -> str:
    """Put every failing row of these rules into quarantine, as the gate's own queries find them.

    One statement: what the conditions name is found in one scan of the stage table, and its rows
    are looked up once for all rules.

    Returns:
        Where these rows are in the stage table, as PostgreSQL writes an array of ``tid``: whoever
        takes them out has not to look for them again.

    Raises:
        AssertionError: a rule whose rows in quarantine are not as many as failed.
    """
    if not outcomes:
        return "{}"
    shown = [column.name for column in batch.dataset.loaded_columns if not column.is_personal]
    # The failing queries are Great Expectations' text: their percent signs are no placeholders, so
    # every value goes in as a literal and the statement runs without parameters.
    statement = sql.SQL(
        "WITH failing AS ({failing}), rule (number, {about}) AS (VALUES {rules}),"
        # The rules stand in this join, too, so that PostgreSQL takes the failing rows for few.
        " s AS MATERIALIZED (SELECT r.number AS _rule, t.ctid AS _place, t.*"
        " FROM failing AS f JOIN rule AS r ON r.number = f.rule"
        " JOIN {stage} AS t ON t._row_number = f._row_number),"
        ' written AS (INSERT INTO quarantine."row" ({columns})'
        " SELECT {head}, s._sheet, s._row_number, r.column_name, r.rule_id, r.rule_version,"
        " r.severity, r.dimension, r.reason_vi, r.reason_en, {value}, {data}"
        " FROM s JOIN rule AS r ON r.number = s._rule RETURNING rule_id)"
        " SELECT (SELECT array_agg(DISTINCT _place)::text FROM s),"
        " (SELECT jsonb_object_agg(w.rule_id, w.rows)"
        " FROM (SELECT rule_id, count(*) AS rows FROM written GROUP BY rule_id) AS w)"
    ).format(
        failing=_failing(batch, outcomes),
        about=sql.SQL(", ").join(map(sql.Identifier, _ABOUT)),
        rules=sql.SQL(", ").join(
            sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, (number, *_about(outcome)))))
            for number, outcome in enumerate(outcomes)
        ),
        columns=sql.SQL(", ").join(map(sql.Identifier, QUARANTINE_COLUMNS)),
        head=sql.SQL(", ").join(map(sql.Literal, batch.head)),
        value=_offending_value(outcomes, shown),
        data=sql.SQL("jsonb_build_object({})").format(
            sql.SQL(", ").join(
                sql.SQL("{}, s.{}").format(sql.Literal(name), sql.Identifier(name))
                for name in shown
            )
        ),
        stage=_stage(batch),
    )
    row = connection.execute(statement.as_string(connection).encode()).fetchone()
    assert row is not None
    places, written = row[0] or "{}", row[1] or {}
    for outcome in outcomes:
        rule_id = outcome.rule.meta.id
        if written.get(rule_id, 0) != outcome.rows_failing:
            raise AssertionError(
                f"rule {rule_id}: {outcome.rows_failing} rows failed, "
                f"{written.get(rule_id, 0)} went to quarantine"
            )
    return places


_ABOUT = (
    *("column_name", "rule_id", "rule_version", "severity", "dimension"),
    *("reason_vi", "reason_en"),
)


def _about(outcome: RuleOutcome) -> tuple[object, ...]:
    """What `_ABOUT` names, of one rule."""
    meta = outcome.rule.meta
    return (
        *(meta.column, meta.id, meta.version, outcome.rule.severity, meta.dimension),
        *(meta.description_vi, meta.description_en),
    )


def _stage(batch: Batch) -> sql.Identifier:
    return sql.Identifier("stage", batch.stage_table)


def _failing(batch: Batch, outcomes: Sequence[RuleOutcome]) -> sql.Composed:
    """SELECT of number of the rule and row number, each pair once."""
    conditions: list[sql.SQL] = []
    cases, queries = [], []
    for number, outcome in enumerate(outcomes):
        if outcome.failing_rows is not None:
            queries.append(
                sql.SQL("SELECT DISTINCT {}, unnest({}::bigint[])").format(
                    sql.Literal(number), sql.Literal(list(outcome.failing_rows))
                )
            )
        elif outcome.failing_where:
            conditions.append(sql.SQL(f"({outcome.failing_where})"))
            cases.append(
                sql.SQL("CASE WHEN {} THEN {} END").format(conditions[-1], sql.Literal(number))
            )
        else:
            queries.append(
                sql.SQL("SELECT DISTINCT {}, _row_number FROM ({}) AS q").format(
                    sql.Literal(number), sql.SQL(outcome.failing_rows_sql or "")
                )
            )
    if conditions:
        queries.append(
            sql.SQL(
                "SELECT c.rule, c._row_number FROM (SELECT unnest(ARRAY[{}]) AS rule, _row_number"
                " FROM {} WHERE {}) AS c WHERE c.rule IS NOT NULL"
            ).format(sql.SQL(", ").join(cases), _stage(batch), sql.SQL(" OR ").join(conditions))
        )
    return sql.SQL("SELECT u.rule, u._row_number FROM ({}) AS u (rule, _row_number)").format(
        sql.SQL(" UNION ALL ").join(queries)
    )


def _offending_value(outcomes: Sequence[RuleOutcome], shown: Sequence[str]) -> sql.Composable:
    """The value in the rule's column, unless it is personal."""
    cases = [
        sql.SQL("WHEN {} THEN s.{}::text").format(sql.Literal(number), sql.Identifier(column))
        for number, outcome in enumerate(outcomes)
        if (column := outcome.rule.meta.column) in shown
    ]
    if not cases:
        return sql.SQL("NULL")
    return sql.SQL("CASE r.number {} END").format(sql.SQL(" ").join(cases))
