"""What the true values have in common: counts by commune, rolled up, numerator over denominator.

Rows that a defect damaged are left out, because quarantine leaves them out; the numerator
without damage stands beside it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import polars as pl

from loaders.sample.geography import Geography
from loaders.sample.province import Month

FIELDS = (
    "kpi_id", "series", "period", "boundary", "unit_level", "unit_code", "breakdown",
    "breakdown_value", "numerator", "denominator", "value", "numerator_undamaged",
)  # fmt: skip
TEN_PLACES = Decimal("0.0000000001")
AGE_GROUPS = ((5, "0-5"), (15, "6-15"), (24, "16-24"), (59, "25-59"))
MEASURES = ["numerator", "denominator", "numerator_undamaged"]
KEYS = ["unit", "breakdown", "breakdown_value"]


@dataclass(frozen=True)
class Known:
    """The records of one dataset in a period and which of them quarantine takes."""

    rows: pl.DataFrame
    lost: np.ndarray

    def kept(self, *, damaged: bool) -> pl.DataFrame:
        return self.rows.filter(pl.Series(~self.lost)) if damaged else self.rows


@dataclass(frozen=True)
class Cells:
    """Counts by unit: columns ``unit``, ``breakdown``, ``breakdown_value`` and ``n``.

    A unit is a commune's code, the three digits of a district or the two of an old province
    where a figure exists only for it as one.
    """

    numerator: pl.DataFrame
    denominator: pl.DataFrame
    undamaged: pl.DataFrame


@dataclass(frozen=True)
class KpiCells:
    """True counts of one KPI and series in one period.

    ``scale`` 100 is a percentage; 0 says that the numerator itself is the value.
    ``boundary_only_denominator``: only whole provinces have a denominator, so communes and
    districts have no value.
    """

    kpi_id: str
    period: str
    scale: int
    cells: Cells
    series: str = "total"
    boundary_only_denominator: bool = False


def count_cells(
    numerators: Sequence[pl.DataFrame],
    denominators: Sequence[pl.DataFrame] = (),
    breakdowns: Sequence[str] = (),
) -> Cells:
    """Totals and breakdowns of counted rows.

    Args:
        numerators: the rows left by quarantine, then all rows; columns ``_unit``, ``n`` and one
            for each breakdown.
        denominators: the same for the denominator; its first frame is used. Empty: none.
        breakdowns: names of the breakdown columns.
    """
    numerator, undamaged = (_long(frame, breakdowns) for frame in numerators)
    denominator = _long(denominators[0], breakdowns) if denominators else numerator.clear()
    return Cells(numerator, denominator, undamaged)


def residents(month: Month, known: dict[str, Known]) -> pl.DataFrame:
    """The population as a denominator, with sex and age group."""
    return known["commune_population"].rows.with_columns(
        sex=sex(), age_group=age_group(month), n=pl.col("population")
    )


def sex() -> pl.Expr:
    return pl.when(pl.col("_sex") == 1).then(pl.lit("male")).otherwise(pl.lit("female"))


def age_group(month: Month, column: str = "birth_year") -> pl.Expr:
    group = pl.lit("60+")
    for oldest, name in reversed(AGE_GROUPS):
        group = pl.when(month.year - pl.col(column) <= oldest).then(pl.lit(name)).otherwise(group)
    return group


def truth_rows(geography: Geography, month: Month, kpis: Iterable[KpiCells]) -> Iterator[dict]:
    """All cells of a month's KPIs; cells of 0 over 0 are not written."""
    for kpi in kpis:
        joined = _join(kpi.cells)
        for level in _levels(geography, month, joined):
            for cell in level.iter_rows(named=True):
                if kpi.scale == 0 and kpi.cells.denominator.is_empty():
                    cell["denominator"] = None
                if kpi.boundary_only_denominator and not _has_province(cell):
                    cell["denominator"] = None
                yield {
                    "kpi_id": kpi.kpi_id,
                    "series": kpi.series,
                    "period": kpi.period,
                    **cell,
                    "value": kpi_value(kpi.scale, cell),
                }


