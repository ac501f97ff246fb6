"""Delimited text (CSV, TSV), streamed in blocks; memory does not grow with the file."""

from __future__ import annotations

import csv
import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv

from loaders.readers.base import (
    ROW_NUMBER,
    SHEET,
    BrokenRow,
    Limits,
    ReaderError,
    Table,
    TextBatch,
    header_text,
    trimmed,
)
from loaders.readers.encodings import undecodable, utf8_stream
from loaders.readers.quoting import Quoting

BLOCK_BYTES = 4 * 1024 * 1024
ROW_BYTES = 32 * 1024 * 1024
#: The longest line up to the header.
LINE_CHARACTERS = 1024 * 1024
LINE_END = re.compile(rb"\r\n|\n|\r")
EMPTY = "empty rows"
BEYOND = "__beyond__"

#: First bytes of what is sent under the name of a text file.
OTHER_KINDS = {
    b"PK\x03\x04": "a ZIP archive or XLSX workbook",
    b"\x1f\x8b": "a gzip stream",
    b"\xd0\xcf\x11\xe0": "an old workbook (XLS)",
    b"%PDF": "a PDF",
}


@dataclass(frozen=True)
class _Layout:
    """Columns of the file, those beyond the last header included, and how cells are parted."""

    columns: list[str]
    delimiter: str
    quote: str | None

    @property
    def beyond(self) -> list[str]:
        return [column for column in self.columns if column.startswith(BEYOND)]


