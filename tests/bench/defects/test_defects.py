"""Every kind of defect at 0.1 %, 1 % and 5 % of the rows: which rows the gates find."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from loaders.stages.setup import prepare_warehouse
from tests.bench.defects.judge import misses, table
from tests.bench.defects.kinds import ALL, OWN, UNSEEN
from tests.bench.defects.measure import measure
from tests.bench.defects.province import CleanMonth
from tests.conftest import Warehouse

SCALE = float(os.environ.get("NQ42_BENCH_DEFECT_SCALE", "0.01"))
#: All datasets, or those that are named, with spaces between.
DATASETS = os.environ.get("NQ42_BENCH_DEFECT_DATASETS", "").split() or list(ALL)
MONTH, SEED = "2025-12", 42
SHARES = (0.001, 0.01, 0.05)


def test_there_are_kinds_of_both_borders_over_many_datasets() -> None:
    rules = [rule for kind in OWN for rule in kind.rules]
    at_reading = sum(rule.startswith("contract.") for rule in rules)
    assert len(OWN) >= 40
    assert min(at_reading, len(rules) - at_reading) >= 15
    assert len({kind.dataset for kind in OWN}) >= 12


@pytest.fixture(scope="module")
def clean(warehouse: Warehouse) -> CleanMonth:
    prepare_warehouse()
    return CleanMonth.of(MONTH, SCALE, SEED)


def test_what_no_rule_sees_is_known(
    warehouse: Warehouse, clean: CleanMonth, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kind of this list that some rule begins to find is taken to those that must be found."""
    plan = {kind.dataset: [kind] for kind in UNSEEN}
    few = replace(clean, extracts={name: clean.extracts[name] for name in plan})
    scores, _ = measure(few, warehouse.inbox, plan, [0.01])
    with capsys.disabled():
        print("\nseen by no rule:", *misses(scores), sep="\n  ")
    tallies = scores[0.01].kinds.values()
    seen = [missed for tally in tallies for missed in tally.missed if "found: []" not in missed]
    assert seen == []
    assert all(tally.injected for tally in tallies)


def test_rows_that_the_gates_find(
    warehouse: Warehouse, clean: CleanMonth, capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.perf_counter()
    plan = {name: kinds for name, kinds in ALL.items() if name in {*DATASETS} & {*clean.extracts}}
    scores, refused = measure(clean, warehouse.inbox, plan, SHARES)
    with capsys.disabled():
        print(f"\ndefects in {MONTH}, scale {SCALE:g}\n{table(scores)}")
        print(*misses(scores), sep="\n")
        alarms = [alarm for score in scores.values() for alarm in score.false_alarms]
        print(*sorted({alarm.rsplit(" row ", 1)[0] for alarm in alarms}), sep="\n")
        print(f"{len(alarms)} false alarms; {time.perf_counter() - started:.0f} s")
    assert refused == []
    for share, score in scores.items():
        total = score.total()
        assert total.recall >= 0.99, f"at {share:.1%} of the rows"
        assert total.precision >= 0.99, f"at {share:.1%} of the rows"
