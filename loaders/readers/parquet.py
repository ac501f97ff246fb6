"""Parquet files, streamed row group by row group and given as text like every other file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loaders.readers.base import (
    ROW_NUMBER,
    SHEET,
    Limits,
    ReaderError,
    Table,
    TextBatch,
    trimmed,
)
from loaders.readers.rows import BATCH_ROWS, Budget, check_usable

ENCRYPTED_END = b"PARE"
#: What a batch may hold as text: a short file can repeat one long text in every row.
MAX_BATCH_BYTES = 1024**3
#: The whole of a row group's columns may be in memory; writers make them of some 100 MB.
MAX_GROUP_BYTES = 2 * 1024**3
DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError)
IS_TEXT = (pa.types.is_string, pa.types.is_large_string)
IS_PRINTED = (
    pa.types.is_integer,
    pa.types.is_decimal,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_timestamp,
    pa.types.is_null,
)
IS_NUMBER = (pa.types.is_boolean, pa.types.is_floating)
#: The day of a point in time is the day on the clocks of the province.
LOCAL = "Asia/Ho_Chi_Minh"
#: Midnight is how a date without a time of day comes out of most tools.
MIDNIGHT = r"[ T]00:00:00(\.0+)?$"
FRACTION = r"(\.\d*?)0+$"


def read_parquet(path: Path, limits: Limits) -> Table:
    """Open a Parquet file.

    Dates come as ISO, times of day with them unless they are midnight, decimals with all their
    digits, floats as the shortest text that reads back as the same number (5.0 as 5), NaN as
    null, booleans as 1 and 0.

    Raises:
        ReaderError: damaged, encrypted, a nested or binary column, or a limit.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, 2) - 4))
            if stream.read() == ENCRYPTED_END:
                raise ReaderError(
                    "the Parquet file is encrypted; ask for it without, over the agreed channel"
                )
        file = pq.ParquetFile(path, page_checksum_verification=True)
        schema = file.schema_arrow
        _check(file, schema, limits)
        # Texts stay what they are in the file, a dictionary, until their size is known.
        # (Not asked of the columns' metadata: damage there ends the whole process in Arrow.)
        texts = [field.name for field in schema if _is_any(field.type, IS_TEXT)]
        file = pq.ParquetFile(path, read_dictionary=texts, page_checksum_verification=True)
    except ReaderError:
        raise
    except DAMAGE as error:
        raise _damaged(error) from error
    budget = Budget(limits, path.stat().st_size)
    return Table(headers=list(schema.names), batches=_batches(file, budget))


def _check(file: pq.ParquetFile, schema: pa.Schema, limits: Limits) -> None:
    metadata = file.metadata
    if metadata.num_columns > limits.max_columns or metadata.num_rows > limits.max_rows:
        raise ReaderError(
            f"{metadata.num_columns} columns and {metadata.num_rows} rows, {limits.max_columns} "
            f"and {limits.max_rows} are allowed; ask for the file in parts, or raise the limits "
            "in the contract"
        )
    groups = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
    if sum(groups) > limits.max_unpacked_bytes or max(groups, default=0) > MAX_GROUP_BYTES:
        raise ReaderError(
            f"unfolds to {sum(groups)} bytes, the largest row group to {max(groups)}; "
            f"{limits.max_unpacked_bytes} and {MAX_GROUP_BYTES} are allowed; ask for the file in "
            "parts, or raise max_unpacked_bytes in the contract"
        )
    names = list(schema.names)
    check_usable(names)
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ReaderError(f"columns stand twice in the file: {doubled}; ask for a corrected file")
    for field in schema:
        if not _is_any(field.type, (*IS_TEXT, *IS_PRINTED, *IS_NUMBER)):
            raise ReaderError(
                f"column {field.name[:60]!r} is of type {str(field.type)[:60]}, which is no single "
                "text, number or date; ask for the file with flat columns"
            )


def _is_any(kind: pa.DataType, tests: tuple) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(test(kind) for test in tests)


def _batches(file: pq.ParquetFile, budget: Budget) -> Iterator[TextBatch]:
    first = 1
    try:
        for record_batch in file.iter_batches(batch_size=BATCH_ROWS):
            if record_batch.num_rows == 0:
                continue
            # Damaged pages come as arrays that point outside themselves.
            record_batch.validate(full=True)
            frame = _text(record_batch, budget)
            yield TextBatch(
                frame.with_columns(
                    pl.Series(ROW_NUMBER, range(first, first + frame.height), dtype=pl.Int64),
                    pl.lit("").alias(SHEET),
                )
            )
            first += frame.height
    except ReaderError:
        raise
    except DAMAGE as error:
        raise _damaged(error) from error


def _text(record_batch: pa.RecordBatch, budget: Budget) -> pl.DataFrame:
    columns = []
    total = 0
    for name, column in zip(record_batch.schema.names, record_batch.columns, strict=True):
        if pa.types.is_dictionary(column.type):
            lengths = pc.binary_length(column.dictionary.cast(pa.large_string()))
            size = pc.sum(pc.take(lengths, column.indices)).as_py() or 0
            total += size
            if total > MAX_BATCH_BYTES:
                raise ReaderError(
                    f"{record_batch.num_rows} rows hold more than {MAX_BATCH_BYTES} bytes of text: "
                    "no list does; ask the sender what this file is"
                )
            budget.spend(size)
            column = column.cast(column.type.value_type)
        columns.append(trimmed(_column(column).alias(name)))
    return pl.DataFrame(columns)


def _column(column: pa.Array) -> pl.Series:
    kind = column.type
    if pa.types.is_boolean(kind):
        return pl.from_arrow(column.cast(pa.int8())).cast(pl.String)
    if pa.types.is_floating(kind):
        if pa.types.is_float16(kind):
            column = column.cast(pa.float32())
        # A whole column becomes floats where one cell is empty: 5.0 is the count 5.
        return pl.from_arrow(column).fill_nan(None).cast(pl.String).str.replace(r"\.0$", "")
    is_time = pa.types.is_timestamp(kind)
    if is_time and kind.tz is not None:
        column = pc.local_timestamp(column.cast(pa.timestamp(kind.unit, tz=LOCAL)))
    text = pl.from_arrow(column.cast(pa.large_string())).cast(pl.String)
    if is_time:
        text = text.str.replace(MIDNIGHT, "").str.replace(" ", "T")
    if is_time or pa.types.is_time(kind):
        text = text.str.replace(FRACTION, "$1").str.strip_suffix(".")
    return text


def _damaged(error: BaseException) -> ReaderError:
    if "Not yet implemented" in str(error):
        return ReaderError(
            "texts of the Parquet file have one of the DELTA encodings; ask for the file with "
            "plain or dictionary encoding (format version 1.0)"
        )
    return ReaderError(
        f"not a readable Parquet file ({type(error).__name__}): damaged or cut off on the way; "
        "ask for the file again"
    )
