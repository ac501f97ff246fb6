"""The table of retirement ages, held against the schedule of the law month by month."""

from __future__ import annotations

import csv

import pytest

from loaders.sample.insurance import last_retired
from loaders.settings import PROJECT_ROOT

SEED = PROJECT_ROOT / "dbt_project" / "seeds" / "retirement_age.csv"
#: Decree 135/2020, Article 4: years and months of age by calendar year; 2020 is the law before.
MEN = {
    2020: (60, 0), 2021: (60, 3), 2022: (60, 6), 2023: (60, 9), 2024: (61, 0), 2025: (61, 3),
    2026: (61, 6), 2027: (61, 9), 2028: (62, 0),
}  # fmt: skip
WOMEN = {
    2020: (55, 0), 2021: (55, 4), 2022: (55, 8), 2023: (56, 0), 2024: (56, 4), 2025: (56, 8),
    2026: (57, 0), 2027: (57, 4), 2028: (57, 8), 2029: (58, 0), 2030: (58, 4), 2031: (58, 8),
    2032: (59, 0), 2033: (59, 4), 2034: (59, 8), 2035: (60, 0),
}  # fmt: skip
SCHEDULE = {"male": MEN, "female": WOMEN}
FIRST_AND_LAST = {"male": ("1960-10", "1968-12"), "female": ("1965-06", "1977-12")}


def number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:7]) - 1


def label(months: int) -> str:
    return f"{months // 12:04d}-{months % 12 + 1:02d}"


def retirement(sex: str, birth: int) -> tuple[int, int, int]:
    """Years, months of age and month of retirement: the first month in which the age that its
    own year asks for is reached."""
    ages = SCHEDULE[sex]
    for month in range(birth + 55 * 12, birth + 63 * 12):
        years, months = ages[min(month // 12, max(ages))] if month // 12 >= 2020 else (99, 0)
        if month - birth >= years * 12 + months:
            return (month - birth) // 12, (month - birth) % 12, month
    raise AssertionError(f"{sex} born in {label(birth)} never retires")


def table() -> list[dict[str, str]]:
    with SEED.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_month_of_birth_has_the_age_of_the_schedule() -> None:
    expected = [
        (sex, f"{label(birth)}-01", *map(str, (years, months)), label(month), label(month + 1))
        for sex, (first, last) in FIRST_AND_LAST.items()
        for birth in range(number(first), number(last) + 1)
        for years, months, month in [retirement(sex, birth)]
    ]
    assert len(expected) == 250
    assert [tuple(row.values())[:6] for row in table()] == expected


@pytest.mark.parametrize(
    ("sex", "birth_month", "retires"),
    [
        # In December 2021 60 years 3 months are enough; a month later it takes 60 years 6 months.
        ("male", "1961-09-01", "2021-12"),
        ("male", "1961-10-01", "2022-04"),
        ("female", "1966-08-01", "2021-12"),
        ("female", "1966-09-01", "2022-05"),
        ("male", "1966-03-01", "2027-12"),
        ("male", "1966-04-01", "2028-04"),
    ],
)
def test_a_new_year_asks_for_more(sex: str, birth_month: str, retires: str) -> None:
    [row] = [r for r in table() if (r["sex"], r["birth_month"]) == (sex, birth_month)]
    assert row["retirement_month"] == retires


def test_nobody_retires_before_somebody_older() -> None:
    for sex in SCHEDULE:
        months = [row["retirement_month"] for row in table() if row["sex"] == sex]
        assert months == sorted(months)


@pytest.mark.parametrize("period", ["2024-01", "2024-12", "2025-01", "2025-07", "2027-12"])
def test_the_sample_retires_people_by_the_same_law(period: str) -> None:
    for code, sex in ((1, "male"), (2, "female")):
        reached = [
            row["birth_month"]
            for row in table()
            if row["sex"] == sex and row["retirement_month"] <= period
        ]
        assert label(last_retired(number(period), code)) == max(reached)[:7]
