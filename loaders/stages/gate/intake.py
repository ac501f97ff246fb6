"""The intake gate: a loaded batch is judged and, if it passes, swapped into raw for its period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from loaders import audit
from loaders.contracts.derive import raw_table_ddl
from loaders.contracts.model import Dataset
from loaders.history import comparable_since, figures_of
from loaders.log import get_logger, log_context
from loaders.periods import end_of, school_year_of, start_of
from loaders.postgres.database import Role, connect, url
from loaders.quality import RuleOutcome, Suite, get_suite, run_suite
from loaders.stages.gate.results import write_rule_results
from loaders.stages.land import lock_month
from loaders.stages.load import Batch, is_accepted, read_batch, stage_table_name
from loaders.stages.records import GateResult


@dataclass(frozen=True)
class _Judgement:
    """What the intake rules say of a batch."""

    outcomes: list[RuleOutcome]
    hold_reasons: list[str]

    @property
    def failed(self) -> int:
        return sum(outcome.result != "pass" for outcome in self.outcomes)


def gate_intake(batch_id: str, run_id: str = "manual") -> GateResult:
    """Judge a loaded batch and, if it passes, swap it into raw for its month.

    Rows that break a row rule go to quarantine, all of them. A failing dataset rule of severity
    ``critical``, a rule that did not run, or too many quarantined rows hold the batch: the last
    good data stays. Everything happens in one transaction.
    """
    with connect(Role.LOADER) as connection:
        batch = read_batch(connection, batch_id)
        if is_accepted(connection, batch):
            return GateResult(batch_id, "unchanged", "the rows of this batch are in raw already")
        if not _stage_exists(connection, batch):
            raise LookupError(f"batch {batch_id} has no stage table: load it before the gate")
    dataset = batch.dataset
    context = {"source": dataset.source, "dataset": dataset.name, "period": batch.period}
    with log_context(**context, stage="gate", batch_id=batch_id, run_id=run_id):
        suite = get_suite("intake", dataset.raw_table)
        outcomes = run_suite(url(Role.LOADER), "stage", batch.stage_table, suite, _variables(batch))
        with connect(Role.LOADER) as connection:
            lock_month(connection, dataset, batch.period)
            result = _decide(connection, batch, suite, outcomes, run_id)
        get_logger().info(
            "gate", **{k: v for k, v in result.to_dict().items() if k != "subject_id"}
        )
        return result


def _variables(batch: Batch) -> dict[str, str]:
    """What ``$name`` in a suite's queries stands for."""
    source, dataset = batch.dataset.source, batch.dataset.name
    return {
        "period": batch.period,
        "period_start": start_of(batch.period).isoformat(),
        "period_end": end_of(batch.period).isoformat(),
        "raw_table": f'raw."{batch.dataset.raw_table}"',
        "school_year": school_year_of(batch.period),
        "source": source,
        "dataset": dataset,
        "data_label": batch.data_label,
        "since": comparable_since(source, dataset, batch.period),
    }


def _stage_exists(connection: psycopg.Connection, batch: Batch) -> bool:
    row = connection.execute(
        "select to_regclass(format('stage.%%I', %s::text)) is not null", (batch.stage_table,)
    ).fetchone()
    return bool(row and row[0])


def _decide(
    connection: psycopg.Connection,
    batch: Batch,
    suite: Suite,
    outcomes: list[RuleOutcome],
    run_id: str,
) -> GateResult:
    stage = sql.Identifier("stage", batch.stage_table)
    staged = _count(connection, stage)
    connection.execute(
        'DELETE FROM quarantine."row" WHERE batch_id = %s AND rule_id NOT LIKE %s',
        (batch.batch_id, "contract.%"),
    )
    by_contract = _quarantined(connection, batch)
    for outcome in outcomes:
        # A row that breaks a warning is counted and stays; only critical rows leave.
        if outcome.failing_rows_sql and outcome.rule.severity == "critical":
            _quarantine(connection, batch, outcome)
    quarantined = _quarantined(connection, batch)
    judgement = _Judgement(
        outcomes, _hold_reasons(batch, outcomes, quarantined, staged + by_contract)
    )
    write_rule_results(connection, "batch", batch.batch_id, suite, outcomes, run_id, batch)
    details = {"rules_run": len(outcomes), "rules_failed": judgement.failed}
    if judgement.hold_reasons:
        status, reason, loaded = "held", "; ".join(judgement.hold_reasons), 0
    else:
        status, reason = "accepted", None
        details |= {"figures": figures_of(connection, stage, suite.histories)}
        loaded = _swap(connection, batch)
        if loaded + quarantined != staged + by_contract:
            raise AssertionError(
                f"{staged + by_contract} rows read, {loaded} loaded, {quarantined} quarantined"
            )
    result = GateResult(
        batch.batch_id,
        status,  # type: ignore[arg-type]
        reason,
        loaded,
        quarantined,
        len(outcomes),
        judgement.failed,
    )
    audit.record_batch_result(
        connection,
        batch_id=batch.batch_id,
        source=batch.dataset.source,
        dataset=batch.dataset.name,
        period=batch.period,
        stage="gate",
        status=result.status,
        rows_read=staged + by_contract,
        rows_loaded=loaded,
        rows_quarantined=quarantined,
        reason=reason,
        details=details,
        run_id=run_id,
    )
    return result


def _count(connection: psycopg.Connection, table: sql.Identifier) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
    return row[0] if row else 0


