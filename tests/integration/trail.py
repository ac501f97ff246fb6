"""A small audit trail, written through the functions that the stages use."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from loaders import audit
from tests.quality_pages import FILE

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")


def receive(
    connection: psycopg.Connection,
    dataset: str,
    period: str,
    batch_id: str,
    *,
    at: datetime | None = None,
) -> None:
    """A landed file of source health."""
    values = {
        "source": "health",
        "dataset": dataset,
        "period": period,
        "batch_id": batch_id,
        "file_name": f"{dataset}_{period}.xlsx",
        "landing_path": batch_id,
        "sha256": FILE,
        "size_bytes": 1,
        "data_label": "sample",
        "maturity": "final",
        "landed_at": at or datetime(2025, 8, 4, 9, tzinfo=VIETNAM),
    }
    audit.insert_vouched(connection, audit.RECEIPT_EVENT, values)


def judge(
    connection: psycopg.Connection,
    dataset: str,
    period: str,
    batch_id: str | None,
    status: str,
    *,
    read: int | None = None,
    quarantined: int | None = None,
    reason: str | None = None,
) -> None:
    """The latest result of a period: of the intake gate, or of `land` when nothing came."""
    audit.record_batch_result(
        connection,
        batch_id=batch_id,
        source="health",
        dataset=dataset,
        period=period,
        stage="land" if batch_id is None else "gate",
        status=status,
        rows_read=read,
        rows_loaded=(read or 0) - (quarantined or 0) if status == "accepted" else None,
        rows_quarantined=quarantined,
        reason=reason,
    )


def refuse_row(
    connection: psycopg.Connection, dataset: str, period: str, batch_id: str, number: int, **of: Any
) -> None:
    """A row in quarantine."""
    row = {
        "batch_id": batch_id,
        "source": "health",
        "dataset": dataset,
        "period": period,
        "file_sha256": FILE,
        "row_number": number,
        "rule_id": "staff.once",
        "rule_version": 1,
        "severity": "critical",
        "dimension": "uniqueness",
        "reason_vi": "Lặp",
        "reason_en": "Twice",
        **of,
    }
    insert(connection, sql.Identifier("quarantine", "row"), row)


def insert(connection: psycopg.Connection, table: sql.Identifier, row: dict[str, Any]) -> None:
    connection.execute(
        sql.SQL("insert into {} ({}) values ({})").format(
            table,
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join([sql.Placeholder()] * len(row)),
        ),
        list(row.values()),
    )
