"""The intake gate: a loaded batch is judged and, if it passes, swapped into raw for its period."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from loaders import audit
from loaders.contracts.derive import raw_table_ddl
from loaders.contracts.model import Dataset
from loaders.log import get_logger, log_context
from loaders.periods import end_of, school_year_of, start_of
from loaders.postgres.database import Role, connect, url
from loaders.quality.history import comparable_since
from loaders.quality.runner import RuleOutcome, run_suite
from loaders.quality.suites import Suite, get_suite
from loaders.stages.gate.hold import Hold, find_approval, find_hold
from loaders.stages.gate.quarantine import quarantine
from loaders.stages.gate.readmission import find_readmissions, record_readmissions
from loaders.stages.gate.results import (
    quarantine_digest,
    rule_results_digest,
    write_rule_results,
)
from loaders.stages.gate.swap import clean, is_same_as_raw, row_count, swap
from loaders.stages.judgements import (
    IN_RAW,
    Rules,
    is_in_raw,
    judgements_since_acceptance,
    last_judgement,
    next_rows_id,
    reasons_to_judge,
)
from loaders.stages.land import lock_month
from loaders.stages.load import Batch, read_batch
from loaders.stages.records import GateResult


@dataclass(frozen=True)
class _Judgement:
    """What the intake rules say of a batch; ``why_again``: why it was judged once more."""

    outcomes: list[RuleOutcome]
    hold: Hold
    why_again: list[str]

    @property
    def failed(self) -> int:
        return sum(outcome.result != "pass" for outcome in self.outcomes)


def gate_intake(batch_id: str, run_id: str = "manual") -> GateResult:
    """Judge a loaded batch and, if it passes, swap it into raw for its month.

    Rows that break a row rule go to quarantine, all of them. A failing dataset rule of severity
    ``critical``, a rule that did not run, or too many quarantined rows hold the batch: the last
    good data stays, unless a person answered for what was found (`loaders/stages/approve.py`). A
    batch whose rows are in raw is judged again when suite or contract are no longer those that it
    was accepted by. Everything happens in one transaction.

    Raises:
        LookupError: the batch is not loaded.
        RuntimeError: the rows that the rules saw are no longer there: another run took them.
    """
    started = time.monotonic()
    with connect(Role.LOADER) as connection:
        batch = read_batch(connection, batch_id)
        dataset = batch.dataset
        suite = get_suite("intake", dataset.raw_table)
        reasons: list[str] = []
        if is_in_raw(connection, batch_id):
            reasons = reasons_to_judge(connection, batch_id, Rules.in_force(dataset, suite))
            if not reasons:
                return GateResult(batch_id, "unchanged", IN_RAW)
        judged = _stage_table(connection, batch)
        if judged is None:
            raise LookupError(f"batch {batch_id} has no stage table: load it before the gate")
        staged = row_count(connection, sql.Identifier("stage", batch.stage_table))
        connection.commit()  # the rules have a connection of their own, and may take minutes
        context = {"source": dataset.source, "dataset": dataset.name, "period": batch.period}
        with log_context(**context, stage="gate", batch_id=batch_id, run_id=run_id):
            stage = batch.stage_table
            outcomes = run_suite(url(Role.LOADER), "stage", stage, suite, _variables(batch), staged)
            lock_month(connection, dataset, batch.period)
            if _stage_table(connection, batch) != judged:
                raise RuntimeError(f"batch {batch_id} was loaded or judged by others meanwhile")
            result = _decide(connection, batch, suite, outcomes, staged, reasons, run_id, started)
            connection.commit()
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


def _stage_table(connection: psycopg.Connection, batch: Batch) -> int | None:
    """Which table holds the batch's rows. They stay as loaded: who loads again makes a new one."""
    row = connection.execute(
        "select to_regclass(format('stage.%%I', %s::text))::oid", (batch.stage_table,)
    ).fetchone()
    return row[0] if row else None


