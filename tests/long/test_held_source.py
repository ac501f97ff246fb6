"""One dataset is held: the others are published, and the mart says how old what serves it is."""

from __future__ import annotations

from openpyxl import load_workbook

from loaders.postgres.database import Role, connect
from loaders.sample import generate
from loaders.stages.setup import prepare_warehouse
from tests.conftest import Warehouse
from tests.end_to_end.conftest import SCALE, SEED, import_month, release

MONTHS = ("2025-06", "2025-07")
HELD = ("health", "facilities")


def test_a_held_dataset_is_served_by_its_last_good_month(warehouse: Warehouse) -> None:
    generate(list(MONTHS), SCALE, SEED, warehouse.inbox, None)
    prepare_warehouse()
    assert {result.status for result in import_month(MONTHS[0])} == {"accepted"}
    release(MONTHS[0])
    _forget_hospitals(warehouse)
    outcomes = import_month(MONTHS[1])
    (held,) = [result for result in outcomes if result.status != "accepted"]
    assert held.status == "held"
    assert "rule facilities.has_hospitals" in (held.reason or "")
    assert release(MONTHS[1], is_disturbed=True).period == MONTHS[1]

    rows = _quality_of(MONTHS[1])
    serving = rows.pop(HELD)
    first = _quality_of(MONTHS[0])
    assert serving == ("held", first[HELD][1], MONTHS[0], 31)
    assert len(rows) == len(outcomes) - 1
    assert {(status, period, age) for status, _, period, age in rows.values()} == {
        ("accepted", MONTHS[1], 0)
    }
    with connect(Role.BI) as connection:
        kpis = connection.execute(
            "select kpi_id, period from marts.scorecard where data_label = 'sample'"
            " and kpi_id = any('{hospital_beds_per_10k,health_insurance_coverage}')"
        ).fetchall()
    # What needs the held dataset shows the month before; what does not is of the release month.
    assert set(kpis) == {
        ("hospital_beds_per_10k", MONTHS[0]),
        ("health_insurance_coverage", MONTHS[1]),
    }


def _forget_hospitals(warehouse: Warehouse) -> None:
    """A list of facilities in which no hospital is called one."""
    month = MONTHS[1]
    path = warehouse.inbox / "health" / month / f"CoSoYTe_{month.replace('-', '')}.xlsx"
    book = load_workbook(path)
    cells = [cell for row in book["CoSoYTe"].iter_rows() for cell in row if cell.value == "BV"]
    assert cells
    for cell in cells:
        cell.value = "PKDK"
    book.save(path)


def _quality_of(period: str) -> dict[tuple[str, str], tuple[str, str, str, int]]:
    """Source and dataset → status, batch, period and age of what serves them; monthly ones only."""
    with connect(Role.BI) as connection:
        rows = connection.execute(
            "select source, dataset, status, serving_batch_id, serving_period, serving_age_days"
            " from marts.fct_data_quality where period = %s",
            (period,),
        ).fetchall()
    return {(source, dataset): tuple(serving) for source, dataset, *serving in rows}
