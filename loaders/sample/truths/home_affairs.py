"""True values for people with merit, their fund, workers abroad and births."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from loaders.sample.province import Month, Province
from loaders.sample.truths.base import Cells, Known, KpiCells, age_group, count_cells, sex

LEVEL_NAMES = {"T": "province", "H": "district", "X": "commune"}


def cells(province: Province, month: Month, known: dict[str, Known]) -> Iterator[KpiCells]:
    """True counts of the KPIs whose period ends with the month."""
    people = [known["merit_people"].kept(damaged=d) for d in (True, False)]
    paid = [_paid(province, month, rows) for rows in people]
    for series, numerator, denominator in (
        ("persons", "_is_cashless", "_one"),
        ("amount", "_cashless_vnd", "_paid_vnd"),
    ):
        yield KpiCells(
            "cashless_payment_merit",
            month.period,
            100,
            count_cells(
                [persons.with_columns(n=numerator) for persons in paid],
                [persons.with_columns(n=denominator) for persons in paid],
                ("sex", "age_group"),
            ),
            series,
        )
    mothers = [_mothers(province, month, rows) for rows in people]
    supported = [rows.filter("_supported") for rows in mothers]
    yield KpiCells("vnah_mothers_supported", month.period, 100, count_cells(supported, mothers))
    workers = [
        _departures(province, known["overseas_workers"].kept(damaged=d)) for d in (True, False)
    ]
    parts = ("sex", "ethnic_group", "household_group")
    yield KpiCells("overseas_contract_workers", month.period, 0, count_cells(workers, (), parts))
    if month.quarter:
        raised = [_receipts(known["gratitude_fund"].kept(damaged=d)) for d in (True, False)]
        yield KpiCells(
            "gratitude_fund_raised", month.quarter, 0, count_cells(raised, (), ["level"])
        )
    if month.year_label:
        yield KpiCells(
            "merit_household_living_standard",
            month.year_label,
            100,
            _living_standard(province, known, people),
        )
        yield KpiCells("sex_ratio_at_birth", month.year_label, 100, _births(month, known["births"]))


def _paid(province: Province, month: Month, rows: pl.DataFrame) -> pl.DataFrame:
    """Living persons who were paid: without cash only if nothing of it was in cash."""
    own = (pl.col("method_code") != "TM") & (pl.col("account_holder_code") == "CC")
    persons = (
        rows.filter((pl.col("is_paid") == "1") & ~pl.col("_deceased"))
        .with_columns(_own=own.fill_null(value=False))
        .group_by("_person", "_unit")
        .agg(
            _is_cashless=pl.col("_own").all().cast(pl.Int64),
            _paid_vnd=pl.col("amount_vnd").sum(),
            _cashless_vnd=pl.col("amount_vnd").filter("_own").sum(),
        )
        .with_columns(_one=pl.lit(1))
    )
    return _with_traits(province, persons).with_columns(age_group=age_group(month, "_birth_year"))


def _mothers(province: Province, month: Month, rows: pl.DataFrame) -> pl.DataFrame:
    """Living heroic mothers, by the old province in which they live."""
    mothers = (
        rows.filter((pl.col("category_code") == "BMVNAH") & ~pl.col("_deceased"))
        .group_by("_person")
        .agg(_supported=(pl.col("is_supported") == "1").any())
    )
    place = province.place(mothers["_person"].to_numpy(), month.end)
    owner = pl.Series(province.geography.province[place]).cast(pl.Int32)
    return mothers.with_columns(_unit=owner, n=pl.lit(1))


def _departures(province: Province, rows: pl.DataFrame) -> pl.DataFrame:
    return _with_traits(province, rows).with_columns(
        household_group="household_group_code", n=pl.lit(1)
    )


def _receipts(rows: pl.DataFrame) -> pl.DataFrame:
    """Money from outside the funds: what one level passes to another came in before."""
    return rows.filter((pl.col("kind_code") == "THU") & (pl.col("content_code") != "DC")).select(
        _unit="_province",
        level=pl.col("level_code").replace_strict(LEVEL_NAMES),
        n="amount_vnd",
    )


def _living_standard(
    province: Province, known: dict[str, Known], people: list[pl.DataFrame]
) -> Cells:
    """Households with a living beneficiary in December, and those of them that live well."""
    managed = []
    for rows in people:
        homes = rows.filter(~pl.col("_deceased")).group_by("_household").agg(pl.col("_unit").min())
        ethnic = pl.Series(province.ethnic).gather(homes["_household"])
        managed.append(homes.with_columns(ethnic_group=ethnic, n=pl.lit(1)))
    reviewed = [known["merit_household_review"].kept(damaged=d) for d in (True, False)]
    well_off = [
        homes.join(
            review.filter(pl.col("living_standard_code").is_in(["4", "5"])),
            on="_household",
            how="semi",
        )
        for homes, review in zip(managed, reviewed, strict=True)
    ]
    return count_cells(well_off, managed, ["ethnic_group"])


def _births(month: Month, known: Known) -> Cells:
    """Children born alive in the year, by old province; those of earlier years are not its."""
    born = [
        known.kept(damaged=d)
        .filter((pl.col("_birth_year") == month.year) & pl.col("_live"))
        .select("_sex", _unit="_province", n=pl.lit(1))
        for d in (True, False)
    ]
    boys, girls = ([rows.filter(pl.col("_sex") == s) for rows in born] for s in (1, 2))
    return count_cells(boys, girls)


def _with_traits(province: Province, rows: pl.DataFrame) -> pl.DataFrame:
    person = rows["_person"].to_numpy()
    return rows.with_columns(
        _sex=pl.Series(province.sex[person]),
        _birth_year=pl.Series(province.birth_year[person].astype(int)),
        ethnic_group=pl.Series(province.ethnic[province.household[person]]),
    ).with_columns(sex=sex())
