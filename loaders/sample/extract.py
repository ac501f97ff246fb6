"""One agency's file of one period before it is written, and columns that many files share."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

from loaders.sample.province import Month, Province


@dataclass(frozen=True)
class Extract:
    """The undamaged records of a dataset for the period that ends with a month.

    ``frame`` has one row per row of the file, in file order, typed, with the columns of the
    contract; columns that begin with ``_`` are for the truth only and are never written.
    """

    source: str
    dataset: str
    period: str
    frame: pl.DataFrame


def report_month_of(month: Month) -> pl.Expr:
    return pl.lit(dt.date(month.year, month.number, 1))


def unit_code_of(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String).str.zfill(5)


def ethnic_of(province: Province, person: pl.Series) -> pl.Series:
    return pl.Series(province.ethnic).gather(province.household[person.to_numpy()])


def flag_of(values: np.ndarray) -> pl.Series:
    """Yes and no as the agencies write them."""
    return pl.Series(np.where(values, "1", "0"))


def household_key_of(province: Province, home: np.ndarray) -> pl.Series:
    """The code of a household in every agency's files: old province, then a serial number."""
    code = pl.Series(province.geography.province[province.first_place[home]])
    return code + pl.Series(home).cast(pl.String).str.zfill(8)
