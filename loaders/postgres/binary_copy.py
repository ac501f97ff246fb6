"""Rows in PostgreSQL's binary COPY format, whole columns at a time.

The server takes a binary date, key or number as it is; parsing their text would cost it more than
the rest of a load. Rows whose cells have equal lengths are one array of records, so this is fast
where texts are codes of few lengths, and correct for any. Numeric has no such form here: tables
with numeric columns go as CSV.

Source: PostgreSQL documentation, COPY, "Binary Format".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from loaders import fixed_width

#: Bytes of a value; text has its own length.
WIDTHS = {"bigint": 8, "date": 4, "uuid": 16}
#: Few enough that the records stay in the processor's cache.
SLICE_ROWS = 16_384
DAYS_TO_2000 = 10_957  # PostgreSQL counts days from 2000-01-01, polars from 1970-01-01

#: Two hexadecimal digits, read as one little-endian number, to the byte that they mean.
_PAIRS = np.zeros(1 << 16, dtype=np.uint8)
for _byte in range(256):
    _PAIRS[int.from_bytes(b"%02x" % _byte, "little")] = _byte


class BinaryCopy:
    """Encodes frames for ``COPY … FROM STDIN (FORMAT binary)``.

    Args:
        types: column name → PostgreSQL type (one of TYPES), in the order of the COPY statement.
    """

    TYPES = frozenset({*WIDTHS, "text"})
    HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    TRAILER = b"\xff\xff"

    def __init__(self, types: Mapping[str, str]) -> None:
        unknown = sorted(set(types.values()) - self.TYPES)
        if unknown:
            raise ValueError(f"no binary form for {unknown}; send the table as CSV")
        self.types = dict(types)

    def rows(self, frame: pl.DataFrame) -> Iterator[bytes | memoryview]:
        """The rows of ``frame``, without header and trailer; their order may change.

        ``frame`` holds Int64 for bigint, Date for date, 32 lower-case hexadecimal digits for uuid.
        """
        for part in frame.iter_slices(SLICE_ROWS):
            for shape, rows in self._by_shape(part):
                yield self._records(part if rows is None else part.filter(rows), shape)

    def _by_shape(self, frame: pl.DataFrame) -> Iterator[tuple[dict[str, int], pl.Series | None]]:
        """Each combination of lengths (−1 is null) with the mask of its rows; None means all."""
        lengths = {name: self._lengths(frame.get_column(name)) for name in self.types}
        varied = [name for name, length in lengths.items() if isinstance(length, pl.Series)]
        if not varied:
            yield lengths, None  # type: ignore[misc]
            return
        shapes = pl.DataFrame([lengths[name].alias(name) for name in varied])
        numbers = shapes.select(pl.struct(varied).rank("dense")).to_series()
        for shape in shapes.with_columns(numbers.alias("")).unique("").iter_rows(named=True):
            number = shape.pop("")
            yield lengths | shape, numbers == number

    def _lengths(self, values: pl.Series) -> int | pl.Series:
        """Bytes of each cell, −1 for null; one number where all are alike."""
        kind = self.types[values.name]
        if kind != "text" and values.null_count() == 0:
            return WIDTHS[kind]
        lengths = fixed_width.lengths(values) if kind == "text" else WIDTHS[kind]
        if values.null_count():
            lengths = np.where(values.is_null(), -1, lengths)
        least, most = int(lengths.min()), int(lengths.max())
        return least if least == most else pl.Series(lengths)

    def _records(self, frame: pl.DataFrame, shape: dict[str, int]) -> memoryview:
        fields: list[tuple[str, str]] = [("count", ">i2")]
        for name, length in shape.items():
            fields.append((f"length of {name}", ">i4"))
            if length > 0:
                # One opaque item: numpy copies it in one piece.
                fields.append((name, f"V{length}"))
        like = np.zeros(1, dtype=fields)
        like["count"] = len(shape)
        for name, length in shape.items():
            like[f"length of {name}"] = length
        records = np.empty(frame.height, dtype=fields)
        records[:] = like
        for name, length in shape.items():
            if length > 0:
                records[name] = _items(frame.get_column(name), self.types[name], length)
        return memoryview(records).cast("B")


def _items(values: pl.Series, kind: str, length: int) -> np.ndarray:
    """The cells as opaque items of ``length`` bytes; none is null and all have this length."""
    if kind == "text" and length <= fixed_width.LETTERS:
        return fixed_width.letters(values, length)
    return _bytes(values, kind).view(f"V{length}")


def _bytes(values: pl.Series, kind: str) -> np.ndarray:
    """The cells' bytes one after the other; no cell is null and all have one length."""
    if kind == "bigint":
        return values.to_numpy().astype(">i8").view(np.uint8)
    if kind == "date":
        days = values.to_physical().to_numpy() - DAYS_TO_2000
        return days.astype(">i4").view(np.uint8)
    text = values.to_arrow(compat_level=pl.CompatLevel.oldest())
    start = np.frombuffer(text.buffers()[1], dtype=np.int64)[text.offset]
    end = np.frombuffer(text.buffers()[1], dtype=np.int64)[text.offset + len(text)]
    data = np.frombuffer(text.buffers()[2], dtype=np.uint8)[start:end]
    return _PAIRS[data.view("<u2")] if kind == "uuid" else data
