"""A case goes through the real stages; what they left is held against what the case expects."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg import sql
from psycopg.rows import dict_row
from structlog.testing import capture_logs

from loaders.contracts import model
from loaders.contracts.model import Dataset
from loaders.postgres.database import Role, connect
from loaders.quality.suites import Suite
from loaders.stages.gate import ensure_raw_tables, gate_intake
from loaders.stages.gate import intake as gate
from loaders.stages.land import land
from loaders.stages.load import load, stage_table_name
from loaders.stages.records import LandResult, LoadResult
from tests.conftest import TEST_KEY, Warehouse
from tests.deliveries.build import build
from tests.deliveries.case import DATASET, Case, Expect, Sent, as_text, contract_of, file_name

Row = dict[str, str | None]


@dataclass
class Outcome:
    """What a delivery left behind. ``rows`` is None without a stage table."""

    landed: LandResult
    loaded: LoadResult | None = None
    columns: tuple[str, ...] = ()
    rows: list[Row] | None = None
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    receipt: dict[str, Any] | None = None
    recorded: list[dict[str, Any]] = field(default_factory=list)
    raw_before: list[Row] = field(default_factory=list)
    raw_after: list[Row] = field(default_factory=list)
    traces: str = ""


@contextmanager
def _contract(case: Case, folder: Path) -> Iterator[Dataset]:
    """The stages know the case's contract, and its gate has no rules of its own."""
    contract = contract_of(case, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "load_contracts", lambda: (contract,))
        patch.setattr(gate, "get_suite", lambda kind, name: Suite(name, folder, ()))
        patch.setattr(gate, "run_suite", lambda *_: [])
        yield contract.datasets[0]


def run(case: Case, warehouse: Warehouse) -> Outcome:
    """Land and load the case's delivery, after the ones that were accepted before it."""
    with _contract(case, warehouse.home) as dataset, capture_logs() as logs:
        has_raw = bool(case.before or case.expect.raw)
        if has_raw:
            with connect(Role.LOADER) as connection:
                ensure_raw_tables(connection, [dataset])
        for sent in case.before:
            earlier = _stages(case, sent, dataset, warehouse)
            assert earlier.loaded is not None, earlier.landed.reason
            assert earlier.loaded.status == "loaded", earlier.loaded.reason
            assert gate_intake(earlier.loaded.batch_id).status == "accepted"
        before = _table(dataset, "raw", dataset.raw_table) if has_raw else []
        outcome = _stages(case, case, dataset, warehouse)
        outcome.raw_before = before or []
        if case.expect.raw is not None and outcome.loaded is not None:
            assert gate_intake(outcome.loaded.batch_id).status == "accepted"
        after = _table(dataset, "raw", dataset.raw_table) if has_raw else []
        outcome.raw_after = after or []
    outcome.traces += repr(logs)
    return outcome


def _stages(case: Case, sent: Sent, dataset: Dataset, warehouse: Warehouse) -> Outcome:
    period = sent.period or case.period
    _put(case, sent, warehouse.inbox / dataset.source / period)
    outcome = Outcome(land(dataset.source, DATASET, period))
    batch_id = outcome.landed.batch_id
    if batch_id is not None and outcome.landed.status == "landed":
        outcome.loaded = load(batch_id)
    outcome.columns = tuple(column.name for column in dataset.loaded_columns)
    if batch_id is not None:
        outcome.rows = _table(dataset, "stage", stage_table_name(dataset, batch_id))
        outcome.quarantine = _query(
            'select to_jsonb(q) as row from quarantine."row" q where batch_id = %s'
            " order by row_number, sheet, column_name, rule_id",
            batch_id,
        )
        outcome.receipt = next(
            iter(_query("select * from audit.receipt where batch_id = %s", batch_id)), None
        )
    outcome.recorded = _query(
        "select stage, status, reason, details from audit.batch_result where source = %s"
        " order by id",
        dataset.source,
    )
    events = _query("select to_jsonb(e) as event from audit.event e order by seq desc limit 30")
    outcome.traces = repr((outcome.quarantine, outcome.recorded, outcome.rows, events))
    return outcome


def _put(case: Case, sent: Sent, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    name = file_name(case)
    if sent.file is not None:
        (folder / name).write_bytes(build(sent.file))
    if sent.note is not None:
        text = sent.note if isinstance(sent.note, str) else json.dumps(sent.note)
        (folder / f"{name}.delivery.json").write_text(text, "utf-8")
    if sent.corrections is not None:
        (folder / f"{name}.corrections.csv").write_text(sent.corrections, "utf-8")


def _query(query: str, *values: str) -> list[dict[str, Any]]:
    with connect(Role.ADMIN) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


def _table(dataset: Dataset, schema: str, table: str) -> list[Row] | None:
    """Rows in order of the file; None where there is no such table."""
    with connect(Role.ADMIN) as connection, connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "select to_regclass(format('%%I.%%I', %s::text, %s::text)) as name", (schema, table)
        ).fetchone()
        if not found or found["name"] is None:
            return None
        query = sql.SQL("select * from {} order by _period, _sheet, _row_number").format(
            sql.Identifier(schema, table)
        )
        rows = cursor.execute(query).fetchall()
    names = [*(column.name for column in dataset.loaded_columns), "_row_number", "_sheet"]
    return [{name: as_text(row[name]) for name in names} for row in rows]