def _quarantined(connection: psycopg.Connection, batch: Batch) -> int:
    row = connection.execute(
        'SELECT count(DISTINCT row_number) FROM quarantine."row" WHERE batch_id = %s',
        (batch.batch_id,),
    ).fetchone()
    return row[0] if row else 0


def _open_columns(dataset: Dataset) -> list[str]:
    return [column.name for column in dataset.loaded_columns if not column.is_personal]


def _quarantine(connection: psycopg.Connection, batch: Batch, outcome: RuleOutcome) -> None:
    """Every failing row of a rule, from Great Expectations' own query, without a cap."""
    meta = outcome.rule.meta
    shown = _open_columns(batch.dataset)
    value = (
        sql.SQL("s.{}::text").format(sql.Identifier(meta.column))
        if meta.column in shown
        else sql.SQL("NULL")
    )
    data = sql.SQL(", ").join(
        sql.SQL("{}, s.{}").format(sql.Literal(name), sql.Identifier(name)) for name in shown
    )
    # The failing query is Great Expectations' text: its percent signs are not placeholders, so
    # every value goes in as a literal and the statement runs without parameters.
    statement = sql.SQL(
        'INSERT INTO quarantine."row" (batch_id, source, dataset, period, file_sha256, sheet,'
        " row_number, column_name, rule_id, rule_version, severity, dimension, reason_vi,"
        " reason_en, offending_value, row_data)"
        " SELECT {head}, s._sheet, s._row_number, {rule}, {value}, jsonb_build_object({data})"
        " FROM {stage} s WHERE s._row_number IN (SELECT _row_number FROM ({failing}) f)"
    ).format(
        head=sql.SQL(", ").join(map(sql.Literal, batch.head)),
        rule=sql.SQL(", ").join(
            sql.Literal(item)
            for item in (
                meta.column,
                meta.id,
                meta.version,
                outcome.rule.severity,
                meta.dimension,
                meta.description_vi,
                meta.description_en,
            )
        ),
        value=value,
        data=data,
        stage=sql.Identifier("stage", batch.stage_table),
        failing=sql.SQL(outcome.failing_rows_sql or ""),
    )
    written = connection.execute(statement.as_string(connection).encode()).rowcount
    if written != outcome.rows_failing:
        raise AssertionError(
            f"rule {meta.id}: {outcome.rows_failing} rows failed, {written} went to quarantine"
        )


def _hold_reasons(
    batch: Batch, outcomes: Sequence[RuleOutcome], quarantined: int, read: int
) -> list[str]:
    reasons = []
    for outcome in outcomes:
        meta = outcome.rule.meta
        if outcome.result == "error":
            reasons.append(f"rule {meta.id} did not run: {outcome.observed}")
        elif (outcome.result, meta.kind, outcome.rule.severity) == ("fail", "dataset", "critical"):
            reasons.append(f"rule {meta.id}: {meta.description_en} (found {outcome.observed})")
    limit = batch.dataset.extension.max_quarantine_share
    if quarantined > limit * read:
        reasons.append(
            f"{quarantined} of {read} rows are in quarantine, more than {limit:.1%}; "
            "see the quarantine's reasons, ask the agency for a corrected file"
        )
    if read and quarantined == read:
        reasons.append("no row is left after quarantine")
    return reasons


def _swap(connection: psycopg.Connection, batch: Batch) -> int:
    """The cleaned stage table becomes the partition of its month; rows loaded."""
    dataset = batch.dataset
    stage = sql.Identifier("stage", batch.stage_table)
    raw = sql.Identifier("raw", dataset.raw_table)
    partition = f"{dataset.raw_table}__{batch.period.replace('-', '_')}"
    connection.execute(
        sql.SQL(
            'DELETE FROM {} s USING quarantine."row" q WHERE q.batch_id = {} '
            "AND q.row_number = s._row_number"
        ).format(stage, sql.Literal(batch.batch_id))
    )
    loaded = _count(connection, stage)
    period = sql.Literal(batch.period)
    # With this check in place ATTACH does not scan the table under its lock.
    connection.execute(
        sql.SQL(
            "ALTER TABLE {} ADD CONSTRAINT in_period CHECK (_period IS NOT NULL AND _period = {})"
        ).format(stage, period)
    )
    connection.execute(sql.SQL("ANALYZE {}").format(stage))
    connection.execute("SET LOCAL lock_timeout = '60s'")
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier("raw", partition)))
    connection.execute(sql.SQL("ALTER TABLE {} SET SCHEMA raw").format(stage))
    connection.execute(
        sql.SQL("ALTER TABLE {} RENAME TO {}").format(
            sql.Identifier("raw", batch.stage_table), sql.Identifier(partition)
        )
    )
    connection.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})").format(
            raw, sql.Identifier("raw", partition), period
        )
    )
    _drop_superseded(connection, batch)
    return loaded


def _drop_superseded(connection: psycopg.Connection, batch: Batch) -> None:
    """Stage tables of batches that were held or replaced for the same month."""
    others = connection.execute(
        "select batch_id from audit.receipt"
        " where source = %s and dataset = %s and period = %s and batch_id <> %s",
        (batch.dataset.source, batch.dataset.name, batch.period, batch.batch_id),
    ).fetchall()
    for (other,) in others:
        table = sql.Identifier("stage", stage_table_name(batch.dataset, other))
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))


def ensure_raw_tables(connection: psycopg.Connection, datasets: Sequence[Dataset]) -> None:
    """Create the raw tables that the contracts describe, before anything is loaded."""
    for dataset in datasets:
        for statement in raw_table_ddl(dataset):
            connection.execute(statement)
