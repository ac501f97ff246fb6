"""Delimited text (CSV, TSV), streamed in blocks; memory does not grow with the file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

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

BLOCK_BYTES = 8 * 1024 * 1024


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
    broken: list[BrokenRow] = []

    def keep_broken(row: pacsv.InvalidRow) -> str:
        # Arrow counts physical rows from 1, those that are skipped too.
        broken.append(
            BrokenRow(
                row.number - skip,
                f"dòng có {row.actual_columns} ô, cần {row.expected_columns} ô",
                f"the row has {row.actual_columns} cells, {row.expected_columns} are needed",
            )
        )
        return "skip"

    codec = "utf-8" if encoding.lower().replace("_", "-") == "utf-8-sig" else encoding
    wanted = [header for header in table.headers if table.is_wanted(header)]
    if quote:
        _refuse_open_quote(path, quote)
    try:
        reader = pacsv.open_csv(
            path,
            # One thread: only then does Arrow tell the number of a row that it cannot split.
            read_options=pacsv.ReadOptions(
                block_size=BLOCK_BYTES,
                encoding=codec,
                use_threads=False,
                column_names=table.headers,
                skip_rows=skip,
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
        next_row = 1
        for record_batch in reader:
            if record_batch.num_rows:
                batch, next_row = _batch(record_batch, broken, next_row)
                yield batch
    except (pa.ArrowInvalid, UnicodeDecodeError, LookupError) as error:
        raise ReaderError(_unreadable(encoding, error)) from error
    if broken:
        yield TextBatch(pl.DataFrame(), tuple(broken))


def _refuse_open_quote(path: Path, quote: str) -> None:
    """A quote that is never closed would make one cell of the rest of the file."""
    count, mark = 0, quote.encode()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            count += block.count(mark)
    if count % 2:
        raise ReaderError(
            f"a {quote} is opened and never closed: the file was cut off or is not quoted; ask "
            "for the file again, or set quote: null in the contract if the sender never quotes"
        )


def _batch(
    record_batch: pa.RecordBatch, broken: list[BrokenRow], next_row: int
) -> tuple[TextBatch, int]:
    """The batch, and the number of the row after it; takes from ``broken`` what lies within.

    Arrow reads ahead: broken rows of later batches may be known already.
    """
    frame = pl.DataFrame(pl.from_arrow(record_batch))
    end, within = next_row + frame.height, 0
    while within < len(broken) and broken[within].row_number < end:
        within, end = within + 1, end + 1
    numbers = pl.int_range(next_row, end, eager=True)
    if within:
        numbers = numbers.filter(~numbers.is_in([row.row_number for row in broken[:within]]))
    frame = clean(frame).with_columns(numbers.alias(ROW_NUMBER), pl.lit("").alias(SHEET))
    batch = TextBatch(frame, tuple(broken[:within]))
    del broken[:within]
    return batch, end


def _unreadable(encoding: str, error: Exception) -> str:
    reason = str(error).splitlines()[0]
    return f"not readable as delimited text in {encoding}: {reason}; ask for the file again"
