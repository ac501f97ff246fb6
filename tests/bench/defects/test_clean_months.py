"""Twelve months without a defect: no rule of either gate may find anything.

The sample has hard cases on purpose, which are true and yet worth a question; the rules that ask
about them are named here, and no other may find anything.
"""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest

from loaders.contracts.model import load_contracts
from loaders.postgres.database import Role, connect
from loaders.sample import generate
from loaders.stages.build import build
from loaders.stages.gate import gate_release
from loaders.stages.intake import import_source
from loaders.stages.setup import prepare_warehouse
from tests.conftest import Warehouse

SCALE = float(os.environ.get("NQ42_BENCH_DEFECT_SCALE", "0.01"))
YEAR, SEED = 2025, 42
MONTHS = [f"{YEAR}-{month:02d}" for month in range(1, 13)]
#: Candidates are built at the end of each half-year: a candidate holds all months up to it.
CANDIDATES = MONTHS[5::6]
#: Rule → the hard case that it asks about.
HARD_CASES = {
    "doses.recorded_once": "a dose that two offices recorded under two numbers",
    "nutrition.youngest_measured_lying": "children measured lying or standing against the rule",
    "nutrition.z_score_plausible": "z-scores beyond 6",
    "sanitation.toilet_needs_water": "stations whose assessment contradicts itself",
    "scorecard.computed_has_figures": "yearly lists come in December, June has none",
}


def test_twelve_clean_months_raise_no_alarm(
    warehouse: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(MONTHS, SCALE, SEED, warehouse.inbox, None, defect_share=0)
    prepare_warehouse()
    started = time.perf_counter()
    statuses: Counter[str] = Counter()
    for month in MONTHS:
        for contract in load_contracts():
            statuses.update(r.status for r in import_source(contract.source, month))
        if month in CANDIDATES:
            statuses[f"candidate {gate_release(build(month).candidate_id).status}"] += 1
    with connect(Role.AUDITOR) as connection:
        alarms = connection.execute(
            "select r.rule_id, r.severity, r.kind, count(*), sum(r.rows_failing),"
            " string_agg(r.period || ' ' || r.observed, '; ' order by r.period)"
            " from audit.rule_result as r left join audit.receipt as c on r.subject_id = c.batch_id"
            " where r.result <> 'pass' and c.data_label is distinct from 'real'"
            " group by 1, 2, 3 order by 2, 1"
        ).fetchall()
        ran = connection.execute("select count(*) from audit.rule_result").fetchone()
    with capsys.disabled():
        print(f"\n12 clean months, scale {SCALE:g}: {dict(statuses)}")
        print(f"{ran[0] if ran else 0} rules ran, {time.perf_counter() - started:.0f} s")
        for rule, severity, kind, times, rows, observed in alarms:
            print(f"  {severity:8} {kind:8} {rule:45} {times:>3} x, {rows:>5} rows")
            print(f"    {observed[:200]}")
    assert {name for name in statuses if "refused" in name or "held" in name} == set()
    assert {rule for rule, *_ in alarms} - {*HARD_CASES} == set()
    assert [rule for rule, severity, *_ in alarms if severity == "critical"] == []
