"""What the gates cost: their part of one full month, from files to a release, in one process.

A gate is more than its rules: the intake gate also moves the rows into raw, as a pipeline without
rules has to. So the time of the rules alone is shown beside it, with that of the import of Great
Expectations, which each process pays once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from typing import Any

import pytest

from loaders.quality.engine import great_expectations
from loaders.quality.runner import RuleOutcome, run_suite
from loaders.sample import generate
from loaders.settings import get_settings
from loaders.stages.gate import intake, release
from loaders.stages.setup import prepare_warehouse
from tests.bench.bare import run_bare, timed
from tests.conftest import Warehouse

SCALE = float(os.environ.get("NQ42_BENCH_SCALE", "0.1"))
MONTH = "2025-12"
TARGET = 0.15


def seconds_to_import() -> float:
    """Seconds that Great Expectations takes in a process that has loaded a batch."""
    program = (
        "import time, loaders.stages.load; from loaders.quality.engine import great_expectations;"
        " started = time.perf_counter(); great_expectations(); print(started, time.perf_counter())"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    started, ended = map(float, done.stdout.split()[-2:])
    return ended - started


def test_part_of_the_gates_in_a_month(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generate([MONTH], SCALE, 42, get_settings().inbox, None)
    prepare_warehouse()
    rules: dict[str, float] = defaultdict(float)
    suites: dict[str, list[int]] = defaultdict(list)

    for gate, module in (("intake", intake), ("release", release)):

        def run(*args: Any, gate: str = gate) -> list[RuleOutcome]:
            with timed(rules, gate):
                outcomes = run_suite(*args)
            suites[gate].append(len(outcomes))
            return outcomes

        monkeypatch.setattr(module, "run_suite", run)
    rules["import"] = seconds_to_import()
    great_expectations()  # its time is counted once, whatever ran before

    seconds = run_bare(MONTH)
    seconds["gate (intake)"] += rules["import"]
    total = sum(seconds.values())
    gates = seconds["gate (intake)"] + seconds["gate (release)"]
    with capsys.disabled():
        print(f"\ngates in one month, scale {SCALE:g}")
        for stage, value in seconds.items():
            print(f"  {stage:15} {value:7.1f} s {value / total:6.1%}")
        for gate in ("intake", "release"):
            print(
                f"  rules of {gate:7} {rules[gate]:7.1f} s {rules[gate] / total:6.1%}"
                f"  ({len(suites[gate])} suites, {sum(suites[gate])} rules)"
            )
        print(f"  import of GX    {rules['import']:7.1f} s {rules['import'] / total:6.1%}")
        print(f"  gates in all    {gates:7.1f} s {gates / total:6.1%}, at most {TARGET:.0%} wanted")
        print(f"  month without   {total - gates:7.1f} s")
    assert len(suites["intake"]) > 30
