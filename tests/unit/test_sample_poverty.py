"""Poverty and social protection of the invented province: its files and its truth agree."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest

from loaders.contracts.model import get_dataset
from loaders.quality import get_suite
from loaders.readers import READERS
from loaders.sample import generate
from loaders.sample.poverty import KINDS

MONTHS = ["2025-06", "2025-07", "2025-12", "2026-01"]
Row = dict[str, str]


class Written:
    """The files of four months, without their damaged rows, and the answers."""

    def __init__(self, folder: Path) -> None:
        self.files = generate(MONTHS, 0.01, 7, folder / "inbox", folder / "truth")
        self.truth = _read(folder / "truth" / "truth.csv")
        self.defects = _read(folder / "truth" / "defects.csv")

    def good(self, dataset: str, period: str) -> list[Row]:
        """Rows by contract column that nothing is wrong with; of a duplicate the first stays."""
        bad = {
            int(d["row_number"])
            for d in self.defects
            if (d["dataset"], d["period"]) == (dataset, period)
        }
        file = next(f for f in self.files if (f.dataset, f.period) == (dataset, period))
        contract = get_dataset(file.source, dataset)
        names = {column.header(period): column.name for column in contract.columns}
        reader = contract.extension.reader
        table = READERS[reader.name](file.path, **reader.options)
        frame = pl.concat(batch.frame for batch in table.batches)
        return [
            {names.get(header, header): value for header, value in row.items()}
            for row in frame.iter_rows(named=True)
            if row["_row_number"] not in bad
        ]

    def total(self, kpi_id: str, period: str, series: str = "total") -> tuple[int, int]:
        wanted = (kpi_id, period, series, "qn_current", "boundary", "total")
        names = ("kpi_id", "period", "series", "boundary", "unit_level", "breakdown")
        (row,) = (r for r in self.truth if tuple(r[name] for name in names) == wanted)
        return int(row["numerator"]), int(row["denominator"])

    def paid(self, period: str) -> dict[str, list[Row]]:
        """Payments of the month by living person."""
        rows = defaultdict(list)
        for row in self.good("assistance_payments", period):
            if not row["died_on"]:
                rows[row["person_key"]].append(row)
        return rows


def _read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("poverty"))


@pytest.mark.parametrize("period", MONTHS)
def test_poor_over_all_households_by_the_standard_of_the_month(
    written: Written, period: str
) -> None:
    listed = [row["class_code"] for row in written.good("poor_households", period)]
    everybody = sum(int(row["households"]) for row in written.good("household_totals", period))
    standard, other = "2021_2025", "2026_2030"
    if period >= "2026":
        standard, other = other, standard
    found = {
        name: written.total("poverty_rate_multidimensional", period, f"{name}_{standard}")
        for name in ("poor", "near_poor", "poor_and_near_poor")
    }
    assert found == {
        "poor": (listed.count("HN"), everybody),
        "near_poor": (listed.count("HCN"), everybody),
        "poor_and_near_poor": (len(listed), everybody),
    }
    series = {
        row["series"]
        for row in written.truth
        if (row["kpi_id"], row["period"]) == ("poverty_rate_multidimensional", period)
    }
    assert not any(name.endswith(other) for name in series)


def test_the_reform_makes_nobody_poor_and_the_new_standard_does(written: Written) -> None:
    homes = [{r["household_key"] for r in written.good("poor_households", m)} for m in MONTHS]
    june, july, december, january = homes
    assert len(june ^ july) < 0.05 * len(june)
    assert len(january) > 1.02 * len(december)


@pytest.mark.parametrize("period", MONTHS)
def test_children_count_by_household_and_the_decree_asks_where_it_lives(
    written: Written, period: str
) -> None:
    area = {
        r["household_key"]: r["is_difficult_area"] for r in written.good("poor_households", period)
    }
    year, month = int(period[:4]), int(period[5:])
    paid = written.paid(period)
    small: dict[str, bool] = {}
    for row in written.good("poor_household_members", period):
        born_month, born_year = (int(part) for part in row["birth_month"].split("/")[1:])
        if row["household_key"] in area and (year - born_year) * 12 + month - born_month < 36:
            home = row["household_key"]
            small[home] = small.get(home, False) or row["person_key"] in paid
    kpi_id = "assistance_poor_children_u36m"
    difficult = [is_paid for home, is_paid in small.items() if area[home] == "1"]
    assert written.total(kpi_id, period, "programme_wording") == (sum(small.values()), len(small))
    assert written.total(kpi_id, period, "decree_20_2021") == (sum(difficult), len(difficult))
    assert 0 < len(difficult) < len(small)


@pytest.mark.parametrize("period", MONTHS)
def test_a_person_is_paid_without_cash_when_all_of_it_is(written: Written, period: str) -> None:
    persons = written.paid(period).values()
    own = {"CC", "GH"}
    wholly = [rows for rows in persons if all(r["account_holder_code"] in own for r in rows)]
    rows = [row for person in persons for row in person]
    through = sum(int(r["amount_vnd"]) for r in rows if r["account_holder_code"] in own)
    kpi_id = "cashless_payment_social_assistance"
    assert written.total(kpi_id, period, "persons") == (len(wholly), len(persons))
    amount = sum(int(r["amount_vnd"]) for r in rows)
    assert written.total(kpi_id, period, "amount") == (through, amount)
    assert any(row["account_holder_code"] == "NT" for row in rows)
    assert len(rows) > len(persons)


@pytest.mark.parametrize("period", MONTHS)
def test_the_lonely_draw_assistance_or_from_july_2025_a_pension(
    written: Written, period: str
) -> None:
    paid = set(written.paid(period))
    has_pension = any(f.dataset == "social_pension" and f.period == period for f in written.files)
    assert has_pension == (period >= "2025-07")
    if has_pension:
        paid |= {
            r["person_key"] for r in written.good("social_pension", period) if r["is_paid"] == "1"
        }
    homes = {r["household_key"]: r["class_code"] for r in written.good("poor_households", period)}
    lonely = [
        (homes[r["household_key"]], r["person_key"] in paid)
        for r in written.good("poor_household_members", period)
        if r["has_no_support"] == "1" and r["household_key"] in homes
    ]
    poor = [is_paid for kind, is_paid in lonely if kind == "HN"]
    kpi_id = "assistance_poor_lonely_elderly"
    found = written.total(kpi_id, period, "programme_wording")
    assert found == (sum(is_paid for _, is_paid in lonely), len(lonely))
    assert written.total(kpi_id, period, "decree_20_2021") == (sum(poor), len(poor))


def test_households_unable_to_leave_poverty_are_counted_in_december(written: Written) -> None:
    unable = {
        r["household_key"]
        for r in written.good("poor_households", "2025-12")
        if r["cannot_exit"] == "1"
    }
    pensions = {
        r["person_key"] for r in written.good("social_pension", "2025-12") if r["is_paid"] == "1"
    }
    helped = {row["household_key"] for rows in written.paid("2025-12").values() for row in rows} | {
        r["household_key"]
        for r in written.good("poor_household_members", "2025-12")
        if r["person_key"] in pensions
    }
    found = written.total("assistance_poor_households_no_exit", "2025")
    assert found == (len(unable & helped), len(unable))
    assert 0 < found[0] < found[1]


@pytest.mark.parametrize("dataset", KINDS)
def test_every_own_rule_about_rows_has_its_damage(dataset: str) -> None:
    source = "poverty_review" if dataset.startswith(("poor", "house")) else "social_protection"
    rules = {
        rule.meta.id
        for rule in get_suite("intake", f"{source}__{dataset}").rules
        if rule.meta.kind == "row"
    }
    damaged = {kind.rule for kind in KINDS[dataset] if not kind.rule.startswith("contract.")}
    assert damaged == rules
