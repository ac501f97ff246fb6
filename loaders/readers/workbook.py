"""XLSX and XLS lists as agencies send them: titles, merged headers, unit rows, subtotals, a footer.

A cell becomes the text that it states: whole numbers without a fraction, other numbers with the
digits that the file holds (a percentage as its fraction, 0.125 for 12.5 %), dates as ISO, TRUE
and FALSE as 1 and 0, text with its line breaks folded, an error as its own text (``#N/A``), so
that the contract's rules find it. Formulas give the value that was stored with them.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from loaders.readers.base import (
    ROW_NUMBER,
    SHEET,
    Limits,
    ReaderError,
    Table,
    TextBatch,
    trimmed,
)
from loaders.readers.encodings import codec_name, from_font, nfc
from loaders.readers.rows import BATCH_ROWS, by_column
from loaders.readers.workbook_file import Workbook, open_workbook

SERIAL_HEADER = "STT"
CELL = re.compile(r"^([A-Z]+)(\d+)$")
#: A cell of the row that numbers the columns, such as (1), (A) or (5)=(3)+(4).
COLUMN_NUMBER = re.compile(r"^\(\s*[0-9A-Za-zĐđ]{1,3}\s*(=[^)]*)?\)(\s*=.*)?$")
LINE_BREAK = r"[ \t\u00a0]*[\r\n]\s*"
#: From here on Excel has lost digits: the number is no code any more.
EXACT = 2**53
#: Python writes a smaller number with an exponent.
SMALL = 1e-4


class UnitRow(BaseModel):
    """Rows that only name the unit of the rows below: its text becomes the column ``header``.

    ``pattern`` is held against the row's text (its first two filled cells, joined by a space);
    the group ``name``, where there is one, is what is kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    pattern: re.Pattern[str]
    header: str


@dataclass(frozen=True)
class Layout:
    """The options of the contract, compiled."""

    header_rows: tuple[int, ...]
    data_row: int
    period: tuple[str, re.Pattern[str]] | None
    footer: re.Pattern[str] | None
    subtotal: re.Pattern[str] | None
    units: tuple[UnitRow, ...]
    font: str | None


@dataclass
class Sheet:
    """A sheet whose head is read: ``rows`` go on with the first row of data."""

    name: str
    rows: Iterator[list[Any]]
    headers: list[str]
    stated_period: str | None


def read_xlsx(
    path: Path,
    limits: Limits,
    *,
    header_rows: Sequence[int],
    data_row: int,
    sheet: str | None = None,
    sheet_pattern: str | None = None,
    period_cell: str | None = None,
    period_pattern: str | None = None,
    footer_pattern: str | None = None,
    subtotal_pattern: str | None = None,
    unit_rows: dict[str, str] | Sequence[dict[str, str]] = (),
    font: str | None = None,
) -> Table:
    """Open a workbook list, XLSX or XLS.

    Rows are numbered from 1 through all sheets; blank rows do not count. Set aside and counted
    are ``number row``, ``unit row``, ``subtotal``, ``footer`` and, below it, ``signature``.

    Args:
        sheet: name of the sheet that holds the list.
        sheet_pattern: instead of ``sheet``: expression for the names of all sheets that hold
            parts of the list under the same header.
        header_rows: 1-based rows of the header; several levels are joined as "Top | Sub".
        data_row: first row of data.
        period_cell: cell of the title row that states the period, such as "A3".
        period_pattern: expression with the group ``year`` and, for months and quarters, the group
            ``month`` or ``quarter``.
        footer_pattern: what the first filled cell after the data begins with; with it a list
            without its footer is truncated and refused.
        subtotal_pattern: what the text of a row of sums begins with.
        unit_rows: one or several ``{pattern, header}``, the upper unit first (see UnitRow).
        font: ``tcvn3``, ``tcvn3-caps`` or ``vni`` where the cells are typed in such a font.

    Raises:
        ReaderError: not a workbook, no such sheet, no period in the title, no footer, more than
            the limits allow.
    """
    layout = _layout(
        header_rows=header_rows,
        data_row=data_row,
        period=(period_cell, period_pattern),
        footer=footer_pattern,
        subtotal=subtotal_pattern,
        units=[unit_rows] if isinstance(unit_rows, dict) else unit_rows,
        font=font,
    )
    if (sheet is None) == (sheet_pattern is None):
        raise ReaderError("either 'sheet' or 'sheet_pattern' is needed; correct the contract")
    name = re.compile(re.escape(_folded(sheet))) if sheet else _pattern(sheet_pattern, "sheet")
    assert name is not None

    def select(names: Sequence[str]) -> list[str]:
        found = [each for each in names if name.fullmatch(_folded(each))]
        if not found:
            raise ReaderError(
                f"no sheet {sheet or sheet_pattern!r}; the workbook has {list(names)}; "
                "ask for a corrected file"
            )
        return found

    book = open_workbook(path, limits, select)
    first = _begin(book, book.sheets[0], layout)
    table = Table(
        headers=[h for h in first.headers if h and h != SERIAL_HEADER]
        + [unit.header for unit in layout.units],
        batches=iter(()),
        stated_period=first.stated_period,
    )
    table.batches = _batches(book, first, layout, limits, table)
    return table


