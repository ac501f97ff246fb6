"""Housing, water and culture of the invented province: its files by hand give its truth."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from loaders.contracts.model import get_dataset
from loaders.sample import GeneratedFile, generate
from loaders.sample.geography import SEEDS_DIR
from tests.unit.written import text_of

MONTHS = ["2024-12", "2025-06", "2025-12", "2026-12"]
YEARS = ("2024", "2025", "2026")
Row = dict[str, str]


class Written:
    """Undamaged files of four months, and the answers."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            (file.dataset, file.period): file
            for file in generate(
                MONTHS, 0.01, 7, folder / "inbox", folder / "truth", defect_share=0
            )
        }
        with (folder / "truth" / "truth.csv").open(encoding="utf-8", newline="") as file:
            self.truth = list(csv.DictReader(file))

    def rows(self, dataset: str, period: str) -> list[Row]:
        """The file as its reader gives it, by contract column."""
        file: GeneratedFile = self.files[dataset, period]
        contract = get_dataset(file.source, dataset)
        names = {column.header(period): column.name for column in contract.columns}
        frame = text_of(file)
        return [
            {names.get(header, header): value for header, value in row.items()}
            for row in frame.iter_rows(named=True)
        ]

    def sum(self, dataset: str, period: str, column: str) -> int:
        return sum(int(row[column]) for row in self.rows(dataset, period))

    def total(self, kpi_id: str, period: str) -> tuple[int, str]:
        """Numerator and denominator of everything that was delivered."""
        boundary = "qn_programme" if period < "2025" else "qn_current"
        (row,) = (
            row
            for row in self.truth
            if (row["kpi_id"], row["period"]) == (kpi_id, period)
            and (row["boundary"], row["unit_level"]) == (boundary, "boundary")
            and row["breakdown"] == "total"
        )
        return int(row["numerator"]), row["denominator"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("environment"))


#: KPI → dataset, column above and column below the line, of all rows of the file.
RATES = {
    "housing_floor_area_per_capita": ("floor_area", "floor_area_m2", "persons"),
    "clean_water_urban_households": (
        "urban_water", "households_with_standard_water", "households",
    ),
    "clean_water_rural_households": ("rural_water", "households_indicator_02", "households"),
    "domestic_wastewater_treated": ("wastewater", "treated_m3_day", "generated_m3_day"),
}  # fmt: skip


@pytest.mark.parametrize("period", YEARS)
@pytest.mark.parametrize("kpi_id", RATES)
def test_a_rate_is_the_sums_of_its_file(written: Written, kpi_id: str, period: str) -> None:
    dataset, above, below = RATES[kpi_id]
    numerator, denominator = written.total(kpi_id, period)
    assert numerator == written.sum(dataset, period, above)
    assert int(denominator) == written.sum(dataset, period, below)


@pytest.mark.parametrize("period", YEARS)
def test_only_the_listed_count(written: Written, period: str) -> None:
    """Communes visited whole, concentrated settlements, remote and mountain communes."""
    visited = [
        r for r in written.rows("household_sanitation", period) if r["coverage_code"] == "TB"
    ]
    numerator, denominator = written.total("sanitation_households", period)
    assert numerator == sum(int(r["households_with_standard_latrine"]) for r in visited)
    assert int(denominator) == sum(int(r["households"]) for r in visited)

    settlements = [r for r in written.rows("settlements", period) if r["is_concentrated"] == "1"]
    numerator, denominator = written.total("rural_settlements_wastewater_collection", period)
    assert numerator == sum(r["has_collection"] == "1" for r in settlements)
    assert int(denominator) == len(settlements)

    communes = written.rows("commune_checklist", period)
    remote = [r for r in communes if r["is_remote_area"] == "1"]
    numerator, denominator = written.total("culture_information_access_remote_population", period)
    assert numerator == sum(int(r["residents_with_access"]) for r in remote)
    assert int(denominator) == sum(int(r["residents"]) for r in remote)
    mountain = [r for r in communes if r["is_ethnic_mountain"] == "1"]
    numerator, denominator = written.total("culture_information_communes_ethnic_mountain", period)
    assert numerator == sum(r["meets_criteria"] == "1" for r in mountain)
    assert int(denominator) == len(mountain)


