"""Whole columns looked at by place say what regular expressions and the date parser say."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders import fixed_width
from loaders.contracts.cells import CellOptions, date_forms

PATTERNS = [
    "^[0-9]{12}$",
    "^[0-9]{5}$",
    "^[A-Z]{2}[1-5][0-9]{3}$",
    "^X$",
    "^a/[b-d]{2}7$",
    # What is no fixed width of ranges, or is wider, is left to the regular expression.
    "^[A-Z]{2}[1-5][0-9]{12}$",
    "^[0-9]{1,3}$",
    "^[0-9]{2}|X$",
    "[0-9]{2}",
    "^.{2}$",
]
FORMS = ["%d/%m/%Y", "%m/%Y", "%Y-%m-%d", "%Y%m%d", "%m.%d.%Y", "%Y/%m"]
NEAR = st.text("0123456789/-.AXabcd \n", max_size=13)
DATES = "29/02/2024 29/02/2023 30/02/2000 29/02/1900 31/04/2025 00/01/2025 01/00/2025 01/13/2025"
ODD = st.sampled_from([*DATES.split(), "", "０１", "1234\n", "1/1/2025", "+1/01/2025", "é", "05\0"])
CELLS = st.lists(st.none() | NEAR | ODD | st.text(max_size=14), max_size=30)


def column(cells: list[str | None], cut: int = 0) -> pl.DataFrame:
    """The cells as a part of a larger array, as a slice of a file's block is."""
    return pl.DataFrame({"text": [None] * cut + cells}, schema={"text": pl.String}).slice(cut)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(cells=CELLS, data=st.data())
def test_a_pattern_fits_what_the_regular_expression_fits(
    pattern: str, cells: list[str | None], data: st.DataObject
) -> None:
    cells += data.draw(st.lists(st.from_regex(pattern), max_size=5))
    frame, text = column(cells, data.draw(st.integers(0, 3))), pl.col("text")
    found = frame.select(fixed_width.contains(text, pattern)).to_series()
    assert found.to_list() == frame.select(text.str.contains(pattern)).to_series().to_list()


def test_more_cells_than_are_compared_at_a_time() -> None:
    cells = [f"{number:05}" if number % 7 else f"{number:04}?" for number in range(10_000)]
    found = column(cells).select(fixed_width.contains(pl.col("text"), "^[0-9]{5}$")).to_series()
    assert found.to_list() == [bool(number % 7) for number in range(10_000)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("month_start", [False, True])
@given(
    cells=CELLS,
    days=st.lists(st.dates(dt.date(1890, 1, 1), dt.date(2210, 1, 1)), max_size=20),
    cut=st.integers(0, 3),
)
def test_a_date_is_read_as_the_parser_reads_it(
    form: str, month_start: bool, cells: list[str | None], days: list[dt.date], cut: int
) -> None:
    frame, text = column(cells + [day.strftime(form) for day in days], cut), pl.col("text")
    read = fixed_width.to_date(text, form, month_start=month_start)
    assert read is not None
    kind = date_forms(CellOptions(format=form))[0]
    dates = (pl.lit(kind.lead) + text).str.to_date(kind.strptime, strict=False)
    dates = pl.when(text.str.contains(kind.guard)).then(dates)
    dates = pl.when(dates.is_between(dt.date(1900, 1, 1), dt.date(2199, 12, 31))).then(dates)
    dates = dates.dt.month_start() if month_start else dates
    is_whole = text.str.len_bytes() == len(dt.date(2000, 1, 1).strftime(form))
    expected = frame.select(pl.when(is_whole).then(dates)).to_series()
    assert frame.select(read).to_series().to_list() == expected.to_list()


@pytest.mark.parametrize("form", ["%Y", "%d/%m/%y", "%Y-%m-%d %H:%M:%S", "%d tháng %m năm %Y"])
def test_other_forms_are_left_to_the_parser(form: str) -> None:
    assert fixed_width.to_date(pl.col("text"), form, month_start=False) is None


def test_a_literal_is_a_column_too() -> None:
    text = pl.lit(None, pl.String)
    read = fixed_width.to_date(text, "%d/%m/%Y", month_start=False)
    assert read is not None
    fits = fixed_width.contains(text, "^[0-9]{2}$")
    frame = pl.DataFrame({"n": [1, 2]}).with_columns(read.alias("date"), fits.alias("fits"))
    assert frame.rows() == [(1, None, None), (2, None, None)]
