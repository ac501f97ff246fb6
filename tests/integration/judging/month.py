"""A month of insured members: how it is taken in, and what is recorded of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from loaders import audit
from loaders.postgres.database import Role, connect
from loaders.stages.build import month_fingerprints
from loaders.stages.intake import import_dataset
from loaders.stages.records import GateResult
from tests.integration.members import DATASET, SOURCE, row

SUITE = f"{SOURCE}__{DATASET}"
UNIT_RULE = "hi_members.unit_valid_on_date"
Change = Callable[[dict[str, Any]], None]


def only_warn(rule: dict[str, Any]) -> None:
    rule["severity"] = "warning"
    rule["meta"]["version"] = 2


def refuse_all(rule: dict[str, Any]) -> None:
    """More rows than the contract lets go to quarantine."""
    rule["kwargs"] = {"unexpected_rows_query": "SELECT _row_number FROM {batch}"}
    rule["meta"]["version"] = 3


def members(period: str, *bad: int, count: int = 60) -> list[str]:
    """Rows of a month; those with these numbers stand in a commune that does not exist."""
    month = f"{period[5:]}/{period[:4]}"
    return [row(n, month=month, unit="99999" if n in bad else "21010") for n in range(1, count + 1)]


def take(period: str) -> GateResult:
    result = import_dataset(SOURCE, DATASET, period)
    assert isinstance(result, GateResult), result
    return result


def query(text: str, *values: object) -> list[Any]:
    with connect(Role.ADMIN) as connection:
        return connection.execute(text, values).fetchall()


def raw_numbers(period: str) -> list[int]:
    found = query(f"select _row_number from raw.{SUITE} where _period = %s order by 1", period)
    return [number for (number,) in found]


def judgements(period: str) -> list[dict[str, Any]]:
    """Results of the gate, oldest first."""
    found = query(
        "select to_jsonb(r) from audit.batch_result as r where dataset = %s and period = %s"
        " and stage = 'gate' order by id",
        DATASET,
        period,
    )
    return [result for (result,) in found]


def ledger(period: str) -> list[dict[str, Any]]:
    found = query(
        "select to_jsonb(r) from audit.readmission as r where period = %s order by id", period
    )
    return [entry for (entry,) in found]


def readmitted(entry: dict[str, Any]) -> list[tuple[int, list[str]]]:
    return query(
        "select row_number, rules_broken from audit.readmitted_row"
        " where gate_run = %s and from_result_id = %s order by row_number",
        entry["gate_run"],
        entry["from_result_id"],
    )


def fingerprint(period: str) -> str:
    with connect(Role.PUBLISHER) as connection:
        return month_fingerprints(connection, period)[period]


def findings() -> list[str]:
    with connect(Role.AUDITOR) as connection:
        return [finding.what for finding in audit.verify(connection)]


def hash_of(texts: list[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
