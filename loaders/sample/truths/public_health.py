"""True values of the health KPIs beyond facilities and staff, from the people themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl

from loaders.sample.province import Month, Province
from loaders.sample.truths.base import (
    Known,
    KpiCells,
    age_group,
    count_cells,
    residents,
    sex,
)

#: Every protection of the first year → (vaccines that give it, doses).
PROTECTIONS = {
    "tuberculosis": (("BCG",), 1),
    "hepatitis B at birth": (("VGBSS",), 1),
    "five diseases": (("DPT5", "6IN1"), 3),
    "polio": (("OPV", "6IN1"), 3),
    "injected polio": (("IPV", "6IN1"), 1),
    "measles": (("SOI", "SQR"), 1),
}
#: KPI → disease whose end a decision recognises.
ENDED = {"aids_ended": "HIV", "malaria_eliminated": "SR", "tuberculosis_ended": "LAO"}


def cells(province: Province, month: Month, known: dict[str, Known]) -> Iterator[KpiCells]:
    """Numerators and denominators of the month and, in December, of the year."""
    population = residents(month, known)
    for kpi_id, column in (
        ("electronic_health_record_coverage", "persons_with_record"),
        ("population_health_managed", "persons_managed"),
    ):
        counted = [
            known["health_records"]
            .kept(damaged=damaged)
            .with_columns(sex=sex(), age_group=age_group(month), n=pl.col(column))
            for damaged in (True, False)
        ]
        parts = count_cells(counted, [population, population], ("sex", "age_group"))
        yield KpiCells(kpi_id, month.period, 100, parts)
    cohorts = [
        _cohort(month, known["immunisation_children"].kept(damaged=d)) for d in (True, False)
    ]
    immunised = [
        _immunised(children, known["immunisation_doses"].kept(damaged=damaged))
        for children, damaged in zip(cohorts, (True, False), strict=True)
    ]
    parts = count_cells(immunised, cohorts, ("sex", "ethnic_group"))
    yield KpiCells("epi_full_immunisation_u1", month.period, 100, parts)
    if month.year_label:
        yield from _annual(month, month.year_label, known)


def _annual(month: Month, year: str, known: dict[str, Known]) -> Iterator[KpiCells]:
    measured = [
        known["nutrition_survey"]
        .kept(damaged=damaged)
        .filter(pl.col("height_for_age_z").is_between(-6, 6))
        .with_columns(sex=sex(), ethnic_group=pl.col("_ethnic"), n=pl.lit(1))
        for damaged in (True, False)
    ]
    stunted = [children.filter(pl.col("height_for_age_z") < -2) for children in measured]
    yield KpiCells(
        "stunting_u5", year, 100, count_cells(stunted, measured, ("sex", "ethnic_group"))
    )

    status = known["disease_status"].rows
    end = dt.date(month.year, 12, 31)
    for kpi_id, disease in ENDED.items():
        asked = status.filter(pl.col("disease_code") == disease).with_columns(n=pl.lit(1))
        in_force = asked.filter((pl.col("is_ended") == "1") & (pl.col("decided_on") <= end))
        parts = count_cells([in_force, in_force], [asked, asked])
        yield KpiCells(kpi_id, year, 1, parts, series="status")

    listed = [
        known["facility_sanitation"]
        .kept(damaged=damaged)
        .with_columns(
            category=pl.when("_is_station").then(pl.lit("station")).otherwise(pl.lit("point")),
            n=pl.lit(1),
        )
        for damaged in (True, False)
    ]
    standard = [places.filter(pl.col("has_standard_toilet") == "1") for places in listed]
    parts = count_cells(standard, listed, ("category",))
    yield KpiCells("sanitation_health_stations", year, 100, parts)


def _cohort(month: Month, entries: pl.DataFrame) -> pl.DataFrame:
    """Children whose first birthday lies in the month, each once, where last entered."""
    managed = entries.filter(
        (pl.col("status_code") == "QL") & (pl.col("_birth_index") == month.index - 12)
    )
    return (
        managed.sort(["_person", "registered_on", "_unit"], descending=[False, True, False])
        .unique("_person", keep="first", maintain_order=True)
        .select("_person", "_unit", sex=sex(), ethnic_group="_ethnic", n=pl.lit(1))
    )


def _immunised(children: pl.DataFrame, doses: pl.DataFrame) -> pl.DataFrame:
    """Children with every protection; two records of one day are one dose."""
    complete = children
    for vaccines, wanted in PROTECTIONS.values():
        given = (
            doses.filter(pl.col("vaccine_code").is_in(vaccines))
            .group_by("_person")
            .agg(pl.col("given_on").n_unique())
            .filter(pl.col("given_on") >= wanted)
        )
        complete = complete.join(given, on="_person", how="semi")
    return complete
