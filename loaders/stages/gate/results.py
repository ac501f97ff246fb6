"""One row of `audit.rule_result` for each rule of a suite: proof that it ran, and what it found."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from loaders.quality import RuleOutcome, Suite
from loaders.stages.load import Batch


def write_rule_results(
    connection: psycopg.Connection,
    subject_kind: str,
    subject_id: str,
    suite: Suite,
    outcomes: Sequence[RuleOutcome],
    run_id: str,
    batch: Batch | None = None,
    period: str | None = None,
) -> None:
    """One row per rule of the suite: proof that each one ran.

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
            " description_en, rows_scanned, rows_failing, observed, expected, result, run_id)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,"
            " %s)",
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
                outcome.expected,
                outcome.result,
                run_id,
            ),
        )
