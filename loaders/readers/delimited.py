"""Delimited text (CSV, TSV), streamed in blocks; memory does not grow with the file."""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

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
    clean,
)

BLOCK_BYTES = 4 * 1024 * 1024
ROW_BYTES = 32 * 1024 * 1024


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
        encoding: a Python codec name; ``utf-8-sig`` for files with a byte order mark.
        quote: character around cells that hold a delimiter or a line break, doubled inside;
            null where the sender never quotes and the character is text like any other.
        header_row: line of the header, counted from 1; lines above it are titles.

    Raises:
        ReaderError: no header, a quote that is never closed, or bytes that are not text in
            ``encoding``.
    """
    try:
        headers, skip = _header(path, delimiter, encoding, quote, header_row)
    except (UnicodeDecodeError, LookupError, csv.Error) as error:
        raise ReaderError(_unreadable(encoding, error)) from error
    table = Table(headers=headers, batches=iter(()))
    table.batches = _batches(path, table, skip, delimiter, encoding, quote)
    return table


def _header(
    path: Path, delimiter: str, encoding: str, quote: str | None, header_row: int
) -> tuple[list[str], int]:
    """Headers, and how many lines they and the titles above them take."""
    quoting = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    with path.open(encoding=encoding, newline="") as stream:
        for _ in range(header_row - 1):
            stream.readline()
        reader = csv.reader(stream, delimiter=delimiter, quotechar=quote, quoting=quoting)
        first = next(reader, None)
    if not first:
        raise ReaderError("the file has no header row; ask for the file again")
    headers = [" ".join(cell.split()) for cell in first]
    if len(set(headers)) < len(headers):
        doubled = sorted({header for header in headers if headers.count(header) > 1})
        raise ReaderError(f"columns stand twice in the header: {doubled}; ask for a corrected file")
    return headers, header_row - 1 + reader.line_num


def _batches(
    path: Path, table: Table, skip: int, delimiter: str, encoding: str, quote: str | None
) -> Iterator[TextBatch]:
    next_row = 1
    try:
        with _open(path, encoding) as stream:
            for _ in range(skip):
                stream.readline()
            for block in _blocks(stream, quote.encode() if quote else None):
                batch, next_row = _batch(block, table, delimiter, quote, next_row)
                yield batch
    except (pa.ArrowInvalid, UnicodeDecodeError, LookupError) as error:
        raise ReaderError(_unreadable(encoding, error)) from error


def _open(path: Path, encoding: str) -> BinaryIO:
    """The file as UTF-8."""
    codec = encoding.lower().replace("_", "-")
    if codec in ("utf-8", "utf-8-sig"):
        stream = path.open("rb")
        if codec == "utf-8-sig" and stream.read(len(BOM_UTF8)) != BOM_UTF8:
            stream.seek(0)
        return stream
    recoded = pa.transcoding_input_stream(pa.OSFile(str(path)), encoding, "utf-8")
    return io.BufferedReader(recoded)


def _blocks(stream: BinaryIO, quote: bytes | None) -> Iterator[bytes]:
    """The rows in blocks of whole rows, so that no more than one block lies in memory."""
    rest = b""
    while block := stream.read(BLOCK_BYTES):
        rest += block
        end = _end_of_rows(rest, quote)
        if end:
            yield rest[:end]
            rest = rest[end:]
        elif len(rest) > ROW_BYTES:
            raise ReaderError(
                f"a row of more than {ROW_BYTES >> 20} MiB: a quote is opened and not closed, or "
                "this is no delimited text; ask for the file again, or set quote: null in the "
                "contract if the sender never quotes"
            )
    if quote and rest.count(quote) % 2:
        raise ReaderError(
            f"a {quote.decode()} is opened and never closed: the file was cut off or is not "
            "quoted; ask for the file again, or set quote: null in the contract if the sender "
            "never quotes"
        )
    if rest:
        yield rest


def _end_of_rows(data: bytes, quote: bytes | None) -> int:
    """Where the last whole row ends; a line break between quotes ends no row."""
    line_end = b"\n" if b"\n" in data else b"\r"
    end = data.rfind(line_end) + 1
    if quote:
        quotes = data.count(quote, 0, end)
        while quotes % 2 and end:
            before = data.rfind(line_end, 0, end - 1) + 1
            quotes -= data.count(quote, before, end)
            end = before
    return end


def _batch(
    block: bytes, table: Table, delimiter: str, quote: str | None, next_row: int
) -> tuple[TextBatch, int]:
    """The rows of a block, and the number of the row after it."""
    wanted = [header for header in table.headers if table.is_wanted(header)]
    frame, broken = _parse(block, table.headers, wanted, delimiter, quote)
    height = frame.height + len(broken)
    if quote and block.count(b"\n") > height:
        _refuse_swallowed_rows(block, table.headers, delimiter, quote, next_row)
    numbers = pl.int_range(next_row, next_row + height, eager=True)
    if broken:
        numbers = numbers.filter(~numbers.is_in([next_row - 1 + row.number for row in broken]))
    frame = clean(frame).with_columns(numbers.alias(ROW_NUMBER), pl.lit("").alias(SHEET))
    reasons = tuple(
        BrokenRow(
            next_row - 1 + row.number,
            f"dòng có {row.actual_columns} ô, cần {row.expected_columns} ô",
            f"the row has {row.actual_columns} cells, {row.expected_columns} are needed",
        )
        for row in broken
    )
    return TextBatch(frame, reasons), next_row + height


def _parse(
    block: bytes, headers: list[str], wanted: list[str], delimiter: str, quote: str | None
) -> tuple[pl.DataFrame, list[pacsv.InvalidRow]]:
    broken: list[pacsv.InvalidRow] = []

    def keep_broken(row: pacsv.InvalidRow) -> str:
        broken.append(row)
        return "skip"

    cells = pacsv.read_csv(
        pa.BufferReader(block),
        # One thread: only then does Arrow tell the number of a row that it cannot split.
        read_options=pacsv.ReadOptions(
            block_size=len(block) + 1, use_threads=False, column_names=headers
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=delimiter,
            quote_char=quote or False,
            newlines_in_values=quote is not None,
            invalid_row_handler=keep_broken,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types={header: pa.string() for header in wanted},
            include_columns=wanted,
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    return pl.DataFrame(pl.from_arrow(cells)), broken


def _refuse_swallowed_rows(
    block: bytes, headers: list[str], delimiter: str, quote: str, next_row: int
) -> None:
    """A stray quote makes one cell of all rows up to the next one; nothing else would notice."""
    frame, _ = _parse(block, headers, headers, delimiter, quote)
    a_row = re.escape(delimiter).join(["[^\n]*"] * len(headers))
    swallowed = frame.select(
        pl.any_horizontal(pl.all().str.contains(f"\n{a_row}(\n|$)")).fill_null(False)
    ).to_series()
    if swallowed.any():
        row = next_row + (swallowed.arg_max() or 0)
        raise ReaderError(
            f"about row {row}: a cell between quotes holds whole rows: a quote is opened and "
            "closed only further down; ask for a corrected file, or set quote: null in the "
            "contract if the sender never quotes"
        )


def _unreadable(encoding: str, error: Exception) -> str:
    reason = str(error).splitlines()[0]
    return f"not readable as delimited text in {encoding}: {reason}; ask for the file again"
