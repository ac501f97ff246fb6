"""The gates find what is wrong in a delivery, row by row, and nothing else.

A part of the measurement in tests/bench/defects that is small enough for every run: a few kinds of
defect of both borders, in files of each format, in one row of a hundred.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loaders.stages.setup import prepare_warehouse
from tests.bench.defects.inject import Injected, Planted
from tests.bench.defects.judge import Score, misses, table
from tests.bench.defects.kinds import ALL
from tests.bench.defects.measure import measure
from tests.bench.defects.model import DefectKind, unchanged
from tests.bench.defects.province import CleanMonth
from tests.conftest import Warehouse

SCALE, SEED, MONTH, SHARE = 0.005, 42, "2025-12", 0.01
#: Dataset → kinds; CSV, workbook and envelopes of claims.
CHOSEN = {
    "assistance_payments": ["line_torn", "month_thirteen", "paid_twice", "child_of_36_months"],
    "claims": ["one_dong_off", "discharged_next_day", "citizen_number_against_sex"],
    "facilities": ["station_with_300_beds"],
    "social_pension": ["one_month_too_young", "unit_not_valid_in_month"],
    "temporary_houses": ["completed_before_begun", "approved_on_missing", "house_twice"],
}


@pytest.fixture(scope="module")
def clean(warehouse: Warehouse) -> CleanMonth:
    prepare_warehouse()
    month = CleanMonth.of(MONTH, SCALE, SEED)
    return replace(month, extracts={name: month.extracts[name] for name in CHOSEN})


def test_every_defect_is_found_and_no_sound_row(warehouse: Warehouse, clean: CleanMonth) -> None:
    plan = {
        dataset: [kind for kind in ALL[dataset] if kind.name in names]
        for dataset, names in CHOSEN.items()
    }
    assert {name: len(kinds) for name, kinds in plan.items()} == {
        name: len(names) for name, names in CHOSEN.items()
    }
    scores, refused = measure(clean, warehouse.inbox, plan, [SHARE])
    assert refused == []
    assert (misses(scores), scores[SHARE].false_alarms) == ([], [])
    total = scores[SHARE].total()
    assert total.caught == total.injected >= 13, table(scores)


def test_what_is_missed_or_wrongly_found_is_counted() -> None:
    kind = DefectKind("wrong", "list", ("list.right",), unchanged)
    done = Injected(Path("list.csv"), 5, [Planted(1, kind), Planted(2, kind)], np.zeros(5, bool))
    score = Score()
    found = {(1, "list.right"), (2, "list.other"), (4, "list.right"), (5, "list.usual")}
    score.add("list", done, [kind], found, {"list.usual"})
    tally = score.kinds["list", "wrong"]
    assert (tally.injected, tally.caught, tally.false) == (2, 1, 1)
    assert (tally.recall, tally.precision) == (0.5, 0.5)
    assert score.false_alarms == ["list list.right row 4"]
    assert misses({0.01: score}) == ["1.0% list wrong: 1 of 2: row 2, found: ['list.other']"]
