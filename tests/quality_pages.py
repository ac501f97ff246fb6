"""The quality of a small release, made by hand, for the tests of the reports."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from loaders.report.quality_data import QualityView

NAUGHTY = '<script>alert("1")</script> & [red]đỏ[/red]'
FILE = "0123456789abcdef" * 4
NOON = datetime(2025, 8, 6, 2, 30, tzinfo=UTC)


def batch(dataset: str, **given: Any) -> dict[str, Any]:
    """A row of `audit.quality_timeliness` and of `audit.quality_volumes` in one."""
    row = {
        "source": "health",
        "dataset": dataset,
        "period": "2025-07",
        "ends_on": date(2025, 7, 31),
        "batch_id": f"batch-{dataset}",
        "data_label": "sample",
        "maturity": "final",
        "file_name": f"{dataset}.xlsx",
        "sha256": FILE,
        "rows_read": 1234567,
        "rows_loaded": 1234560,
        "rows_quarantined": 7,
        "quarantined_pct": Decimal("0.0006"),
        "rows_loaded_before": 1234000,
        "change_pct": Decimal("0.0454"),
        "status": "accepted",
        "reason": None,
        "expected_on": date(2025, 8, 5),
        "received_at": NOON,
        "is_received": True,
        "is_on_time": False,
        "days_late": 1,
        "served_batch_id": f"batch-{dataset}",
        "served_period": "2025-07",
        "served_age_days": 0,
        **given,
    }
    whole = row["rows_loaded"] is not None and (
        row["rows_read"] == row["rows_loaded"] + row["rows_quarantined"]
    )
    return {"is_whole": whole if row["status"] == "accepted" else None, **row}


def missing(dataset: str) -> dict[str, Any]:
    """A row of the same views for a file that never came."""
    nothing = (
        *("batch_id", "data_label", "maturity", "sha256", "file_name", "received_at"),
        *("is_on_time", "days_late", "rows_read", "rows_loaded", "rows_quarantined"),
        *("quarantined_pct", "change_pct", "served_batch_id", "served_period"),
        "served_age_days",
    )
    state = {"status": "missing", "reason": "no file", "is_received": False}
    return batch(dataset, **dict.fromkeys(nothing), **state)


def rule(rule_id: str, result: str, **given: Any) -> dict[str, Any]:
    """A row of `audit.rule_result`, as far as it is given by hand."""
    return {
        "subject_kind": "batch",
        "subject_id": "batch-staff",
        "source": "health",
        "dataset": "staff",
        "period": "2025-07",
        "suite": "health__staff",
        "rule_id": rule_id,
        "rule_version": 3,
        "severity": "warning",
        "dimension": "accuracy",
        "owner": "Department of Health",
        "description_vi": f"Quy tắc {rule_id}",
        "description_en": f"Rule {rule_id}",
        "rows_scanned": 1000,
        "rows_failing": 0 if result == "pass" else 12,
        "observed": "12",
        "expected": "0",
        "result": result,
        **given,
    }


def ran(rule_id: str, result: str, **given: Any) -> dict[str, Any]:
    """A row of `audit.quality_rules`."""
    also = {"ends_on": date(2025, 7, 31), "data_label": "sample", "is_in_use": True}
    return {**rule(rule_id, result), **also, "kind": "row", "ran_at": NOON, **given}


def refused(batch_id: str, period: str, ends_on: date, findings: int) -> dict[str, Any]:
    """A row of `audit.quality_quarantine`."""
    return {
        "batch_id": batch_id,
        "source": "health",
        "dataset": "staff",
        "period": period,
        "ends_on": ends_on,
        "data_label": "sample",
        "is_in_use": True,
        "file_name": "staff.xlsx",
        "sha256": FILE,
        "rule_id": "staff.once",
        "rule_version": 3,
        "severity": "critical",
        "dimension": "uniqueness",
        "column_name": "position_code",
        "reason_vi": "Lặp lại",
        "reason_en": "Repeated",
        "findings": findings,
        "examples": [
            {"sheet": "Nhân lực", "row_number": 1204, "value": NAUGHTY},
            {"sheet": None, "row_number": 1205, "value": None},
        ],
    }


APPROVAL = {
    "id": 1,
    "subject_kind": "candidate",
    "subject_id": "2025-07-c1",
    "source": None,
    "dataset": None,
    "period": None,
    "decision": "approved",
    "decided_by": "Nguyễn Thị Lan",
    "reason": "Đã xem cùng cơ quan",
    "via": "cli",
    "at": NOON,
    "rules": [
        {
            "rule_id": "kpi_value.covered",
            "rule_version": 1,
            "observed": "12",
            "description_vi": "Tỷ lệ vượt quá 100 %",
            "description_en": "A share exceeds 100 %",
        }
    ],
}
READMISSION = {
    "id": 5,
    "source": "health",
    "dataset": "staff",
    "period": "2025-07",
    "how": "correction",
    "rows_quarantined_before": 1512,
    "rows_readmitted": 1505,
    "rows_still_quarantined": 6,
    "rows_quarantined_now": 7,
    "at": NOON,
}


def quality_view(**given: Any) -> QualityView:
    """Accepted, held, real and missing batches; rules, quarantine and every kind of decision."""
    batches = [
        batch("staff"),
        batch(
            "staff",
            period="2025-06",
            ends_on=date(2025, 6, 30),
            batch_id="batch-june",
            rows_loaded=1233067,
            rows_quarantined=1500,
            quarantined_pct=Decimal("0.1215"),
            days_late=0,
            is_on_time=True,
        ),
        batch(
            "facilities",
            status="held",
            reason=NAUGHTY,
            rows_loaded=0,
            change_pct=None,
            served_batch_id="batch-before",
            served_period="2025-06",
            served_age_days=31,
        ),
        batch("statistics", data_label="real", days_late=0, is_on_time=True),
        missing("beds"),
    ]
    about_release = {
        "subject_kind": "candidate",
        "subject_id": "2025-07-c1",
        "suite": "fct_kpi_value",
        "source": None,
        "dataset": None,
        "data_label": None,
    }
    view = QualityView(
        timeliness=batches,
        volumes=batches,
        rules=[
            ran("staff.known", "pass"),
            ran("staff.once", "fail"),
            ran("staff.x", "error"),
            ran("kpi_value.covered", "fail", **about_release),
        ],
        quarantine=[
            refused("batch-june", "2025-06", date(2025, 6, 30), 1500),
            refused("batch-staff", "2025-07", date(2025, 7, 31), 7),
        ],
        approvals=[APPROVAL],
        readmissions=[READMISSION],
        gate_events=[
            {
                "seq": 40,
                "at": NOON,
                "kind": "gate.release.passed",
                "payload": {"candidate_id": "c", "rules_run": 32, "rules_failed": 1},
            }
        ],
        head={"seq": 42, "at": NOON, "hash": "c" * 64},
        datasets={("health", "staff"): ("Nhân lực y tế", "Health staff")},
        sources={"health": ("Y tế", "Health")},
    )
    return dataclasses.replace(view, **given)
