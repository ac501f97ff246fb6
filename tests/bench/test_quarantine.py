"""A batch with very many failing rows: all in quarantine, in what time, and how large a process.

Each case runs in a process of its own, with a tenth of the rows and with all of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from loaders.postgres.database import Role, connect
from loaders.stages.land import land
from tests.conftest import Warehouse
from tests.failing_rows import CASES, SOUND, write_cards
from tests.integration.members import DATASET, SOURCE, prepare
from tests.unit.memory import ROOT

FAILING = int(os.environ.get("NQ42_BENCH_FAILING_ROWS", "200000"))
#: Seconds of load and gate, rows in quarantine, megabytes after each of the two.
PROGRAM = """
    import sys, time
    from loaders.stages.gate import gate_intake
    from loaders.stages.load import load
    from tests.peak import peak_mb
    started = time.perf_counter()
    loaded = load(sys.argv[1])
    between, after_load = time.perf_counter(), peak_mb()
    judged = gate_intake(sys.argv[1])
    ended = time.perf_counter()
    print(between - started, ended - between, judged.rows_quarantined, after_load, peak_mb())
"""


@pytest.fixture(scope="module")
def ready(warehouse: Warehouse) -> Warehouse:
    prepare()
    return warehouse


def run(batch_id: str) -> tuple[float, float, int, int, int]:
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), batch_id],
        cwd=ROOT,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    load_s, gate_s, *counts = ran.stdout.splitlines()[-1].split()
    return float(load_s), float(gate_s), *map(int, counts)  # type: ignore[return-value]


@pytest.mark.parametrize("rule", [*CASES, SOUND])
def test_many_failing_rows(ready: Warehouse, rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    first = 1 + 2 * [*CASES, SOUND].index(rule)
    lines, peaks = [], []
    for period, failing in (
        (f"2025-{first:02d}", FAILING // 10),
        (f"2025-{first + 1:02d}", FAILING),
    ):
        write_cards(ready.inbox, period, rule, failing)
        batch_id = land(SOURCE, DATASET, period).batch_id or ""
        load_s, gate_s, quarantined, after_load, peak = run(batch_id)
        expected = 0 if rule == SOUND else failing
        assert quarantined == expected
        with connect(Role.AUDITOR) as connection:
            row = connection.execute(
                'select count(*), count(distinct row_number) from quarantine."row"'
                " where batch_id = %s and rule_id = %s",
                (batch_id, rule),
            ).fetchone()
        assert row == (expected, expected)
        peaks.append((after_load, peak))
        lines.append(
            f"  {failing:>9,} such rows: load {load_s:6.1f} s, gate {gate_s:6.1f} s,"
            f" peak {after_load} MB after load, {peak} MB after gate"
        )
    with capsys.disabled():
        print(f"\nrows that fail {rule}", *lines, sep="\n")
        ratios = [large / small for small, large in zip(*peaks, strict=True)]
        print(
            f"  peak with all / with a tenth: load {ratios[0]:.2f}, load and gate {ratios[1]:.2f}"
        )