def read_csv(
    path: Path,
    limits: Limits,
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    quote: str | None = '"',
    header_row: int = 1,
) -> Table:
    """Open a delimited file.

    Args:
        delimiter: one character between cells.
        encoding: one of `readers.encodings`; a byte order mark of UTF-8 may stand or not.
        quote: character around cells that hold a delimiter or a line break, doubled inside;
            null where the sender never quotes and the character is text like any other.
        header_row: line of the header, counted from 1; lines above it are titles.

    Raises:
        ReaderError: no header, a quote that is never closed, or bytes that are not text in
            ``encoding``.
    """
    _refuse_other_kinds(path)
    try:
        headers, skip = _header(path, delimiter, encoding, quote, header_row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ReaderError(_unreadable(path, encoding, error)) from error
    layout = _Layout(headers, delimiter, quote)
    table = Table(headers=headers[: len(headers) - len(layout.beyond)], batches=iter(()))
    table.batches = _batches(path, table, skip, encoding, layout)
    return table


def _refuse_other_kinds(path: Path) -> None:
    with path.open("rb") as stream:
        head = stream.read(4)
    for mark, kind in OTHER_KINDS.items():
        if head.startswith(mark):
            raise ReaderError(
                f"the file is {kind}, not delimited text; ask for text, or correct reader and "
                "unpack in the contract"
            )


def _header(
    path: Path, delimiter: str, encoding: str, quote: str | None, header_row: int
) -> tuple[list[str], int]:
    """Headers, and how many lines they and the titles above them take."""
    quoting = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    with io.TextIOWrapper(utf8_stream(path, encoding), "utf-8", newline="") as stream:
        lines = _lines(stream)
        for _ in islice(lines, header_row - 1):
            pass
        reader = csv.reader(lines, delimiter=delimiter, quotechar=quote, quoting=quoting)
        first = next(reader, None)
    if not first:
        raise ReaderError("the file has no header row; ask for the file again")
    headers = [header_text(cell) for cell in first]
    filled = next((i for i in range(len(headers), 0, -1) if headers[i - 1]), 1)
    # A delimiter too many at the end of each row makes cells beyond the last column.
    headers[filled:] = [f"{BEYOND}{number}" for number in range(len(headers) - filled)]
    return headers, header_row - 1 + reader.line_num


def _lines(stream: TextIO) -> Iterator[str]:
    """Lines up to the header; none of them may fill the memory."""
    while line := stream.readline(LINE_CHARACTERS):
        if len(line) == LINE_CHARACTERS:
            raise ReaderError(
                f"a line of more than {LINE_CHARACTERS} characters stands where the header should: "
                "this is no delimited text; ask for the file again"
            )
        yield line


def _batches(
    path: Path, table: Table, skip: int, encoding: str, layout: _Layout
) -> Iterator[TextBatch]:
    next_row = 1
    quoting = Quoting(layout.quote, layout.delimiter)
    try:
        with utf8_stream(path, encoding) as stream:
            rest = _skip(stream, skip)
            for block in _blocks(stream, rest, quoting):
                batch, next_row = _batch(block, table, layout, next_row)
                yield batch
    except pa.ArrowInvalid as error:
        raise ReaderError(_unreadable(path, encoding, error)) from error


def _skip(stream: BinaryIO, lines: int) -> bytes:
    """Read over the first lines, whatever ends them; what was read of the next ones."""
    data, is_end = b"", False
    while not is_end:
        block = stream.read(BLOCK_BYTES)
        data, is_end = data + block, not block
        ends = [found.end() for found in islice(LINE_END.finditer(data), lines)]
        # A CR that ends the block may be half of a line end.
        if len(ends) == lines and ends[-1] < len(data):
            return data[ends[-1] :]
    return b""


def _blocks(stream: BinaryIO, rest: bytes, quoting: Quoting) -> Iterator[bytes]:
    """The rows in blocks of whole rows, so that no more than one block lies in memory."""
    while block := stream.read(BLOCK_BYTES):
        rest += block
        end = quoting.end_of_rows(rest)
        if end:
            yield rest[:end]
            rest = rest[end:]
        elif len(rest) > ROW_BYTES:
            raise ReaderError(
                f"a row of more than {ROW_BYTES >> 20} MiB: a quote is opened and not closed, or "
                "this is no delimited text; ask for the file again, or set quote: null in the "
                "contract if the sender never quotes"
            )
    if quoting.is_open(rest):
        raise ReaderError(
            f"a {quoting.quote} is opened and never closed: the file was cut off or is not "
            "quoted; ask for the file again, or set quote: null in the contract if the sender "
            "never quotes"
        )
    if rest:
        yield rest


def _batch(block: bytes, table: Table, layout: _Layout, next_row: int) -> tuple[TextBatch, int]:
    """The rows of a block, and the number of the row after it."""
    wanted = [header for header in table.headers if table.is_wanted(header)]
    _check_text(block)
    cells, ragged = _parse(block, layout, wanted + layout.beyond)
    height = cells.num_rows + len(ragged)
    has_quotes = layout.quote is not None and layout.quote.encode() in block
    if has_quotes and _lines_in(block) > height:
        _refuse_swallowed_rows(block, layout, ragged, next_row)
    numbers = pl.int_range(next_row, next_row + height, eager=True)
    if ragged:
        numbers = numbers.filter(~numbers.is_in([next_row - 1 + row.number for row in ragged]))
    frame = _clean(cells)
    is_filled = _filled(frame, block, layout)
    frame = frame.with_columns(numbers.alias(ROW_NUMBER), pl.lit("").alias(SHEET))
    if is_filled is not None:
        table.set_aside[EMPTY] += frame.height - is_filled.sum()
        frame = frame.filter(is_filled)
    broken = [
        BrokenRow(
            next_row - 1 + row.number,
            f"dòng có {row.actual_columns} ô, cần {row.expected_columns} ô",
            f"the row has {row.actual_columns} cells, {row.expected_columns} are needed",
        )
        for row in ragged
    ]
    if layout.beyond:
        is_over = pl.any_horizontal(pl.col(layout.beyond).is_not_null())
        broken += [
            BrokenRow(
                number,
                "có ô nằm ngoài cột cuối cùng của dòng tiêu đề",
                "a cell stands beyond the last column of the header",
            )
            for number in frame.filter(is_over).get_column(ROW_NUMBER)
        ]
        frame = frame.filter(~is_over).drop(layout.beyond)
    return TextBatch(frame, tuple(broken)), next_row + height


def _lines_in(block: bytes) -> int:
    ends = block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n")
    return ends + (not block.endswith((b"\n", b"\r")))


def _check_text(block: bytes) -> None:
    """Refuse bytes that are no UTF-8, also in cells that nobody asked for.

    Arrow shows a row that it cannot split as text, and cannot show what is none.
    """
    ends = pa.py_buffer(struct.pack("=2i", 0, len(block)))  # pa.array would import pandas
    text = pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(block)])
    text.validate(full=True)