def _layout(
    *,
    header_rows: Sequence[int],
    data_row: int,
    period: tuple[str | None, str | None],
    footer: str | None,
    subtotal: str | None,
    units: Sequence[dict[str, str]],
    font: str | None,
) -> Layout:
    if not header_rows or min(header_rows) < 1 or data_row <= max(header_rows):
        raise ReaderError(
            f"header_rows {list(header_rows)} do not stand above data_row {data_row}; correct the "
            "contract"
        )
    cell, pattern = period[0], _pattern(period[1], "period")
    if (cell is None) != (pattern is None) or (pattern and "year" not in pattern.groupindex):
        raise ReaderError(
            "period_cell and period_pattern go together, and the pattern has the group 'year'; "
            "correct the contract"
        )
    try:
        compiled = tuple(UnitRow.model_validate(unit) for unit in units)
    except ValidationError as error:
        raise ReaderError(f"unit_rows: {error.errors()[0]['msg']}; correct the contract") from error
    return Layout(
        header_rows=tuple(header_rows),
        data_row=data_row,
        period=(cell, pattern) if cell and pattern else None,
        footer=_pattern(footer, "footer"),
        subtotal=_pattern(subtotal, "subtotal"),
        units=compiled,
        font=codec_name(font) if font else None,
    )


