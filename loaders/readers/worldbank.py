"""World Bank indicator files (``API_*.csv``): years as columns in, one row per value out."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from loaders.readers.base import BrokenRow, Limits, ReaderError, Table
from loaders.readers.lines import lines
from loaders.readers.rows import Item, batches, check_names

KEY_HEADERS = ["Country Name", "Country Code", "Indicator Name", "Indicator Code"]
HEADERS = [*KEY_HEADERS, "Year", "Value"]
FIRST_TITLE = "Data Source"
#: The header is the fifth line; more than these are not looked at.
MAX_TITLE_LINES = 10


def read_worldbank(path: Path, limits: Limits, *, countries: Sequence[str] = ()) -> Table:
    """Open an indicator file.

    Headers are Country Name, Country Code, Indicator Name, Indicator Code, Year and Value. An
    empty cell is no row: ``set_aside["no value"]``.

    Args:
        countries: codes (``VNM``) of the countries to give, all where empty; the values of the
            others are ``set_aside["other country"]``.

    Raises:
        ReaderError: another layout, or a country asked for that is not in the file.
    """
    records = _records(path)
    titles = 0
    years: list[str] = []
    for titles, (_, cells) in enumerate(islice(records, MAX_TITLE_LINES), start=1):
        if titles == 1 and (not cells or cells[0] != FIRST_TITLE):
            break
        if cells is not None and cells[:4] == KEY_HEADERS:
            years = cells[4:]
            break
    while years and not years[-1]:
        years.pop()
    if not years or not all(len(year) == 4 and year.isdecimal() for year in years):
        raise ReaderError(
            f"no World Bank indicator file: {FIRST_TITLE!r} in the first line and {KEY_HEADERS} "
            "with years after them are needed; fetch the CSV of the indicator's page again"
        )
    if len(years) > limits.max_columns:
        raise ReaderError(
            f"{len(years)} years, {limits.max_columns} are allowed; fetch the file again, or raise "
            "max_columns in the contract"
        )
    table = Table(headers=HEADERS, batches=iter(()))
    items = _rows(records, years, list(countries), table.set_aside)
    table.batches = batches(HEADERS, items, limits)
    return table


#: Why a line cannot be split, in Vietnamese and English.
Reason = tuple[str, str]


def _records(path: Path) -> Iterator[tuple[Reason, list[str] | None]]:
    """(why it cannot be split, cells) of every filled line; no cell of the layout spans two."""
    for line in lines(path):
        if not line.strip():
            continue
        try:
            yield ("", ""), next(csv.reader([line.decode("utf-8")], strict=True))
        except UnicodeDecodeError:
            yield ("không phải UTF-8", "not UTF-8"), None
        except csv.Error:
            yield ("dấu nháy không khớp", "quotes do not match"), None


def _rows(
    records: Iterator[tuple[Reason, list[str] | None]],
    years: list[str],
    countries: list[str],
    set_aside: Counter[str],
) -> Iterator[Item]:
    number = 0
    seen: set[str] = set()
    width = len(KEY_HEADERS) + len(years)
    for reason, cells in records:
        if cells is not None and (len(cells) < width or any(cells[width:])):
            count, cells = len(cells), None
            reason = (f"{count} ô, cần {width} ô", f"{count} cells, {width} are needed")
        if cells is None:
            number += 1
            vietnamese, english = reason
            yield BrokenRow(
                number, f"không tách được dòng: {vietnamese}", f"broken line: {english}"
            )
            continue
        key, values = cells[:4], cells[4:width]
        if countries and key[1] not in countries:
            set_aside["other country"] += sum(1 for value in values if value.strip())
            continue
        seen.add(key[1])
        for year, value in zip(years, values, strict=True):
            if not value.strip():
                set_aside["no value"] += 1
                continue
            number += 1
            yield number, "", [*key, year, value]
    check_names(countries, seen, "the World Bank file")
