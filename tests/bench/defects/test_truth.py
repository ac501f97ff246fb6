"""Published KPIs of a month with defects equal the truth for the rows that remain."""

from __future__ import annotations

import os
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from loaders.contracts.model import load_contracts
from loaders.postgres.database import Role, connect
from loaders.sample import TRUTHS, for_truth
from loaders.sample.truths.base import Known, truth_rows
from loaders.stages.intake import import_source
from loaders.stages.setup import prepare_warehouse
from tests.bench.defects.inject import Injected
from tests.bench.defects.kinds import ALL
from tests.bench.defects.model import DefectKind
from tests.bench.defects.province import CleanMonth
from tests.conftest import Warehouse
from tests.end_to_end.conftest import release

SCALE = float(os.environ.get("NQ42_BENCH_DEFECT_SCALE", "0.01"))
MONTH, SEED, SHARE = "2025-12", 42, 0.01
#: One damaged row of a shorter file is more than its contract lets pass.
LEAST_ROWS = 25
CELL = "kpi_id, series, period, boundary, unit_level, unit_code, breakdown, breakdown_value"


def chosen(kinds: Sequence[DefectKind], rows: int, largest: float) -> list[DefectKind]:
    """As many kinds, spread over the list, as 1 % of the rows can hold one row of each.

    A contract that lets nothing pass gets none, and neither does a rule that leaves rows in raw.
    """
    stopping = [kind for kind in kinds if not kind.warns]
    if rows < LEAST_ROWS or largest == 0:
        return []
    wanted = min(len(stopping), max(1, round(SHARE * rows)))
    return [stopping[i * len(stopping) // wanted] for i in range(wanted)]


def deliver(clean: CleanMonth, warehouse: Warehouse) -> dict[str, Injected]:
    """Every file of the month, about 1 % of its rows damaged; dataset → what was done to it."""
    limits = {
        d.name: d.extension.max_quarantine_share for c in load_contracts() for d in c.datasets
    }
    done = {}
    for name, extract in clean.extracts.items():
        rows = extract.frame.height
        kinds = chosen(ALL.get(name, []), rows, limits[name])
        share = SHARE / len(kinds) if kinds else 0
        done[name] = clean.write(name, kinds, share, warehouse.inbox)
    return done


def truth_of(clean: CleanMonth, done: dict[str, Injected]) -> dict[tuple[str, ...], dict[str, Any]]:
    """Cell → numerator, denominator and value, from the records that no defect cost."""
    known = {
        name: Known(for_truth(extract.frame), done[name].lost)
        for name, extract in clean.extracts.items()
    }
    rows = [
        row
        for answers in TRUTHS
        for row in truth_rows(
            clean.province.geography,
            clean.month,
            answers.cells(clean.province, clean.month, known),
        )
    ]
    return {tuple(row[name] for name in CELL.split(", ")): row for row in rows}


def test_published_kpis_equal_the_truth_for_the_rows_that_remain(
    warehouse: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = CleanMonth.of(MONTH, SCALE, SEED)
    done = deliver(clean, warehouse)
    prepare_warehouse()
    statuses = {
        result.status
        for contract in load_contracts()
        if contract.source in {extract.source for extract in clean.extracts.values()}
        for result in import_source(contract.source, MONTH)
        if result.status != "missing"
    }
    assert statuses == {"accepted"}
    with connect(Role.AUDITOR) as connection:
        quarantined = dict(
            connection.execute(
                'select dataset, count(distinct row_number) from quarantine."row" group by 1'
            ).fetchall()
        )
    assert quarantined == {
        name: len({planted.row_number for planted in file.planted})
        for name, file in done.items()
        if file.planted
    }
    # The tables that the statistics office really published are not delivered: a person is asked.
    assert release(MONTH, is_disturbed=True).status == "published"
    with connect(Role.BI) as connection:
        rows = connection.execute(
            f"select {CELL}, numerator, denominator, value, is_suppressed"
            " from marts.fct_kpi_value where data_label = 'sample' and period = any(%s)",
            ([*{e.period for e in clean.extracts.values()}],),
        ).fetchall()
    published = {tuple(row[:8]): row[8:] for row in rows}
    truth = truth_of(clean, done)
    wrong, hidden = {}, 0
    for cell, expected in truth.items():
        _, _, value, is_suppressed = published.get(cell, (None, None, None, False))
        hidden += is_suppressed
        if not is_suppressed and value != _number(expected["value"]):
            wrong[cell] = (value, expected["value"])
    with capsys.disabled():
        damaged = sum(len(file.planted) for file in done.values())
        print(
            f"\n{damaged} rows of {sum(1 for f in done.values() if f.planted)} datasets damaged:"
            f" {len(truth)} cells of {len({cell[0] for cell in truth})} KPIs, {len(wrong)} differ,"
            f" {hidden} are hidden as small counts"
        )
    assert wrong == {}
    assert 0 < hidden < len(truth)
    # The defects reach the figures: without leaving rows out, the truth is another one.
    undamaged = {name: file.without_loss() for name, file in done.items()}
    assert {c: row["value"] for c, row in truth_of(clean, undamaged).items()} != {
        c: row["value"] for c, row in truth.items()
    }


def _number(value: Any) -> Decimal | None:
    return None if value is None or value == "" else Decimal(str(value))
