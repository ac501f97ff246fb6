"""One row of `audit.rule_result` for each rule of a suite: proof that it ran, and what it found."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import psycopg
from psycopg import sql

from loaders.audit import Digest, rows_digest
from loaders.quality.runner import RuleOutcome
from loaders.quality.suites import Suite
from loaders.stages.load import Batch


def write_rule_results(
    connection: psycopg.Connection,
    subject_kind: str,
    subject_id: str,
    suite: Suite,
    outcomes: Sequence[RuleOutcome],
    run_id: str,
    gate_run: UUID,
    batch: Batch | None = None,
    period: str | None = None,
) -> None:
    """One row per rule of the suite: proof that each one ran.

    Args:
        gate_run: a new one for each run of the gate: a ``run_id`` may come twice.

    Raises:
        AssertionError: fewer outcomes than the suite has rules.
    """
    if len(outcomes) != len(suite.rules):
        raise AssertionError(f"{suite.name}: {len(outcomes)} of {len(suite.rules)} rules reported")
    for outcome in outcomes:
        meta = outcome.rule.meta
        connection.execute(
            "insert into audit.rule_result (subject_kind, subject_id, source, dataset, period,"
            " suite, rule_id, rule_version, severity, dimension, kind, owner, description_vi,"
            " description_en, rows_scanned, rows_failing, observed, expected, result, run_id,"
            " gate_run) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,"
            " %s, %s, %s, %s)",
            (
                subject_kind,
                subject_id,
                batch.dataset.source if batch else None,
                batch.dataset.name if batch else None,
                batch.period if batch else period,
                suite.name,
                meta.id,
                meta.version,
                outcome.rule.severity,
                meta.dimension,
                meta.kind,
                meta.owner,
                meta.description_vi,
                meta.description_en,
                outcome.rows_scanned,
                outcome.rows_failing,
                outcome.observed,
                outcome.rule.expected,
                outcome.result,
                run_id,
                gate_run,
            ),
        )


def rule_results_digest(
    connection: psycopg.Connection, subject_kind: str, subject_id: str, gate_run: UUID
) -> Digest:
    """Hash of the rule results of one run of the gate, in the order in which they were written."""
    return rows_digest(
        connection,
        sql.SQL(
            "select to_jsonb(t)::text from audit.rule_result as t"
            " where t.subject_kind = {} and t.subject_id = {} and t.gate_run = {} order by t.id"
        ).format(sql.Literal(subject_kind), sql.Literal(subject_id), sql.Literal(gate_run)),
    )


def quarantine_digest(
    connection: psycopg.Connection, batch_id: str, result_id: int | None = None
) -> Digest:
    """Hash of what was refused of a batch, without the times at which it was written.

    Args:
        result_id: the judgement (`audit.batch_result` of the gate); None while it is being made.
    """
    judged = sql.SQL("")
    if result_id is not None:
        judged = sql.SQL("and q.result_id = {}").format(sql.Literal(result_id))
    return rows_digest(
        connection,
        sql.SQL(
            # Offset keeps the queries apart, so that each text is made once: it is a sort key too.
            "select t.text from (select q.row_number, q.rule_id, q.column_name,"
            " (to_jsonb(q) - array['at', 'result_id'])::text as text from {table} as q"
            " where q.batch_id = {batch_id} {judged} offset 0) as t"
            ' order by t.row_number, t.rule_id collate "C", t.column_name collate "C",'
            ' t.text collate "C"'
        ).format(
            table=sql.Identifier("quarantine", "row" if result_id is None else "judged_row"),
            batch_id=sql.Literal(batch_id),
            judged=judged,
        ),
    )