@pytest.mark.parametrize("period", MONTHS)
def test_only_blocks_accepted_since_2021_count(written: Written, period: str) -> None:
    blocks = written.rows("social_housing_blocks", period)
    accepted = [
        row for row in blocks if row["accepted_on"] and int(row["accepted_on"][-4:]) >= 2021
    ]
    dwellings = sum(int(row["units_completed"]) for row in accepted)
    assert written.total("social_housing_units_completed", period) == (dwellings, "")
    assert {"KC", "DBH", "HT"} <= {row["stage_code"] for row in blocks}
    # The traps: accepted before the base, and built without being accepted.
    assert len(accepted) < sum(row["stage_code"] == "HT" for row in blocks)
    assert any(int(r["units_completed"]) > 0 for r in blocks if r["stage_code"] == "DBH")


def test_the_reform_changes_communes_and_no_household(written: Written) -> None:
    """Every household is in one water list, whatever its commune is called."""
    for period in YEARS:
        households = written.sum("urban_water", period, "households") + written.sum(
            "rural_water", period, "households"
        )
        with_people = written.sum("floor_area", period, "persons")
        residents = written.sum("commune_checklist", period, "residents")
        month = f"{period}-12"
        population = sum(int(r["population"]) for r in written.rows("commune_population", month))
        assert with_people == residents == population
        assert 2 < population / households < 6
    urban = {y: written.sum("urban_water", y, "households") for y in ("2024", "2025")}
    towns = {
        y: sum(int(r["generated_m3_day"]) for r in written.rows("wastewater", y)
               if r["area_type_code"] == "DT" and r["unit_code"].startswith("2"))
        for y in ("2024", "2025")
    }  # fmt: skip
    assert urban["2024"] > 0
    assert towns["2025"] > 0.9 * towns["2024"]


def test_settlements_keep_their_codes_in_new_communes(written: Written) -> None:
    before = {r["settlement_code"]: r["unit_code"] for r in written.rows("settlements", "2024")}
    after = {r["settlement_code"]: r["unit_code"] for r in written.rows("settlements", "2025")}
    stayed = before.keys() & after.keys()
    # Some became part of a ward, which has no rural settlement.
    assert 0.8 * len(before) < len(stayed) < len(before)
    assert any(before[code] != after[code] for code in stayed)


def test_progress_of_a_task_never_falls(written: Written) -> None:
    """An agency and its successor are one; who is silent for a quarter goes on afterwards."""
    with (SEEDS_DIR / "programme_agency.csv").open(encoding="utf-8", newline="") as file:
        successor = {r["agency_id"]: r["successor_agency_id"] for r in csv.DictReader(file)}
    course: dict[tuple[str, str], list[int]] = defaultdict(list)
    reporters: dict[str, set[str]] = {}
    for quarter in ("2024-Q4", "2025-Q2", "2025-Q4", "2026-Q4"):
        rows = written.rows("task_progress", quarter)
        reporters[quarter] = {row["agency_id"] for row in rows}
        for row in rows:
            agency = successor.get(row["agency_id"]) or row["agency_id"]
            course[row["task_id"], agency].append(int(row["percent_done"]))
            assert (row["status_code"] == "HT") == (row["percent_done"] == "100")
            assert (row["status_code"] == "CH") == bool(row["late_reason_code"])
    assert all(percents == sorted(percents) for percents in course.values())
    # The district committees ended with June 2025; the board's day is not proven, its year is.
    assert "huyen_uy" in reporters["2025-Q2"]
    assert "dang_uy_xa" not in reporters["2025-Q2"]
    assert {"dang_uy_xa", "dang_uy_ubnd"} <= reporters["2025-Q4"]
    assert "huyen_uy" not in reporters["2025-Q4"]