def _decide(
    connection: psycopg.Connection,
    batch: Batch,
    suite: Suite,
    outcomes: list[RuleOutcome],
    staged: int,
    why_again: list[str],
    run_id: str,
    started: float,
) -> GateResult:
    connection.execute(
        'DELETE FROM quarantine."row" WHERE batch_id = %s AND rule_id NOT LIKE %s',
        (batch.batch_id, "contract.%"),
    )
    by_contract = _quarantined(connection, batch)
    # A row that breaks a warning is counted and stays; only critical rows leave.
    places = quarantine(
        connection,
        batch,
        [o for o in outcomes if o.failing_rows_sql and o.rule.severity == "critical"],
    )
    quarantined = _quarantined(connection, batch)
    judgement = _Judgement(
        outcomes, find_hold(batch, outcomes, quarantined, staged + by_contract), why_again
    )
    gate_run = uuid4()
    write_rule_results(
        connection, "batch", batch.batch_id, suite, outcomes, run_id, gate_run, batch
    )
    rules = Rules.in_force(batch.dataset, suite)
    details = _proof(connection, batch, rules, judgement, gate_run)
    readmissions = []
    approval = find_approval(connection, batch, judgement.hold)
    if judgement.hold.reason and approval is None:
        status, reason, loaded = "held", judgement.hold.reason, 0
        details["hold"] = judgement.hold.to_details()
        if why_again:
            reason += (
                f"; judged again because {', '.join(why_again)}: the rows that were accepted "
                "before stay in raw"
            )
    else:
        status = "accepted"
        reason = f"judged again because {', '.join(why_again)}" if why_again else None
        if approval:
            details["approval"] = approval["id"]
            said = f"approved by {approval['decided_by']} ({approval['reason']})"
            reason = "; ".join(filter(None, (f"{said}: {judgement.hold.reason}", reason)))
        earlier = judgements_since_acceptance(connection, batch.dataset, batch.period)
        details["figures"] = {
            outcome.rule.history.name: outcome.figures
            for outcome in outcomes
            if outcome.rule.history
        }
        loaded = _accept(connection, batch, staged, places, rules, details)
        if loaded + quarantined != staged + by_contract:
            raise AssertionError(
                f"{staged + by_contract} rows read, {loaded} loaded, {quarantined} quarantined"
            )
        readmissions = find_readmissions(connection, batch, rules, earlier, gate_run)
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
        seconds=time.monotonic() - started,
    )
    record_readmissions(connection, readmissions, run_id)
    return result


def _proof(
    connection: psycopg.Connection,
    batch: Batch,
    rules: Rules,
    judgement: _Judgement,
    gate_run: UUID,
) -> dict[str, Any]:
    """By which rules the batch was judged, and the hashes of what they found and refused."""
    refused = quarantine_digest(connection, batch.batch_id)
    results = rule_results_digest(connection, "batch", batch.batch_id, gate_run)
    if results.rows != len(judgement.outcomes):
        raise AssertionError(f"{results.rows} of {len(judgement.outcomes)} rule results written")
    proof = {
        **asdict(rules),
        "gate_run": gate_run,
        "rules_run": len(judgement.outcomes),
        "rules_failed": judgement.failed,
        "rule_results_sha256": results.sha256,
        "quarantine_rows": refused.rows,
        "quarantine_sha256": refused.sha256,
    }
    return proof | ({"judged_again": judgement.why_again} if judgement.why_again else {})


def _accept(
    connection: psycopg.Connection,
    batch: Batch,
    staged: int,
    places: str,
    rules: Rules,
    details: dict[str, Any],
) -> int:
    """Swap the batch into raw; rows loaded. ``details`` gets the id of these rows."""
    before = last_judgement(connection, batch.batch_id, accepted=True)
    loaded = staged - clean(connection, batch, places)
    if before is not None:
        same = is_in_raw(connection, batch.batch_id) and is_same_as_raw(connection, batch)
        refused = details["quarantine_sha256"]
        details["rows_id"] = before.rows_id if same else next_rows_id(before, rules, refused)
    swap(connection, batch)
    return loaded


def _quarantined(connection: psycopg.Connection, batch: Batch) -> int:
    row = connection.execute(
        'SELECT count(DISTINCT row_number) FROM quarantine."row" WHERE batch_id = %s',
        (batch.batch_id,),
    ).fetchone()
    return row[0] if row else 0


def ensure_raw_tables(connection: psycopg.Connection, datasets: Sequence[Dataset]) -> None:
    """Create the raw tables that the contracts describe, before anything is loaded."""
    for dataset in datasets:
        for statement in raw_table_ddl(dataset):
            connection.execute(statement)
