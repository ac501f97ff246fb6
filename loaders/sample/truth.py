"""The right answer: every computed KPI, from the people themselves.

It knows the definitions on its own and looks neither at the files nor at the warehouse. Rows that
a defect damaged are left out of the numerator, because quarantine leaves them out; the numerator
without damage stands beside it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import polars as pl

from loaders.sample.geography import Geography
from loaders.sample.province import Month

FIELDS = (
    "kpi_id", "period", "boundary", "unit_level", "unit_code", "breakdown", "breakdown_value",
    "numerator", "denominator", "value", "numerator_undamaged",
)  # fmt: skip
TEN_PLACES = Decimal("0.0000000001")
AGE_GROUPS = ((5, "0-5"), (15, "6-15"), (24, "16-24"), (59, "25-59"))
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


@dataclass(frozen=True)
class Known:
    """The records of one dataset in a month and which of them quarantine takes."""

    rows: pl.DataFrame
    lost: np.ndarray

    def kept(self, *, damaged: bool) -> pl.DataFrame:
        return self.rows.filter(pl.Series(~self.lost)) if damaged else self.rows


@dataclass(frozen=True)
class Cells:
    """Counts by commune: columns ``unit``, ``breakdown``, ``breakdown_value`` and ``n``."""

    numerator: pl.DataFrame
    denominator: pl.DataFrame
    undamaged: pl.DataFrame


def truth_rows(geography: Geography, month: Month, known: dict[str, Known]) -> list[dict]:
    """All cells of all computed KPIs of a month; cells of 0 over 0 are not written."""
    population = known["commune_population"].rows.with_columns(
        sex=_sex(), age_group=_age_group(month), n=pl.col("population")
    )
    rows = []
    for kpi_id, scale, cells in _kpis(month, known, population):
        joined = _join(cells)
        for level in _levels(geography, month, joined):
            rows += [
                _row(kpi_id, month.period, scale, cell) for cell in level.iter_rows(named=True)
            ]
    return rows


def _kpis(
    month: Month, known: dict[str, Known], population: pl.DataFrame
) -> Iterable[tuple[str, int, Cells]]:
    cards = known["health_insurance_members"]
    parts = ("sex", "age_group")
    yield (
        "health_insurance_coverage",
        100,
        _cells([_insured(month, cards.kept(damaged=d)) for d in (True, False)], population, parts),
    )
    staff = known["staff"]
    for kpi_id, (profession, degrees) in STAFF.items():
        counted = [_staff(staff.kept(damaged=d), profession, degrees) for d in (True, False)]
        yield kpi_id, 10_000, _cells(counted, population, ())
    beds = [_beds(known["facilities"].kept(damaged=d)) for d in (True, False)]
    yield "hospital_beds_per_10k", 10_000, _cells(beds, population, ())
    for kpi_id, (levels, youngest, oldest) in ENROLMENT.items():
        counted = [
            _enrolled(month, known["pupils"].kept(damaged=d), levels, youngest, oldest)
            for d in (True, False)
        ]
        age = month.school_start_year - pl.col("birth_year")
        of_age = population.filter(age.is_between(youngest, oldest))
        yield kpi_id, 100, _cells(counted, of_age, ("sex",))
    houses = known["temporary_houses"]
    approved, undamaged = (_houses(houses.kept(damaged=d)) for d in (True, False))
    remaining = [h.filter(~pl.col("done")) for h in (approved, undamaged)]
    yield "temporary_houses_remaining", 0, _cells(remaining, approved, ("household_group",))


# ---------------------------------------------------------------------- numerators


def _insured(month: Month, cards: pl.DataFrame) -> pl.DataFrame:
    end = pl.lit(month.end).cast(pl.Int32).cast(pl.Date)
    valid = cards.filter((pl.col("valid_from") <= end) & (pl.col("valid_to") >= end))
    person = valid.sort(["_person", "valid_from", "_unit"], descending=[False, True, False]).unique(
        "_person", keep="first", maintain_order=True
    )
    return person.select(
        "_unit",
        _sex().alias("sex"),
        _age_group(month, "_birth_year").alias("age_group"),
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
    return person.select("_unit", _sex().alias("sex"), pl.lit(1).alias("n"))


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


def _sex() -> pl.Expr:
    return pl.when(pl.col("_sex") == 1).then(pl.lit("male")).otherwise(pl.lit("female"))


def _age_group(month: Month, column: str = "birth_year") -> pl.Expr:
    group = pl.lit("60+")
    for oldest, name in reversed(AGE_GROUPS):
        group = pl.when(month.year - pl.col(column) <= oldest).then(pl.lit(name)).otherwise(group)
    return group


# ---------------------------------------------------------------------- cells and levels


def _cells(
    counted: list[pl.DataFrame], denominator: pl.DataFrame, breakdowns: tuple[str, ...]
) -> Cells:
    numerator, undamaged = (_long(frame, breakdowns) for frame in counted)
    return Cells(numerator, _long(denominator, breakdowns), undamaged)


def _long(frame: pl.DataFrame, breakdowns: tuple[str, ...]) -> pl.DataFrame:
    total = frame.select(
        unit="_unit",
        breakdown=pl.lit("total"),
        breakdown_value=pl.lit("total"),
        n=pl.col("n").cast(pl.Int64),
    )
    parts = [total] + [
        frame.select(
            unit="_unit",
            breakdown=pl.lit(name),
            breakdown_value=pl.col(name),
            n=pl.col("n").cast(pl.Int64),
        )
        for name in breakdowns
    ]
    keys = ["unit", "breakdown", "breakdown_value"]
    return pl.concat(parts).group_by(keys).agg(pl.col("n").sum())


def _join(cells: Cells) -> pl.DataFrame:
    parts = [
        frame.rename({"n": name})
        for name, frame in (
            ("numerator", cells.numerator),
            ("denominator", cells.denominator),
            ("numerator_undamaged", cells.undamaged),
        )
    ]
    keys = ["unit", "breakdown", "breakdown_value"]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.join(part, on=keys, how="full", coalesce=True)
    return joined.with_columns(pl.col(pl.Int64).fill_null(0))


def _levels(geography: Geography, month: Month, joined: pl.DataFrame) -> list[pl.DataFrame]:
    """Commune, district and boundary cells for each boundary, in a fixed order."""
    communes = geography.communes[month.era].values()
    known = pl.DataFrame(
        {
            "unit": [int(c.code) for c in communes],
            "unit_code": [c.code for c in communes],
            "province": [c.province for c in communes],
            "district": [c.district_code for c in communes],
            "urban_rural": ["urban" if c.is_urban else "rural" for c in communes],
            "zone": [c.zone for c in communes],
        },
        schema_overrides={"unit": pl.Int32},
    )
    # An inner join would hide people outside the known communes; there must be none.
    placed = joined.join(known, on="unit", how="left")
    assert placed["unit_code"].null_count() == 0
    boundaries = {"qn_programme": ["51"]}
    if "62" in month.provinces:
        boundaries["qn_current"] = ["51", "62"]
    levels = []
    for boundary, provinces in boundaries.items():
        inside = placed.filter(pl.col("province").is_in(provinces))
        levels.append(_summed(inside, boundary, "commune", pl.col("unit_code")))
        wide = _with_area_breakdowns(inside)
        if month.era < 2:
            levels.append(_summed(wide, boundary, "district", pl.col("district")))
        levels.append(_summed(wide, boundary, "boundary", pl.lit(boundary)))
    return levels


def _with_area_breakdowns(inside: pl.DataFrame) -> pl.DataFrame:
    total = inside.filter(pl.col("breakdown") == "total")
    return pl.concat(
        [inside]
        + [
            total.with_columns(breakdown=pl.lit(name), breakdown_value=pl.col(name))
            for name in ("urban_rural", "zone")
        ]
    )


def _summed(cells: pl.DataFrame, boundary: str, level: str, unit_code: pl.Expr) -> pl.DataFrame:
    keys = ["unit_code", "breakdown", "breakdown_value"]
    measures = ["numerator", "denominator", "numerator_undamaged"]
    return (
        cells.with_columns(unit_code=unit_code)
        .group_by(keys)
        .agg(pl.col(measures).sum())
        .filter(pl.any_horizontal(pl.col(measures) > 0))
        .sort(keys)
        .with_columns(boundary=pl.lit(boundary), unit_level=pl.lit(level))
    )


def _row(kpi_id: str, period: str, scale: int, cell: dict) -> dict:
    return cell | {"kpi_id": kpi_id, "period": period, "value": kpi_value(scale, cell)}


def kpi_value(scale: int, cell: dict) -> str:
    """The value with ten decimals, half rounded up; "" over 0. Scale 0 says: a plain count."""
    numerator, denominator = Decimal(cell["numerator"]), Decimal(cell["denominator"])
    if scale == 0:
        return str(numerator.quantize(TEN_PLACES))
    if denominator == 0:
        return ""
    return str((numerator * scale / denominator).quantize(TEN_PLACES, ROUND_HALF_UP))


def write_truth(path: Path, rows: Iterable[dict]) -> None:
    """``truth.csv`` in the order in which the rows come."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
