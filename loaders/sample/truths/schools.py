"""True values for schools, decisions on universal education and vocational enrolment."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from loaders.sample.province import Month, Province
from loaders.sample.truths.base import Known, KpiCells, count_cells, sex

LEVEL_NAMES = {
    "01": "preschool", "02": "primary", "03": "lower_secondary", "04": "upper_secondary",
}  # fmt: skip


def cells(province: Province, month: Month, known: dict[str, Known]) -> Iterator[KpiCells]:
    """True counts of the KPIs of the year that ends with the month."""
    year = month.year_label
    if year is None:
        return
    schools = [_schools(known["schools"].kept(damaged=d)) for d in (True, False)]
    clean = [rows.filter("_up_to_standard") for rows in schools]
    yield KpiCells("sanitation_schools", year, 100, count_cells(clean, schools, ["level"]))
    examined = [
        known["universalisation"].kept(damaged=d).with_columns(n=pl.lit(1)) for d in (True, False)
    ]
    preschool = [rows.filter(pl.col("programme_code") == "PCGDMN") for rows in examined]
    recognised = [rows.filter("_recognised") for rows in preschool]
    yield KpiCells("preschool_universalisation_3_5", year, 100, count_cells(recognised, preschool))
    literacy = [rows.filter(pl.col("programme_code") == "XMC") for rows in examined]
    second = [
        rows.filter(pl.col("_recognised") & (pl.col("level_code") == "2")) for rows in literacy
    ]
    series = "districts" if month.era < 2 else "communes"
    yield KpiCells("literacy_level2_units", year, 100, count_cells(second, literacy), series)
    finished = [_graduates(province, known["graduates"].kept(damaged=d)) for d in (True, False)]
    begun = [
        known["vocational_enrolments"]
        .kept(damaged=d)
        .group_by("_person")
        .agg(pl.col("_enrolled").max())
        for d in (True, False)
    ]
    for level in ("THCS", "THPT"):
        of_level = [rows.filter(pl.col("level_code") == level) for rows in finished]
        # A course begun before graduation was no way on from it.
        went_on = [
            graduates.join(learners, on="_person").filter(
                pl.col("_enrolled") >= pl.col("_graduated")
            )
            for graduates, learners in zip(of_level, begun, strict=True)
        ]
        yield KpiCells(
            "lower_secondary_to_vocational_share",
            year,
            100,
            count_cells(went_on, of_level, ("sex", "ethnic_group")),
            level.lower(),
        )


def _schools(campuses: pl.DataFrame) -> pl.DataFrame:
    """Schools, by their main campus."""
    return campuses.filter("_main").with_columns(
        level=pl.col("level_code").replace_strict(LEVEL_NAMES), n=pl.lit(1)
    )


def _graduates(province: Province, rows: pl.DataFrame) -> pl.DataFrame:
    """Each graduate once, whatever the number of lists."""
    once = rows.group_by("_person", "level_code").agg(
        pl.col("_unit").min(), pl.col("_graduated").min()
    )
    person = once["_person"].to_numpy()
    return once.with_columns(
        _sex=pl.Series(province.sex[person]),
        ethnic_group=pl.Series(province.ethnic[province.household[person]]),
        n=pl.lit(1),
    ).with_columns(sex=sex())
