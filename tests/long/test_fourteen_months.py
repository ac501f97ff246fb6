"""Fourteen months across the reform of July 2025 and the poverty standard of January 2026."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from loaders.contracts.model import load_contracts
from loaders.postgres.database import Role, connect
from loaders.register import computed_kpis
from loaders.sample import generate
from loaders.settings import PROJECT_ROOT
from loaders.stages.build import build
from loaders.stages.setup import prepare_warehouse
from tests.conftest import Warehouse
from tests.end_to_end.conftest import SCALE, SEED, CellKey, import_month, read_truth

MONTHS = ["2024-12", *(f"2025-{number:02d}" for number in range(1, 13)), "2026-01"]
Cell = tuple[Decimal, Decimal | None]


@pytest.fixture(scope="module")
def truth(warehouse: Warehouse) -> Iterator[dict[CellKey, dict[str, str]]]:
    """Every month taken in, and all of them computed in one build."""
    folder = warehouse.home / "truth"
    generate(MONTHS, SCALE, SEED, warehouse.inbox, folder)
    prepare_warehouse()
    for month in MONTHS:
        assert {result.status for result in import_month(month)} == {"accepted"}
    assert build(MONTHS[-1]).periods == tuple(MONTHS)
    yield read_truth(folder)


def computed() -> dict[CellKey, Cell]:
    with connect(Role.ADMIN) as connection:
        rows = connection.execute(
            "select kpi_id, series, period, boundary, unit_level, unit_code, breakdown,"
            " breakdown_value, numerator, denominator from intermediate.int_kpi__rolled_up"
        ).fetchall()
    return {row[:8]: row[8:] for row in rows}


def test_every_figure_equals_the_truth(truth: dict[CellKey, dict[str, str]]) -> None:
    found = computed()
    assert {key[0] for key in truth} == computed_kpis(PROJECT_ROOT)
    expected = {
        key: (
            Decimal(row["numerator"]),
            Decimal(row["denominator"]) if row["denominator"] else None,
        )
        for key, row in truth.items()
    }
    assert {k: (found.get(k), cell) for k, cell in expected.items() if found.get(k) != cell} == {}
    # The province does not list cells without people (0 of 0); nothing else may be extra.
    assert {k: cell for k, cell in found.items() if k not in expected and any(cell)} == {}


def test_every_period_that_has_ended_is_in_the_release(
    truth: dict[CellKey, dict[str, str]],
) -> None:
    with connect(Role.ADMIN) as connection:
        rows = connection.execute("select distinct kpi_id, period from candidate.fct_kpi_value")
        published = set(rows.fetchall())
    assert {(key[0], key[2]) for key in truth} <= published


def test_each_kpi_has_figures_in_periods_of_its_own(truth: dict[CellKey, dict[str, str]]) -> None:
    kinds: dict[str, set[int]] = {}
    for key in computed():
        kinds.setdefault(key[0], set()).add(len(key[2]))
    assert {kpi: found for kpi, found in kinds.items() if len(found) != 1} == {}
    months = {key[2] for key in computed() if len(key[2]) == len("2025-07") and "Q" not in key[2]}
    assert months == set(MONTHS)
    assert {key[2] for key in computed() if len(key[2]) == len("2025")} == {"2024", "2025"}


def test_the_same_people_stand_in_old_and_new_units(truth: dict[CellKey, dict[str, str]]) -> None:
    """Residents of old communes in June and of new ones in July, but for a month of life."""
    with connect(Role.ADMIN) as connection:
        rows = connection.execute(
            """
            with population as (
                select period, unit_code, sum(population) as persons
                from intermediate.int_population__commune_month
                where period in ('2025-06', '2025-07')
                group by period, unit_code
            ),
            pairs as (
                select left(old_unit_id, 5) as old_code, left(new_unit_id, 5) as new_code
                from reference.geo_crosswalk
                where effective_on = '2025-07-01'
            ),
            -- Two new communes share the one that was divided: only together are they the same.
            divided as (
                select new_code from pairs where old_code in (
                    select old_code from pairs group by old_code having count(*) > 1
                )
            ),
            old as (
                select pairs.new_code, sum(population.persons) as persons
                from pairs
                inner join population
                    on pairs.old_code = population.unit_code and population.period = '2025-06'
                group by pairs.new_code
            )
            select new.unit_code, old.persons, new.persons
            from population as new
            left join old on new.unit_code = old.new_code
            where new.period = '2025-07'
                and new.unit_code not in (select new_code from divided)
            """
        ).fetchall()
    compared = [(code, int(before), int(after)) for code, before, after in rows if before]
    assert len(compared) >= 90
    wrong = [row for row in compared if abs(row[1] - row[2]) > 5 + row[1] // 50]
    assert wrong == []


def test_every_contract_took_part(truth: dict[CellKey, dict[str, str]]) -> None:
    with connect(Role.AUDITOR) as connection:
        found = connection.execute(
            "select distinct source || '__' || dataset from audit.batch_accepted"
        ).fetchall()
    every = {dataset.raw_table for contract in load_contracts() for dataset in contract.datasets}
    assert {name for (name,) in found} == every


def test_the_sample_leaves_no_file_behind_unread(warehouse: Warehouse) -> None:
    """As many files in the inbox as batches in raw: no dataset is generated but never taken."""
    files = [
        Path(folder) / name
        for folder, _, names in os.walk(warehouse.inbox)
        for name in names
        if not name.endswith(".delivery.json")
    ]
    with connect(Role.AUDITOR) as connection:
        row = connection.execute("select count(*) from audit.batch_accepted").fetchone()
    assert row == (len(files),)
