"""Quarantine holds every failing row of a batch: no rule, reader or client sets a limit."""

from __future__ import annotations

import uuid

import pytest

from loaders.conform import Finding
from loaders.postgres.database import Role, connect
from loaders.stages import refused
from loaders.stages.gate import gate_intake
from loaders.stages.land import land
from loaders.stages.load import load
from loaders.stages.refused import refused_rows
from tests.conftest import Warehouse
from tests.failing_rows import CASES, write_cards
from tests.integration.members import DATASET, SOURCE

#: More than `loaders.quality.query_rules.FEW`: the gate asks the rule's query for them.
FAILING = 30_000


@pytest.mark.parametrize(
    ("rule", "period"), [*zip(CASES, ("2025-06", "2025-07", "2025-08"), strict=True)]
)
def test_every_failing_row_of_a_batch_is_in_quarantine(
    ready: Warehouse, rule: str, period: str
) -> None:
    failing = write_cards(ready.inbox, period, rule, FAILING)
    batch_id = land(SOURCE, DATASET, period).batch_id or ""
    loaded = load(batch_id)
    at_reading = FAILING if rule.startswith("contract.") else 0
    assert (loaded.status, loaded.rows_quarantined) == ("loaded", at_reading)
    judged = gate_intake(batch_id)
    assert (judged.status, judged.rows_quarantined) == ("held", FAILING)
    assert f"{FAILING} of {loaded.rows_read} rows are in quarantine" in (judged.reason or "")
    with connect(Role.AUDITOR) as connection:
        rows = connection.execute(
            'select row_number, rule_id, row_data is not null from quarantine."row"'
            " where batch_id = %s",
            (batch_id,),
        ).fetchall()
        counted = connection.execute(
            "select rows_failing from audit.rule_result where subject_id = %s and rule_id = %s",
            (batch_id, rule),
        ).fetchall()
    assert len(rows) == FAILING
    assert {number for number, _, _ in rows} == failing
    assert {(rule_id, has_data) for _, rule_id, has_data in rows} == {(rule, True)}
    assert counted == ([] if at_reading else [(FAILING,)])


TEXTS = [
    "two\tcolumns",
    "two\nlines\r\n",
    "back\\slash \\N and \\.",
    "\b\f\v",
    "",
    "Nguyễn ␀ 'quoted' \"twice\"",
    "\\",
    None,
]


@pytest.mark.parametrize("spooled_bytes", [1, 1 << 20], ids=["on disk", "in memory"])
def test_texts_come_out_of_the_spool_as_they_went_in(
    ready: Warehouse, monkeypatch: pytest.MonkeyPatch, spooled_bytes: int
) -> None:
    """What COPY takes for its own signs is a text like others."""
    monkeypatch.setattr(refused, "SPOOLED_BYTES", spooled_bytes)
    batch_id = uuid.uuid4().hex[:16]
    findings = [
        Finding(n, "Sheet\t1", None, "contract.type", text, '{"a": "\\\\ \\t"}', "lý do\n", "why\\")
        for n, text in enumerate(TEXTS, start=1)
    ]
    before = list(ready.settings.landing.glob("*"))
    with connect(Role.LOADER) as connection:
        with refused_rows(
            (batch_id, "s", "d", "2025-06", "0" * 64), ready.settings.landing
        ) as rows:
            for finding in findings:
                rows.add([finding])
            rows.send(connection)
        found = connection.execute(
            "select row_number, sheet, column_name, rule_id, offending_value, row_data ->> 'a',"
            ' reason_vi, reason_en from quarantine."row" where batch_id = %s order by 1',
            (batch_id,),
        ).fetchall()
    assert [row[4] for row in found] == TEXTS
    assert {row[1:4] + row[5:] for row in found} == {
        ("Sheet\t1", None, "contract.type", "\\ \t", "lý do\n", "why\\")
    }
    assert list(ready.settings.landing.glob("*")) == before


def test_a_batch_without_findings_sends_nothing(ready: Warehouse) -> None:
    with (
        connect(Role.LOADER) as connection,
        refused_rows(("b", "s", "d", "2025-06", "0"), ready.settings.landing) as rows,
    ):
        rows.send(connection)
        count = connection.execute(
            "select count(*) from quarantine.\"row\" where batch_id = 'b'"
        ).fetchone()
    assert count == (0,)