def _written(row: dict[str, Any], columns: tuple[str, ...]) -> Row:
    """A row of a case: what it leaves out is empty; ``{person: "051…"}`` stands for the key."""
    unknown = set(row) - {*columns, "_row_number", "_sheet"}
    assert not unknown, f"the case expects columns that are not loaded: {sorted(unknown)}"
    expected: Row = dict.fromkeys(columns)
    for name, value in row.items():
        if isinstance(value, dict):
            [(domain, identifier)] = value.items()
            message = f"{domain}\0{identifier}".encode()
            digest = hmac.new(TEST_KEY.encode(), message, hashlib.sha256).hexdigest()
            value = UUID(digest[:32])
        expected[name] = as_text(value)
    return expected


def _shown(rows: list[Row], like: list[dict[str, Any]]) -> list[Row]:
    """The rows without the columns of their origin where the case does not speak of them."""
    kept = {name for row in like for name in row}
    return [
        {name: row[name] for name in row if not name.startswith("_") or name in kept}
        for row in rows
    ]


def check(case: Case, outcome: Outcome, expect: Expect | None = None) -> None:
    """Raise AssertionError where the outcome is not what the case expects."""
    expect = expect or case.expect
    landed, loaded = outcome.landed, outcome.loaded
    for text in case.personal:
        assert text not in outcome.traces, "a personal text left the delivery"
    if expect.unchanged:
        assert (landed.status, loaded) == ("unchanged", None)
        return
    if expect.missing is not None or expect.refused_at_land is not None:
        status = "missing" if expect.missing is not None else "refused"
        assert (landed.status, landed.reason) == (status, expect.missing or expect.refused_at_land)
        assert landed.batch_id is None
        assert outcome.recorded[-1]["reason"] == landed.reason
        assert outcome.raw_after == outcome.raw_before
        return
    assert landed.status == "landed", landed.reason
    assert loaded is not None
    assert outcome.receipt is not None
    if expect.refused is not None or expect.refused_pattern is not None:
        assert loaded.status == "refused"
        reason = (loaded.reason or "").removeprefix(f"{file_name(case)}: ")
        if expect.refused is not None:
            assert reason == expect.refused
        else:
            assert re.fullmatch(expect.refused_pattern or "", reason), reason
        assert outcome.rows is None, "a refused delivery left a stage table"
        assert outcome.quarantine == [], "a refused delivery left rows in quarantine"
        assert outcome.raw_after == outcome.raw_before
        last = outcome.recorded[-1]
        assert (last["stage"], last["reason"]) == ("load", loaded.reason)
        return
    assert loaded.status == "loaded", loaded.reason
    _check_rows(expect, outcome, loaded)
    if expect.maturity is not None:
        assert outcome.receipt["maturity"] == expect.maturity
    if expect.raw is not None:
        _check_raw(expect, outcome)


def _check_rows(expect: Expect, outcome: Outcome, loaded: LoadResult) -> None:
    assert outcome.rows is not None
    findings = [entry["row"] for entry in outcome.quarantine]
    bad_rows = {(finding["sheet"], finding["row_number"]) for finding in findings}
    assert loaded.rows_staged == len(outcome.rows)
    assert loaded.rows_quarantined == len(bad_rows)
    assert loaded.rows_read == loaded.rows_staged + loaded.rows_quarantined
    if expect.loaded is not None:
        expected = [_written(row, outcome.columns) for row in expect.loaded]
        assert _shown(outcome.rows, expect.loaded or [{}]) == expected
    else:
        assert loaded.rows_staged == expect.loaded_rows
    assert [
        (f["row_number"], f["sheet"], f["column_name"], f["rule_id"], f["offending_value"])
        for f in findings
    ] == [(q.row, q.sheet, q.column, q.rule, q.value) for q in expect.quarantined]
    for found, quarantined in zip(findings, expect.quarantined, strict=True):
        assert found["reason_vi"] and found["reason_en"]
        if quarantined.reason is not None:
            assert found["reason_en"] == quarantined.reason
    assert loaded.rows_set_aside == expect.set_aside
    assert outcome.recorded[-1]["details"].get("set_aside", {}) == expect.set_aside or expect.raw


def _check_raw(expect: Expect, outcome: Outcome) -> None:
    assert expect.raw is not None
    columns = outcome.columns
    before, after = (
        Counter(tuple(row[name] for name in columns) for row in rows)
        for rows in (outcome.raw_before, outcome.raw_after)
    )
    for found, rows in ((before - after, expect.raw.gone), (after - before, expect.raw.new)):
        expected = Counter(tuple(_written(row, columns).values()) for row in rows)
        assert found == expected