def _has_province(cell: dict) -> bool:
    """Whether the cell is a whole boundary, and not a zone of it."""
    return cell["unit_level"] == "boundary" and cell["breakdown"] not in ("urban_rural", "zone")


def _long(frame: pl.DataFrame, breakdowns: Sequence[str]) -> pl.DataFrame:
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
    return pl.concat(parts).group_by(KEYS).agg(pl.col("n").sum())


def _join(cells: Cells) -> pl.DataFrame:
    parts = [
        frame.rename({"n": name})
        for name, frame in (
            ("numerator", cells.numerator),
            ("denominator", cells.denominator),
            ("numerator_undamaged", cells.undamaged),
        )
    ]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.join(part, on=KEYS, how="full", coalesce=True)
    return joined.with_columns(pl.col(pl.Int64).fill_null(0))


def _levels(geography: Geography, month: Month, joined: pl.DataFrame) -> list[pl.DataFrame]:
    """Commune, district and boundary cells for each boundary, in a fixed order."""
    # An inner join would hide people outside the known units; there must be none.
    placed = joined.join(_units(geography, month), on="unit", how="left")
    assert placed["province"].null_count() == 0
    boundaries = {"qn_programme": ["51"]}
    if "62" in month.provinces:
        boundaries["qn_current"] = ["51", "62"]
    levels = []
    for boundary, provinces in boundaries.items():
        inside = placed.filter(pl.col("province").is_in(provinces))
        communes = inside.filter(pl.col("unit_code").is_not_null())
        levels.append(_summed(communes, boundary, "commune", pl.col("unit_code")))
        wide = _with_area_breakdowns(inside)
        if month.era < 2:
            districts = wide.filter(pl.col("district").is_not_null())
            levels.append(_summed(districts, boundary, "district", pl.col("district")))
        levels.append(_summed(wide, boundary, "boundary", pl.lit(boundary)))
    return levels


def _units(geography: Geography, month: Month) -> pl.DataFrame:
    """What each unit belongs to; districts and old provinces have no commune code of their own."""
    communes = geography.communes[month.era].values()
    rows = [
        (int(c.code), c.code, c.province, c.district_code or None,
         "urban" if c.is_urban else "rural", c.zone)
        for c in communes
    ]  # fmt: skip
    districts = {(c.district_code, c.province) for c in communes if c.district_code}
    rows += [(int(code), None, province, code, None, None) for code, province in sorted(districts)]
    provinces = sorted({c.province for c in communes})
    rows += [(int(province), None, province, None, None, None) for province in provinces]
    columns = ["unit", "unit_code", "province", "district", "urban_rural", "zone"]
    types = {name: pl.String for name in columns} | {"unit": pl.Int32}
    return pl.DataFrame(rows, schema=types, orient="row")


def _with_area_breakdowns(inside: pl.DataFrame) -> pl.DataFrame:
    total = inside.filter(pl.col("breakdown") == "total")
    return pl.concat(
        [inside]
        + [
            total.filter(pl.col(name).is_not_null()).with_columns(
                breakdown=pl.lit(name), breakdown_value=pl.col(name)
            )
            for name in ("urban_rural", "zone")
        ]
    )


def _summed(cells: pl.DataFrame, boundary: str, level: str, unit_code: pl.Expr) -> pl.DataFrame:
    keys = ["unit_code", "breakdown", "breakdown_value"]
    return (
        cells.with_columns(unit_code=unit_code)
        .group_by(keys)
        .agg(pl.col(MEASURES).sum())
        .filter((pl.col("numerator") > 0) | (pl.col("denominator") > 0))
        .sort(keys)
        .with_columns(boundary=pl.lit(boundary), unit_level=pl.lit(level))
    )


def kpi_value(scale: int, cell: dict) -> str:
    """The value with ten decimals, half rounded up; "" over 0. Scale 0 says: a plain count."""
    numerator, denominator = Decimal(cell["numerator"]), Decimal(cell["denominator"] or 0)
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
