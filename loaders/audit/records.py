"""Rows of the audit tables, each written with the event that vouches for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from loaders.audit.chain import append_json, dumps

RECEIPT_EVENT = "receipt.recorded"
BATCH_EVENT = "batch.result"
BUILD_EVENT = "build.computed"
RELEASE_EVENT = "release.published"
READMISSION_EVENT = "rows.readmitted"
PURGE_EVENT = "landing.purged"
RESTORE_EVENT = "landing.restored"
APPROVAL_EVENT = "approval.recorded"
SCHEDULE_EVENT = "schedule.recorded"
#: What the release gate says of a candidate: nothing failed, a person must answer for warnings,
#: or it cannot be published.
GATE_PASSED, GATE_WAITING, GATE_HELD = (
    "gate.release.passed",
    "gate.release.waiting",
    "gate.release.held",
)
# Tables whose rows are repeated, whole, in the event that was appended with them.
VOUCHED_ROWS = {
    RECEIPT_EVENT: ("audit", "receipt", "batch_id"),
    BATCH_EVENT: ("audit", "batch_result", "id"),
    BUILD_EVENT: ("audit", "kpi_build", "id"),
    RELEASE_EVENT: ("publication", "release", "release_seq"),
    READMISSION_EVENT: ("audit", "readmission", "id"),
    APPROVAL_EVENT: ("audit", "approval", "id"),
    SCHEDULE_EVENT: ("audit", "delivery_schedule", "id"),
}


def insert_receipt(
    connection: psycopg.Connection,
    *,
    batch_id: str,
    source: str,
    dataset: str,
    period: str,
    file_name: str,
    landing_path: str,
    sha256: str,
    size_bytes: int,
    data_label: Literal["real", "sample"],
    maturity: Literal["provisional", "final"],
    contract_version: str | None = None,
    contract_hash: str | None = None,
    code_version: str | None = None,
    run_id: str | None = None,
    control_totals: Mapping[str, Any] | None = None,
    corrections_path: str | None = None,
    corrections_sha256: str | None = None,
) -> bool:
    """Record a landed file and its event. False when this batch has its receipt already."""
    values = {
        "batch_id": batch_id,
        "source": source,
        "dataset": dataset,
        "period": period,
        "file_name": file_name,
        "landing_path": landing_path,
        "sha256": sha256,
        "size_bytes": size_bytes,
        "data_label": data_label,
        "maturity": maturity,
        "contract_version": contract_version,
        "contract_hash": contract_hash,
        "code_version": code_version,
        "run_id": run_id,
        "control_totals": _jsonb(control_totals),
        "corrections_path": corrections_path,
        "corrections_sha256": corrections_sha256,
    }
    return insert_vouched(connection, RECEIPT_EVENT, values, on_conflict="do nothing")


def record_batch_result(
    connection: psycopg.Connection,
    *,
    batch_id: str | None,
    source: str,
    dataset: str,
    period: str,
    stage: Literal["land", "load", "gate"],
    status: str,
    rows_read: int | None = None,
    rows_loaded: int | None = None,
    rows_quarantined: int | None = None,
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    seconds: float | None = None,
) -> None:
    """Record the outcome of a stage and its event, in the transaction of what it records."""
    values = {
        "batch_id": batch_id,
        "source": source,
        "dataset": dataset,
        "period": period,
        "stage": stage,
        "status": status,
        "rows_read": rows_read,
        "rows_loaded": rows_loaded,
        "rows_quarantined": rows_quarantined,
        "reason": reason,
        "details": _jsonb(details),
        "run_id": run_id,
        "seconds": seconds,
    }
    insert_vouched(connection, BATCH_EVENT, values)


def insert_vouched(
    connection: psycopg.Connection,
    kind: str,
    values: Mapping[str, Any],
    on_conflict: str | None = None,
) -> bool:
    """Insert a row into the table of this kind of event, and the event that repeats the row.

    False, and no event, when `on_conflict` left the row out.
    """
    schema, table, _ = VOUCHED_ROWS[kind]
    connection.execute("set local timezone to 'UTC'")  # the text of times is part of the record
    statement = sql.SQL(
        "insert into {} as t ({}) values ({}) {} returning to_jsonb(t)::text"
    ).format(
        sql.Identifier(schema, table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join([sql.Placeholder()] * len(values)),
        sql.SQL(f"on conflict {on_conflict}" if on_conflict else ""),
    )
    row = connection.execute(statement, list(values.values())).fetchone()
    if row is None:
        return False
    # As text: Python's floats would round the figures of the row.
    append_json(connection, kind, f'{{"row": {row[0]}}}')
    return True


def _jsonb(value: Mapping[str, Any] | None) -> Jsonb | None:
    if value is None:
        return None
    return Jsonb(value, dumps=dumps)
