"""One `dbt build` against one for each group of layers: what a finer view of a build costs.

In seconds of the processor, those of dbt alone; a task of the scheduler comes on top for each group
(docs/decisions/0008-one-task-per-dataset.md).
"""

from __future__ import annotations

import os
from collections import defaultdict

import pytest

from loaders.sample import generate
from loaders.settings import get_settings
from loaders.stages.build import build_settings, dbt, drop_candidate
from loaders.stages.setup import prepare_warehouse
from tests.bench.bare import take_bare
from tests.conftest import Warehouse

SCALE = float(os.environ.get("NQ42_BENCH_SCALE", "0.02"))
MONTH = "2025-12"
ROUNDS = 2
#: A test runs with the last of its parents: `buildable` leaves out those with a parent to come.
GROUPS = {
    "one": [["path:models", "path:tests", "--indirect-selection", "eager"]],
    "grouped": [
        ["path:models/staging", "path:models/intermediate", "--indirect-selection", "buildable"],
        ["path:models/kpi", "--indirect-selection", "buildable"],
        ["path:models/marts", "path:tests", "--indirect-selection", "eager"],
    ],
}


def test_seconds_of_one_build_and_of_three(
    warehouse: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    generate([MONTH], SCALE, 42, get_settings().inbox, None)
    prepare_warehouse()
    take_bare(MONTH, defaultdict(float))
    _build("one")  # tables and parsed project are there from now on
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name in GROUPS:  # in turn: a machine may become slower
            seconds[name].append(_build(name))
    one, grouped = (min(seconds[name]) for name in GROUPS)
    with capsys.disabled():
        print(f"\none dbt build: {one:.1f} s of the processor, three: {grouped:.1f} s")
        print(f"  ratio three / one {grouped / one:.2f}")


def _build(name: str) -> float:
    """Seconds of the processor that the builds took; the server's are the same for both."""
    drop_candidate()
    before = os.times()
    for selection in GROUPS[name]:
        dbt(
            ["build", "--exclude-resource-type", "unit_test", "--select", *selection],
            build_settings(MONTH, [MONTH], "bench"),
        )
    after = os.times()
    return (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )
