"""Cells of one width, looked at place by place in whole columns.

A text of up to twelve bytes stands in Arrow's array itself, 16 bytes a cell: its length in four,
then its letters. What a regular expression or a date parser does with one cell after the other is
then a comparison or two of whole columns, at a tenth of the cost.

Source: Arrow columnar format, "Variable-size Binary View Layout".
"""

from __future__ import annotations

import re

import numpy as np
import polars as pl

CELL, LENGTH, LETTERS = 16, 4, 12
#: One letter of a pattern or a range of them, and how often it stands.
_PLACE = re.compile(r"(?:\[([0-9A-Za-z])-([0-9A-Za-z])\]|([0-9A-Za-z/]))(?:\{([0-9]+)\})?")
_PLACES = re.compile(rf"\^(?:{_PLACE.pattern})+\$")
_PART = re.compile(r"%[Ymd]|[^%]")

#: Two digits, read as one little-endian number, to their value; far below zero for anything else.
_NO_NUMBER = -(10**6)
_NUMBERS = np.full(1 << 16, _NO_NUMBER, dtype=np.int32)
for _number in range(100):
    _NUMBERS[int.from_bytes(b"%02d" % _number, "little")] = _number

FIRST_YEAR, LAST_YEAR = 1900, 2199
#: Of each month from 1900-01 on, the first day (polars counts from 1970-01-01) and the number of
#: days.
_MONTHS = np.arange(f"{FIRST_YEAR}-01", f"{LAST_YEAR + 1}-02", dtype="datetime64[M]")
_FIRST_DAYS = _MONTHS.astype("datetime64[D]").astype(np.int32)
_DAYS = np.diff(_FIRST_DAYS)


def contains(text: pl.Expr, pattern: str) -> pl.Expr:
    """``text.str.contains(pattern)``, faster where all that fits is of one small width."""
    ranges = _ranges(pattern)
    if ranges is None:
        return text.str.contains(pattern)
    return text.map_batches(_Shape(ranges).fits, return_dtype=pl.Boolean, is_elementwise=True)


def to_date(text: pl.Expr, form: str, *, month_start: bool) -> pl.Expr | None:
    """The dates that are written in ``form`` with all digits, null for any other text.

    None where ``form`` has other parts than the year, the month and perhaps the day.
    """
    parts = _PART.findall(form)
    if "".join(parts) != form or not {"%Y", "%m"} <= set(parts) or not form.isascii():
        return None
    dates = _Dates(parts, month_start)
    if dates.width > LETTERS:
        return None
    return text.map_batches(dates.read, return_dtype=pl.Date, is_elementwise=True)


def _ranges(pattern: str) -> list[tuple[int, int]] | None:
    """Lowest and highest byte at each place; None where a pattern says more than that."""
    if not _PLACES.fullmatch(pattern):
        return None
    ranges: list[tuple[int, int]] = []
    for low, high, letter, times in _PLACE.findall(pattern):
        ranges += [(ord(low or letter), ord(high or letter))] * int(times or 1)
    return ranges if len(ranges) <= LETTERS else None


def cells_of(text: pl.Series) -> np.ndarray:
    """The bytes of all cells, CELL of each; those of a null say nothing."""
    views = text.to_arrow(compat_level=pl.CompatLevel.newest())
    start = CELL * views.offset
    return np.frombuffer(views.buffers()[1], np.uint8)[start : start + CELL * len(views)]


def lengths(text: pl.Series) -> np.ndarray:
    """Bytes of each text."""
    return np.ndarray(len(text), "<i4", cells_of(text), 0, (CELL,))


def letters(text: pl.Series, width: int) -> np.ndarray:
    """The texts, all of ``width`` bytes and at most LETTERS, as one opaque item each."""
    return np.ndarray(len(text), f"V{width}", cells_of(text), LENGTH, (CELL,))


class _Shape:
    """A range of bytes for each place."""

    #: As many cells as are compared at a time: they stay in the processor's cache.
    CELLS = 4096

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        low, span = np.zeros(CELL, np.uint8), np.full(CELL, 255, np.uint8)
        low[:LENGTH], span[:LENGTH] = (len(ranges), 0, 0, 0), 0
        for place, (lowest, highest) in enumerate(ranges, LENGTH):
            low[place], span[place] = lowest, highest - lowest
        self._low, self._span = np.tile(low, self.CELLS), np.tile(span, self.CELLS)

    def fits(self, text: pl.Series) -> pl.Series:
        if text.is_empty():
            return pl.Series(text.name, dtype=pl.Boolean)
        cells = cells_of(text)
        within = np.empty(cells.size, np.bool_)
        for start in range(0, cells.size, self._low.size):
            some = cells[start : start + self._low.size]
            # Below the lowest the difference wraps around: one comparison does for both ends.
            above = some - self._low[: some.size]
            np.less_equal(above, self._span[: some.size], out=within[start : start + some.size])
        # All 16 at once, as two numbers of eight bytes each.
        halves = within.view(np.uint64).reshape(-1, 2)
        fits = pl.Series(text.name, halves[:, 0] & halves[:, 1] == 0x0101010101010101)
        return fits.set(text.is_null(), None) if text.null_count() else fits


class _Dates:
    """Where in a text of one width a date's parts and the marks between them stand."""

    def __init__(self, parts: list[str], month_start: bool) -> None:
        self._places: dict[str, int] = {}
        self._marks: list[tuple[int, int]] = []
        self._month_start = month_start
        self.width = 0
        for part in parts:
            if part in ("%Y", "%m", "%d"):
                self._places[part] = self.width
                self.width += 4 if part == "%Y" else 2
            else:
                self._marks.append((self.width, ord(part)))
                self.width += 1

    def read(self, text: pl.Series) -> pl.Series:
        if text.is_empty():
            return pl.Series(text.name, dtype=pl.Date)
        cells = cells_of(text)

        def number(place: int) -> np.ndarray:
            pairs = np.ndarray(len(text), "<u2", cells, LENGTH + place, (CELL,))
            return _NUMBERS[pairs]

        year = number(self._places["%Y"]) * 100 + number(self._places["%Y"] + 2) - FIRST_YEAR
        month = number(self._places["%m"]) - 1
        is_date = lengths(text) == self.width
        for place, mark in self._marks:
            is_date &= cells[LENGTH + place :: CELL] == mark
        is_date &= (year >= 0) & (year <= LAST_YEAR - FIRST_YEAR) & (month >= 0) & (month < 12)
        month = np.where(is_date, 12 * year + month, 0)
        days = _FIRST_DAYS[month]
        if "%d" in self._places:
            day = number(self._places["%d"]) - 1
            is_date &= (day >= 0) & (day < _DAYS[month])
            if not self._month_start:
                days += day
        dates = pl.Series(text.name, days).cast(pl.Date)
        if text.null_count():
            is_date &= text.is_not_null().to_numpy()
        return dates if is_date.all() else dates.set(pl.Series(~is_date), None)