def _pattern(text: str | None, option: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text is not None else None
    except re.error as error:
        raise ReaderError(f"{option}_pattern {text!r}: {error}; correct the contract") from error


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _text(value: Any) -> str | None:
    """A cell as text, the empty cell as null (strings are folded and composed in ``_column``)."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, float):
        is_whole = value.is_integer() and abs(value) < EXACT
        return str(int(value)) if is_whole else repr(value)
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, dt.datetime):
        return value.date().isoformat()
    if isinstance(value, dt.timedelta):
        minutes, seconds = divmod(int(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
    return None if value is None else str(value)


def _filled(row: list[Any]) -> Iterator[str]:
    """The texts of the filled cells."""
    return filter(None, map(_text, row))


def _begin(book: Workbook, name: str, layout: Layout) -> Sheet:
    """Read a sheet up to its first row of data."""
    content = book.sheet(name)
    rows = book.rows(content)
    if layout.font:
        convert = lru_cache(maxsize=65_536)(from_font)
        font = layout.font
        rows = ([convert(c, font) if isinstance(c, str) else c for c in row] for row in rows)
    head = list(islice(rows, layout.data_row - 1))
    if len(head) < layout.data_row - 1:
        raise ReaderError(
            f"sheet {name!r} ends before its data row {layout.data_row}; ask for a corrected file"
        )
    spans = content.merged_cell_ranges or []
    period = _stated_period(head, *layout.period) if layout.period else None
    return Sheet(name, rows, _headers(head, layout.header_rows, spans), period)


def _headers(
    head: list[list[Any]],
    header_rows: Sequence[int],
    spans: Sequence[tuple[tuple[int, int], tuple[int, int]]],
) -> list[str]:
    """One header per column: the texts of its levels from top to bottom.

    A merged cell keeps its text in its first column; the others belong to it. Where no header
    cell is merged (some programs only centre the text), a text reaches to the next one.
    """
    width = max((len(row) for row in head), default=0)
    levels = [
        [_folded(_text(cell) or "") for cell in head[number - 1]]
        + [""] * (width - len(head[number - 1]))
        for number in header_rows
    ]
    is_merged = False
    for (row, left), (_, right) in spans:
        if right > left and row + 1 in header_rows:
            is_merged = True
            level = levels[header_rows.index(row + 1)]
            level[left : right + 1] = [level[left]] * len(level[left : right + 1])
    headers: list[str] = []
    current = [""] * len(levels)
    for position in range(width):
        texts = [level[position] for level in levels]
        for depth, text in enumerate(texts):
            if text:
                current[depth:] = [text] + [""] * (len(levels) - depth - 1)
            elif is_merged or not any(texts[depth + 1 :]):
                current[depth] = ""
        headers.append(" | ".join(part for part in current if part))
    while headers and not headers[-1]:
        headers.pop()
    if not headers:
        raise ReaderError(f"no header in rows {list(header_rows)}; ask for a corrected file")
    return headers


def _stated_period(head: list[list[Any]], cell: str, pattern: re.Pattern[str]) -> str:
    match = CELL.match(cell)
    if match is None:
        raise ReaderError(f"{cell!r} is no cell name; correct period_cell in the contract")
    column = 0
    for letter in match[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    row = head[int(match[2]) - 1] if 1 <= int(match[2]) <= len(head) else []
    text = _folded((_text(row[column - 1]) if column <= len(row) else None) or "")
    found = pattern.search(text)
    if found is None:
        raise ReaderError(
            f"cell {cell} states no period (not shown: it may be data); ask for a corrected file"
        )
    year, parts = f"{int(found['year']):04d}", found.groupdict()
    if parts.get("month"):
        return f"{year}-{int(parts['month']):02d}"
    return f"{year}-Q{int(parts['quarter'])}" if parts.get("quarter") else year


def _batches(
    book: Workbook, first: Sheet, layout: Layout, limits: Limits, table: Table
) -> Iterator[TextBatch]:
    done = 0
    for name in book.sheets:
        sheet = first if name == first.name else _begin(book, name, layout)
        if (sheet.headers, sheet.stated_period) != (first.headers, first.stated_period):
            raise ReaderError(
                f"sheet {name!r} has another header or period than {first.name!r}; ask for a "
                "corrected file"
            )
        records = _records(sheet, layout, table, is_only=len(book.sheets) == 1)
        while columns := by_column(islice(records, BATCH_ROWS)):
            yield TextBatch(_frame(columns, sheet, layout, done + 1))
            done += len(columns[0])
            if done > limits.max_rows:
                raise ReaderError(
                    f"more than {limits.max_rows:,} rows; ask for the list in parts, or raise "
                    "limits.max_rows in the contract"
                )


def _records(sheet: Sheet, layout: Layout, table: Table, *, is_only: bool) -> Iterator[list[Any]]:
    """Rows of data, each followed by the units above it; the others are set aside."""
    units: list[str | None] = [None] * len(layout.units)
    number, stated, has_footer = 0, None, False
    labelled = layout.subtotal is not None or bool(units)
    for row in sheet.rows:
        label = _text(row[0]) or next(_filled(row), None)
        if label is None:
            continue
        if has_footer:
            table.set_aside["signature"] += 1
            continue
        if layout.footer and layout.footer.match(_folded(label)):
            has_footer = True
            table.set_aside["footer"] += 1
            total = re.search(r"\d[\d.]*", label)
            stated = int(total[0].replace(".", "")) if total else None
            continue
        if number == 0 and all(map(COLUMN_NUMBER.match, _filled(row))):
            table.set_aside["number row"] += 1
            continue
        if labelled:
            beginning = list(islice(_filled(row), 3))
            texts = [_folded(label), _folded(" ".join(beginning[:2]))]
            is_name = len(beginning) < 3
            is_subtotal = bool(layout.subtotal and any(map(layout.subtotal.match, texts)))
            if _enter(layout.units, units, texts if is_name or is_subtotal else []):
                table.set_aside["subtotal" if is_subtotal else "unit row"] += 1
                continue
            if is_subtotal:
                table.set_aside["subtotal"] += 1
                continue
        number += 1
        yield row + units if units else row
    if layout.footer and not has_footer:
        raise ReaderError(
            f"the list in sheet {sheet.name!r} ends after {number} rows without its footer "
            f"({layout.footer.pattern}): it was cut off; ask for the file again"
        )
    if stated is not None and is_only:
        table.stated_rows.append(stated)
    elif stated not in (None, number):
        raise ReaderError(
            f"the footer of sheet {sheet.name!r} states {stated} rows but {number} were read: the "
            "list is incomplete; ask for the file again"
        )


def _enter(rules: Sequence[UnitRow], units: list[str | None], texts: Sequence[str]) -> bool:
    """Take the unit that a row names; the units below it are unknown again."""
    for level, rule in enumerate(rules):
        for text in reversed(texts):
            if found := rule.pattern.match(text):
                name = found.groupdict().get("name") or text
                units[level:] = [name.strip()] + [None] * (len(units) - level - 1)
                return True
    return False


def _frame(cells: list[list[Any]], sheet: Sheet, layout: Layout, first: int) -> pl.DataFrame:
    height, width = len(cells[0]), len(cells) - len(layout.units)
    columns = [
        _column(header, cells[i] if i < width else [None] * height)
        for i, header in enumerate(sheet.headers)
        if header and header != SERIAL_HEADER
    ]
    for unit, texts in zip(layout.units, cells[width:], strict=True):
        columns.append(_column(unit.header, texts))
    return pl.DataFrame(columns).with_columns(
        pl.Series(ROW_NUMBER, range(first, first + height), dtype=pl.Int64),
        pl.lit(sheet.name).alias(SHEET),
    )


def _column(header: str, values: Sequence[Any]) -> pl.Series:
    """A column as text; its strings and its numbers are handed over whole."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return _numbers(values).alias(header)
    numbers = None
    if kinds - {str, type(None)}:
        if float in kinds:
            numbers = _numbers([cell if type(cell) is float else None for cell in values])
        values = [None if type(cell) is float else _text(cell) for cell in values]
    column = pl.Series(header, values, dtype=pl.String)
    if column.str.contains("[\r\n]").any():
        column = column.str.strip_chars().str.replace_all(LINE_BREAK, " ")
    column = nfc(trimmed(column))
    return column if numbers is None else column.zip_with(column.is_not_null(), numbers)


def _numbers(values: Sequence[float | None]) -> pl.Series:
    """What ``_text`` makes of each of these numbers."""
    numbers = pl.Series(values, dtype=pl.Float64)
    whole, size = numbers.cast(pl.Int64, strict=False), numbers.abs()
    is_whole = ((whole == numbers) & (size < EXACT)).fill_null(value=False)
    texts = whole.cast(pl.String)
    if is_whole.all():
        return texts
    texts = texts.zip_with(is_whole, numbers.cast(pl.String))
    # Both write the fewest digits that tell a number from all others, but exponents differently.
    others = (~is_whole & ~((size > SMALL) & (size < EXACT))).arg_true()
    return texts.scatter(others, [_text(number) for number in numbers.gather(others)])
