"""Extract files in the layout of their contract, equal to the byte for equal rows."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
from openpyxl import Workbook

from loaders.connectors.base import SIDE_CAR_SUFFIX
from loaders.contracts.model import Contract, Dataset
from loaders.sample.envelopes import archive, delivery_order

FIXED_TIME = (2024, 1, 1, 0, 0, 0)
FIXED_STAMP = b"2024-01-01T00:00:00Z"


def file_columns(dataset: Dataset, period: str) -> dict[str, str]:
    """Header → the contract column that fills it; a header that feeds several columns is named
    once."""
    columns: dict[str, str] = {}
    for column in dataset.columns:
        header = column.header(period)
        if header is not None:
            columns.setdefault(header, column.name)
    return columns


def to_text(dataset: Dataset, period: str, records: pl.DataFrame) -> pl.DataFrame:
    """Cells as text, named after the contract columns, in file order."""
    cells = []
    for name in file_columns(dataset, period).values():
        column = dataset.column(name)
        if column.logical_type == "date":
            form = column.extension.formats[0]
            cells.append(pl.col(name).dt.strftime(form).alias(name))
        else:
            cells.append(pl.col(name).cast(pl.String))
    return records.select(cells)


def file_order(dataset: Dataset, period: str, text: pl.DataFrame) -> list[int] | None:
    """Positions of the rows as the file will hold them; None where it holds them as they are."""
    if dataset.extension.reader.name != "xml130":
        return None
    columns = file_columns(dataset, period)
    return delivery_order(text.select(pl.col(name).alias(h) for h, name in columns.items()))


def write_file(
    contract: Contract, dataset: Dataset, period: str, text: pl.DataFrame, path: Path
) -> None:
    """Write the extract with the reader's layout of the contract."""
    columns = file_columns(dataset, period)
    rows = text.select(pl.col(name).alias(header) for header, name in columns.items())
    options = dataset.extension.reader.options
    path.parent.mkdir(parents=True, exist_ok=True)
    if dataset.extension.reader.name == "xlsx":
        numeric = {
            header
            for header, name in columns.items()
            if dataset.column(name).logical_type == "integer"
        }
        path.write_bytes(_workbook(contract, dataset, period, rows, numeric, options))
        return
    if dataset.extension.reader.name == "xml130":
        path.write_bytes(archive(rows, FIXED_TIME))
        return
    rows.write_csv(
        path,
        separator=options["delimiter"],
        include_bom=options["encoding"] == "utf-8-sig",
        line_terminator="\n",
    )


def write_side_car(path: Path, data_label: str, note: str, rows: int | None) -> None:
    """The delivery note beside a file."""
    content: dict[str, Any] = {"data_label": data_label, "maturity": "final", "note": note}
    if rows is not None:
        content["control_totals"] = {"rows": rows}
    target = path.with_name(path.name + SIDE_CAR_SUFFIX)
    target.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _workbook(
    contract: Contract,
    dataset: Dataset,
    period: str,
    rows: pl.DataFrame,
    numeric: set[str],
    options: dict[str, Any],
) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet(options["sheet"])
    header_rows, data_row = options["header_rows"], options["data_row"]
    head: dict[int, list[str | None]] = {
        1: [contract.owner_vi.upper()],
        2: [(dataset.title_vi or dataset.name).upper()],
        3: [period_title(period)],
    }
    levels, merged = _header_cells(rows.columns, header_rows)
    head |= levels
    width = len(rows.columns) + 1
    head[data_row - 1] = [f"({i + 1})" for i in range(width)]
    for cells in merged:
        sheet.merged_cells.add(cells)
    for number in range(1, data_row):
        sheet.append(head.get(number, []))
    integers = [header in numeric for header in rows.columns]
    for serial, row in enumerate(rows.iter_rows(), 1):
        sheet.append([serial, *map(_cell, row, integers)])
    sheet.append([f"Tổng cộng: {rows.height}"])
    sheet.append(["Người lập biểu"])
    buffer = io.BytesIO()
    book.save(buffer)
    return _fixed_zip(buffer.getvalue())


def period_title(period: str) -> str:
    """How the title of a form states its period."""
    year, _, part = period.partition("-")
    if not part:
        return f"Năm {year}"
    return f"Quý {part[1]} năm {year}" if part.startswith("Q") else f"Tháng {part} năm {year}"


def _cell(value: str | None, is_integer: bool) -> str | int | None:
    return int(value) if is_integer and value and value.lstrip("-").isdigit() else value


def _header_cells(
    headers: list[str], header_rows: list[int]
) -> tuple[dict[int, list[str | None]], list[str]]:
    """Header rows with "Top | Sub" on two levels, and the ranges that are merged."""
    split = [("STT", "")] + [
        (top, sub) for top, _, sub in (header.partition(" | ") for header in headers)
    ]
    first, last = header_rows[0], header_rows[-1]
    top_row: list[str | None] = []
    sub_row: list[str | None] = []
    merged, start = [], 0
    for position, (top, sub) in enumerate(split):
        continues = sub != "" and position > 0 and split[position - 1][0] == top
        top_row.append(None if continues else top)
        sub_row.append(sub or None)
        start = start if continues else position
        ends = position + 1 == len(split) or not sub or split[position + 1][0] != top
        if sub and ends and position > start:
            merged.append(f"{_letter(start)}{first}:{_letter(position)}{first}")
        if not sub and last > first:
            merged.append(f"{_letter(position)}{first}:{_letter(position)}{last}")
    rows = {first: top_row}
    if last > first:
        rows[last] = sub_row
    return rows, merged


def _letter(position: int) -> str:
    """Column letter of a 0-based position below 26."""
    return chr(ord("A") + position)


def _fixed_zip(content: bytes) -> bytes:
    """The same workbook without the time of writing."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            data = old.read(name)
            if name == "docProps/core.xml":
                data = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", FIXED_STAMP, data)
            info = zipfile.ZipInfo(name, FIXED_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, data)
    return target.getvalue()
