"""The right answer for housing, water, sanitation, settlements, wastewater and culture."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl

from loaders.sample.province import EPOCH, Month, Province
from loaders.sample.truths.base import Known, KpiCells, count_cells

#: Blocks count from here on.
COUNTED_FROM = dt.date(2021, 1, 1)
HOUSING_TYPES = {
    "B": "for_sale",
    "T": "for_rent",
    "TM": "rent_to_buy",
    "LTCN": "workers_lodging",
}
HOUSE_TYPES = {"RL": "house", "CC": "flat"}
AREA_TYPES = {"DT": "urban", "NT": "rural"}


def cells(province: Province, month: Month, known: dict[str, Known]) -> Iterator[KpiCells]:
    end = EPOCH + dt.timedelta(days=month.end)
    blocks = [_accepted(known["social_housing_blocks"].kept(damaged=d), end) for d in (True, False)]
    yield KpiCells(
        "social_housing_units_completed", month.period, 0, count_cells(blocks, (), ["category"])
    )
    year = month.year_label
    if not year:
        return
    one = pl.lit(1)

    def rate(
        kpi_id: str,
        dataset: str,
        part: pl.Expr,
        whole: pl.Expr,
        *,
        only: pl.Expr | None = None,
        category: pl.Expr | None = None,
        scale: int = 100,
    ) -> KpiCells:
        """Part over whole of the rows that count, in all and by category."""
        groups = {} if category is None else {"category": category}

        def sums(amount: pl.Expr, *, damaged: bool) -> pl.DataFrame:
            rows = known[dataset].kept(damaged=damaged)
            rows = rows if only is None else rows.filter(only)
            return rows.select("_unit", n=amount, **groups)

        numerators = [sums(part, damaged=d) for d in (True, False)]
        counted = count_cells(numerators, [sums(whole, damaged=True)], list(groups))
        return KpiCells(kpi_id, year, scale, counted)

    yield rate(
        "housing_floor_area_per_capita",
        "floor_area",
        pl.col("floor_area_m2"),
        pl.col("persons"),
        category=pl.col("house_type_code").replace_strict(HOUSE_TYPES),
        scale=1,
    )
    yield rate(
        "clean_water_urban_households",
        "urban_water",
        pl.col("households_with_standard_water"),
        pl.col("households"),
    )
    rural = [_rural(known["rural_water"].kept(damaged=d)) for d in (True, False)]
    numerators = [frame.with_columns(n="served") for frame in rural]
    yield KpiCells(
        "clean_water_rural_households",
        year,
        100,
        count_cells(numerators, [rural[0].with_columns(n="all")], ["household_group"]),
    )
    yield rate(
        "sanitation_households",
        "household_sanitation",
        pl.col("households_with_standard_latrine"),
        pl.col("households"),
        only=pl.col("coverage_code") == "TB",
    )
    yield rate(
        "rural_settlements_wastewater_collection",
        "settlements",
        pl.col("has_collection").cast(pl.Int64),
        one,
        only=pl.col("is_concentrated") == "1",
    )
    yield rate(
        "domestic_wastewater_treated",
        "wastewater",
        pl.col("treated_m3_day"),
        pl.col("generated_m3_day"),
        category=pl.col("area_type_code").replace_strict(AREA_TYPES),
    )
    yield rate(
        "culture_information_access_remote_population",
        "commune_checklist",
        pl.col("residents_with_access"),
        pl.col("residents"),
        only=pl.col("is_remote_area") == "1",
    )
    yield rate(
        "culture_information_communes_ethnic_mountain",
        "commune_checklist",
        pl.col("meets_criteria").cast(pl.Int64),
        one,
        only=pl.col("is_ethnic_mountain") == "1",
    )


def _accepted(blocks: pl.DataFrame, end: dt.date) -> pl.DataFrame:
    accepted = blocks.filter(pl.col("accepted_on").is_between(COUNTED_FROM, end))
    category = pl.col("type_code").replace_strict(HOUSING_TYPES, return_dtype=pl.String)
    return accepted.select("_unit", n="units_completed", category=category)


def _rural(water: pl.DataFrame) -> pl.DataFrame:
    """Poor households and the others, with those who have water up to the standard."""
    poor = water.select(
        "_unit",
        household_group=pl.lit("HN"),
        all="poor_households",
        served="poor_households_indicator_02",
    )
    other = water.select(
        "_unit",
        household_group=pl.lit("KHAC"),
        all=pl.col("households") - pl.col("poor_households"),
        served=pl.col("households_indicator_02") - pl.col("poor_households_indicator_02"),
    )
    return pl.concat([poor, other])
