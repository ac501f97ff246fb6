"""The right answer for health staff and beds, health insurance, schooling, temporary houses."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from loaders.sample.province import Month, Province
from loaders.sample.truths.base import Known, KpiCells, age_group, count_cells, residents, sex

#: KPI → (level codes, youngest, oldest) by school age.
ENROLMENT = {
    "net_enrolment_primary": ((1,), 6, 10),
    "net_enrolment_lower_secondary": ((2,), 11, 14),
    "net_enrolment_upper_secondary": ((3, 4, 5), 15, 17),
}
#: KPI → (profession, degrees).
STAFF = {
    "doctors_per_10k": ("BS", ("DH", "SDH")),
    "pharmacists_per_10k": ("DS", ("DH", "SDH")),
    "nurses_per_10k": ("DD", ("SDH", "DH", "CD", "TC")),
}
GROUP_ORDER = ("NCC", "HN", "HCN", "KHAC")


def cells(province: Province, month: Month, known: dict[str, Known]) -> Iterator[KpiCells]:
    population = residents(month, known)
    cards = known["health_insurance_members"]
    parts = ["sex", "age_group"]
    insured = [_insured(month, cards.kept(damaged=d)) for d in (True, False)]
    yield KpiCells(
        "health_insurance_coverage", month.period, 100, count_cells(insured, [population], parts)
    )
    staff = known["staff"]
    for kpi_id, (profession, degrees) in STAFF.items():
        counted = [_staff(staff.kept(damaged=d), profession, degrees) for d in (True, False)]
        yield KpiCells(kpi_id, month.period, 10_000, count_cells(counted, [population]))
    beds = [_beds(known["facilities"].kept(damaged=d)) for d in (True, False)]
    yield KpiCells("hospital_beds_per_10k", month.period, 10_000, count_cells(beds, [population]))
    for kpi_id, (levels, youngest, oldest) in ENROLMENT.items():
        pupils = known["pupils"]
        counted = [
            _enrolled(month, pupils.kept(damaged=d), levels, youngest, oldest)
            for d in (True, False)
        ]
        age = month.school_start_year - pl.col("birth_year")
        of_age = population.filter(age.is_between(youngest, oldest))
        yield KpiCells(kpi_id, month.period, 100, count_cells(counted, [of_age], ["sex"]))
    houses = known["temporary_houses"]
    approved, undamaged = (_houses(houses.kept(damaged=d)) for d in (True, False))
    remaining = [h.filter(~pl.col("done")) for h in (approved, undamaged)]
    yield KpiCells(
        "temporary_houses_remaining",
        month.period,
        0,
        count_cells(remaining, [approved], ["household_group"]),
    )


def _insured(month: Month, cards: pl.DataFrame) -> pl.DataFrame:
    end = pl.lit(month.end).cast(pl.Int32).cast(pl.Date)
    valid = cards.filter((pl.col("valid_from") <= end) & (pl.col("valid_to") >= end))
    person = valid.sort(["_person", "valid_from", "_unit"], descending=[False, True, False]).unique(
        "_person", keep="first", maintain_order=True
    )
    return person.select(
        "_unit",
        sex().alias("sex"),
        age_group(month, "_birth_year").alias("age_group"),
        pl.lit(1).alias("n"),
    )


def _staff(staff: pl.DataFrame, profession: str, degrees: tuple[str, ...]) -> pl.DataFrame:
    working = staff.filter(
        (pl.col("profession_code") == profession)
        & pl.col("degree_code").is_in(list(degrees))
        & (pl.col("work_status_code") == "DLV")
    )
    person = working.sort(
        ["_person", "is_main_workplace", "facility_code"], descending=[False, True, False]
    ).unique("_person", keep="first", maintain_order=True)
    return person.select("_unit", pl.lit(1).alias("n"))


def _beds(facilities: pl.DataFrame) -> pl.DataFrame:
    hospitals = facilities.filter(pl.col("facility_type_code").is_in(["BV", "PKDK"]))
    return hospitals.select("_unit", pl.col("planned_beds").alias("n"))


def _enrolled(
    month: Month, pupils: pl.DataFrame, levels: tuple[int, ...], youngest: int, oldest: int
) -> pl.DataFrame:
    latest = pupils.sort(
        ["_person", "_record", "record_version"], descending=[False, False, True]
    ).unique(["_person", "_record"], keep="first", maintain_order=True)
    age = month.school_start_year - pl.col("_birth_year")
    studying = latest.filter(
        (pl.col("_status") == 1)
        & pl.col("_level").is_in(list(levels))
        & age.is_between(youngest, oldest)
    )
    person = studying.sort(
        ["_person", "record_version", "_unit"], descending=[False, True, False]
    ).unique("_person", keep="first", maintain_order=True)
    return person.select("_unit", sex().alias("sex"), pl.lit(1).alias("n"))


def _houses(houses: pl.DataFrame) -> pl.DataFrame:
    """One row per approved household."""
    rank = pl.col("household_group_code").replace_strict(
        {code: i for i, code in enumerate(GROUP_ORDER)}, return_dtype=pl.Int64
    )
    return (
        houses.group_by("_household")
        .agg(
            pl.col("_unit").min(),
            done=pl.col("completed_on").is_not_null().any(),
            rank=rank.min(),
        )
        .sort("_household")
        .with_columns(
            household_group=pl.col("rank").replace_strict(
                dict(enumerate(GROUP_ORDER)), return_dtype=pl.String
            ),
            n=pl.lit(1),
        )
    )
