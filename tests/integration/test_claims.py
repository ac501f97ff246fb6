"""The claims of the sample province, in envelopes, reach the stage of a real PostgreSQL."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import pytest

from loaders.conform import CONTRACT_RULES
from loaders.postgres.database import Role, connect
from loaders.sample import generate
from loaders.stages.land import land
from loaders.stages.load import load
from tests.conftest import Warehouse

SOURCE, DATASET, PERIOD = "social_insurance", "claims", "2025-08"


@pytest.mark.parametrize("damaged_visit", [False, True], ids=["as sent", "a visit cut short"])
def test_envelopes_are_staged_and_their_damaged_visits_quarantined(
    warehouse: Warehouse, damaged_visit: bool
) -> None:
    seed = 8 if damaged_visit else 7
    truth = warehouse.inbox.parent / f"truth{seed}"
    period = "2025-09" if damaged_visit else PERIOD
    files = generate([period], 0.005, seed, warehouse.inbox, truth)
    (file,) = (f for f in files if f.dataset == DATASET)
    with (truth / "defects.csv").open(encoding="utf-8") as stream:
        expected = {
            int(defect["row_number"])
            for defect in csv.DictReader(stream)
            if defect["dataset"] == DATASET and defect["rule"] in CONTRACT_RULES
        }
    if damaged_visit:
        expected.add(cut_first_visit(file.path))
    landed = land(SOURCE, DATASET, period)
    assert landed.batch_id is not None
    result = load(landed.batch_id)
    assert result.status == "loaded", result.reason
    assert result.rows_staged + result.rows_quarantined == file.rows
    with connect(Role.ADMIN) as connection:
        found = connection.execute(
            'select row_number, rule_id from quarantine."row" where dataset = %s and period = %s',
            (DATASET, period),
        ).fetchall()
    assert {number for number, _ in found} == expected
    assert (1, "contract.row") in found or not damaged_visit


def cut_first_visit(path: Path) -> int:
    """Half of the first visit's table is lost: its row is 1."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    first = min(contents)
    start = contents[first].index(b"<NOIDUNGFILE>") + 13
    stop = contents[first].index(b"</NOIDUNGFILE>")
    half = start + (stop - start) // 8 * 4
    contents[first] = contents[first][:half] + contents[first][stop:]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return 1
