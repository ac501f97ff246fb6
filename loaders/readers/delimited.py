"""Delimited text (CSV, TSV), streamed in blocks; memory does not grow with the file."""

from __future__ import annotations

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
    clean_text,
)

BLOCK_BYTES = 16 * 1024 * 1024


def read_csv(path: Path, limits: Limits, *, delimiter: str = ",", encoding: str = "utf-8") -> Table:
    """Open a delimited file.

    Args:
        delimiter: one character between cells.
        encoding: a Python codec name; ``utf-8-sig`` for files with a byte order mark.

    Raises:
        ReaderError: no header, or bytes that are not text in ``encoding``.
    """
    broken: list[BrokenRow] = []

    def keep_broken(row: pacsv.InvalidRow) -> str:
        # Arrow counts physical rows from 1 and the header is the first.
        broken.append(
            BrokenRow(
                row.number - 1,
                f"dòng có {row.actual_columns} ô, cần {row.expected_columns} ô",
                f"the row has {row.actual_columns} cells, {row.expected_columns} are needed",
            )
        )
        return "skip"

    codec = "utf-8" if encoding.lower().replace("_", "-") == "utf-8-sig" else encoding
    try:
        headers = _header(path, delimiter, encoding)
        reader = pacsv.open_csv(
            path,
            # One thread: only then does Arrow tell the number of a row that it cannot split.
            read_options=pacsv.ReadOptions(
                block_size=BLOCK_BYTES,
                encoding=codec,
                use_threads=False,
                column_names=headers,
                skip_rows=1,
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=keep_broken
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={header: pa.string() for header in headers},
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError, LookupError) as error:
        raise ReaderError(_unreadable(encoding, error)) from error
    return Table(headers=headers, batches=_batches(reader, broken, encoding))


def _header(path: Path, delimiter: str, encoding: str) -> list[str]:
    import csv

    with path.open(encoding=encoding, newline="") as stream:
        first = next(csv.reader(stream, delimiter=delimiter), None)
    if not first:
        raise ReaderError("the file has no header row; ask for the file again")
    headers = [" ".join(cell.split()) for cell in first]
    if len(set(headers)) < len(headers):
        doubled = sorted({header for header in headers if headers.count(header) > 1})
        raise ReaderError(f"columns stand twice in the header: {doubled}; ask for a corrected file")
    return headers


def _batches(
    reader: pacsv.CSVStreamingReader, broken: list[BrokenRow], encoding: str
) -> Iterator[TextBatch]:
    next_row, reported = 1, 0
    while True:
        try:
            record_batch = reader.read_next_batch()
        except StopIteration:
            record_batch = None
        except pa.ArrowInvalid as error:
            raise ReaderError(_unreadable(encoding, error)) from error
        if record_batch is None:
            if len(broken) > reported:
                yield TextBatch(pl.DataFrame(), tuple(broken[reported:]))
            return
        if record_batch.num_rows == 0:
            continue
        frame = pl.from_arrow(record_batch)
        frame = frame.with_columns(clean_text(name) for name in frame.columns)
        numbers, next_row = _row_numbers(frame.height, next_row, {row.row_number for row in broken})
        yield TextBatch(
            frame.with_columns(
                pl.Series(ROW_NUMBER, numbers, dtype=pl.Int64),
                pl.lit("").alias(SHEET),
            ),
            tuple(broken[reported:]),
        )
        reported = len(broken)


def _row_numbers(height: int, next_row: int, broken: set[int]) -> tuple[list[int] | range, int]:
    """Numbers of ``height`` good rows from ``next_row`` on, leaving out the broken ones."""
    if not any(next_row <= number for number in broken):
        return range(next_row, next_row + height), next_row + height
    numbers = []
    while len(numbers) < height:
        if next_row not in broken:
            numbers.append(next_row)
        next_row += 1
    return numbers, next_row


def _unreadable(encoding: str, error: Exception) -> str:
    reason = str(error).splitlines()[0]
    return f"not readable as delimited text in {encoding}: {reason}; ask for the file again"
