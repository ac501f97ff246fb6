"""XLSX lists as agencies send them: title rows, merged headers, a number row, a footer."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
from python_calamine import CalamineSheet, CalamineWorkbook

from loaders.readers.base import ROW_NUMBER, SHEET, Limits, ReaderError, Table, TextBatch

BATCH_ROWS = 50_000
SERIAL_HEADER = "STT"
CELL = re.compile(r"^([A-Z]+)(\d+)$")


def read_xlsx(
    path: Path,
    limits: Limits,
    *,
    sheet: str,
    header_rows: Sequence[int],
    data_row: int,
    period_cell: str,
    period_pattern: str,
    footer_pattern: str,
) -> Table:
    """Open a workbook list.

    Args:
        sheet: name of the sheet that holds the list.
        header_rows: 1-based rows of the header; two levels are joined as "Top | Sub".
        data_row: first row of data.
        period_cell: cell of the title row that states the period, such as "A3".
        period_pattern: expression with the group ``year`` and, for months and quarters, the group
            ``month`` or ``quarter``.
        footer_pattern: what the first filled cell after the data begins with; a list without
            its footer is truncated and refused.

    Raises:
        ReaderError: not a workbook, no such sheet, no period in the title, no footer.
    """
    try:
        workbook = CalamineWorkbook.from_path(path)
    except Exception as error:  # the library raises its own types for zip and XML damage
        raise ReaderError(
            f"not a readable XLSX workbook ({error}): damaged or cut off on the way; "
            "ask for the file again"
        ) from error
    if sheet not in workbook.sheet_names:
        raise ReaderError(
            f"no sheet {sheet!r}; the workbook has {workbook.sheet_names}; ask for a corrected file"
        )
    content = workbook.get_sheet_by_name(sheet)
    rows = _rows(content)
    head = list(islice(rows, data_row - 1))
    if len(head) < data_row - 1:
        raise ReaderError(
            f"sheet {sheet!r} ends before its data row {data_row}; ask for a corrected file"
        )
    headers = _headers(head, header_rows)
    table = Table(
        headers=[header for header in headers if header != SERIAL_HEADER],
        batches=iter(()),
        stated_period=_stated_period(head, period_cell, period_pattern),
    )
    table.batches = _batches(rows, headers, sheet, re.compile(footer_pattern), table.stated_rows)
    return table


def _rows(content: CalamineSheet) -> Iterator[list[Any]]:
    # Calamine gives the empty rows above the first filled cell, not the empty columns before it.
    column_offset = content.start[1] if content.start else 0
    for row in content.iter_rows():
        yield [""] * column_offset + row


def _text(value: Any) -> str | None:
    """A cell as text: whole numbers without a fraction, dates as ISO, the empty cell as null."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, dt.datetime):
        return value.date().isoformat()
    return None if value is None else str(value)


def _headers(head: list[list[Any]], header_rows: Sequence[int]) -> list[str]:
    width = max(len(row) for row in head)
    levels = [
        [" ".join((_text(cell) or "").split()) for cell in head[number - 1]]
        + [""] * (width - len(head[number - 1]))
        for number in header_rows
    ]
    top = levels[0]
    headers, current = [], ""
    for position in range(width):
        sub = levels[1][position] if len(levels) > 1 else ""
        # A merged cell keeps its text in its first column; the others belong to it.
        current = top[position] or (current if sub else "")
        headers.append(" | ".join(part for part in (current, sub) if part))
    while headers and not headers[-1]:
        headers.pop()
    if not headers:
        raise ReaderError(f"no header in rows {list(header_rows)}; ask for a corrected file")
    return headers


def _stated_period(head: list[list[Any]], cell: str, pattern: str) -> str:
    match = CELL.match(cell)
    if match is None:
        raise ReaderError(f"{cell!r} is no cell name; correct period_cell in the contract")
    column = 0
    for letter in match[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    row = head[int(match[2]) - 1] if int(match[2]) <= len(head) else []
    text = (_text(row[column - 1]) if column <= len(row) else None) or ""
    found = re.search(pattern, text)
    if found is None:
        raise ReaderError(
            f"cell {cell} states no period (found {text!r}); ask for a corrected file"
        )
    year, parts = f"{int(found['year']):04d}", found.groupdict()
    if parts.get("month"):
        return f"{year}-{int(parts['month']):02d}"
    return f"{year}-Q{int(parts['quarter'])}" if parts.get("quarter") else year


def _batches(
    rows: Iterator[list[Any]],
    headers: list[str],
    sheet: str,
    footer: re.Pattern[str],
    stated_rows: list[int],
) -> Iterator[TextBatch]:
    wanted = [(i, header) for i, header in enumerate(headers) if header and header != SERIAL_HEADER]
    buffer: list[list[str | None]] = []
    number, first = 0, 1
    has_footer = False
    for row in rows:
        cells = [_text(cell) for cell in row]
        filled = next((cell for cell in cells if cell is not None), None)
        if filled is None:
            continue
        if footer.match(filled):
            has_footer = True
            total = re.search(r"\d[\d.]*", filled)
            if total:
                stated_rows.append(int(total[0].replace(".", "")))
            break
        number += 1
        buffer.append([cells[i] if i < len(cells) else None for i, _ in wanted])
        if len(buffer) == BATCH_ROWS:
            yield _frame(buffer, wanted, sheet, first)
            buffer, first = [], number + 1
    if buffer:
        yield _frame(buffer, wanted, sheet, first)
    if not has_footer:
        raise ReaderError(
            f"the list ends after {number} rows without its footer ({footer.pattern}): "
            "it was cut off; ask for the file again"
        )


def _frame(
    buffer: list[list[str | None]], wanted: list[tuple[int, str]], sheet: str, first: int
) -> TextBatch:
    frame = pl.DataFrame(
        buffer, schema={header: pl.String for _, header in wanted}, orient="row"
    ).with_columns(
        pl.Series(ROW_NUMBER, range(first, first + len(buffer)), dtype=pl.Int64),
        pl.lit(sheet).alias(SHEET),
    )
    return TextBatch(frame)