def _parse(
    block: bytes, layout: _Layout, wanted: list[str]
) -> tuple[pa.Table, list[pacsv.InvalidRow]]:
    broken: list[pacsv.InvalidRow] = []

    def keep_broken(row: pacsv.InvalidRow) -> str:
        broken.append(row)
        return "skip"

    cells = pacsv.read_csv(
        pa.BufferReader(block),
        # One thread: only then does Arrow tell the number of a row that it cannot split.
        read_options=pacsv.ReadOptions(
            block_size=len(block) + 1, use_threads=False, column_names=layout.columns
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=layout.delimiter,
            quote_char=layout.quote or False,
            newlines_in_values=layout.quote is not None,
            invalid_row_handler=keep_broken,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types={header: pa.string() for header in wanted},
            include_columns=wanted,
            null_values=[""],
            strings_can_be_null=True,
            check_utf8=False,  # _check_text has
        ),
    )
    return cells, broken


def _clean(cells: pa.Table) -> pl.DataFrame:
    """The cells without outer spaces, empty ones as null.

    A column of visible ASCII has nothing to take off, and a look at its bytes costs a twentieth of
    a look at its cells.
    """
    columns = []
    for name, text in zip(cells.column_names, cells.columns, strict=True):
        column = pl.Series(name, text)
        columns.append(column if _is_visible_ascii(text) else trimmed(column))
    return pl.DataFrame(columns)


def _is_visible_ascii(text: pa.ChunkedArray) -> bool:
    for chunk in text.chunks:
        if chunk.type != pa.string():
            return False
        _, ends, letters = chunk.buffers()
        ends = np.frombuffer(ends, dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        letters = np.frombuffer(letters, dtype=np.uint8)[ends[0] : ends[-1]]
        if letters.size and not (letters.min() > ord(" ") and letters.max() < 128):
            return False
    return True


def _filled(frame: pl.DataFrame, block: bytes, layout: _Layout) -> pl.Series | None:
    """Which rows have any cell, in whatever column; None when there is nothing to look for."""
    if frame.width == 0 or frame.height == 0 or 0 in frame.null_count().row(0):
        return None
    if frame.select(pl.all_horizontal(pl.all().is_null()).any()).item():
        # The cells that nobody asked for tell an empty line from a poor record.
        frame = _clean(_parse(block, layout, layout.columns)[0])
        return frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
    return None


def _refuse_swallowed_rows(
    block: bytes, layout: _Layout, ragged: list[pacsv.InvalidRow], next_row: int
) -> None:
    """A stray quote makes one cell of all rows up to the next one; nothing else would notice."""
    between = re.escape(layout.delimiter)
    a_row = rf"[\r\n](?:[^\r\n]*{between}){{{len(layout.columns) - 1}}}[^\r\n]*(?:[\r\n]|$)"
    cells, _ = _parse(block, layout, layout.columns)
    holds_rows = pl.any_horizontal(pl.all().str.contains(a_row)).fill_null(False)
    swallowed = pl.DataFrame(cells).select(holds_rows).to_series()
    numbers = [row.number for row in ragged if re.search(a_row, row.text.rstrip("\r\n"))]
    if swallowed.any():
        numbers.append(1 + (swallowed.arg_max() or 0))
    if numbers:
        raise ReaderError(
            f"about row {next_row - 1 + min(numbers)}: a cell between quotes holds whole rows: a "
            "quote is opened and closed only further down; ask for a corrected file, or set "
            "quote: null in the contract if the sender never quotes"
        )


def _unreadable(path: Path, encoding: str, error: Exception) -> str:
    reason = str(error).splitlines()[0]
    return undecodable(path, encoding) or (
        f"not readable as delimited text in {encoding}: {reason}; ask for the file again"
    )
