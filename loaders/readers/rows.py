"""What readers of whole documents share: text rows to batches, costs held against the limits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any

import polars as pl

from loaders.readers.base import (
    ROW_NUMBER,
    SHEET,
    BrokenRow,
    Limits,
    ReaderError,
    TextBatch,
    trimmed,
)

BATCH_ROWS = 50_000
HELD_ROWS = 100
#: Tables of a statistics office, which are read whole.
MAX_HELD_BYTES = 64 * 1024**2
VALUE_HEADER = "value"
#: Below this much unpacked content a ratio says nothing.
RATIO_FROM_BYTES = 1024**2
#: (row number, sheet, cells), or a row that could not be read.
Item = tuple[int, str, Sequence[str | None]] | BrokenRow


def batches(headers: Sequence[str], items: Iterable[Item], limits: Limits) -> Iterator[TextBatch]:
    """Batches of at most 50,000 rows; memory holds one of them.

    Raises:
        ReaderError: more rows than ``limits.max_rows``.
    """
    items, done = iter(items), 0
    while True:
        broken: list[BrokenRow] = []
        part = islice(items, BATCH_ROWS)
        columns = by_column(_unbroken(part, broken, done, limits))
        height = len(columns[0]) if columns else 0
        if not height and not broken:
            return
        yield TextBatch(_frame(headers, columns), tuple(broken))
        done += height + len(broken)


def _unbroken(
    items: Iterator[Item], broken: list[BrokenRow], done: int, limits: Limits
) -> Iterator[list[Any]]:
    """Rows as [number, sheet, *cells]; those that could not be read go to ``broken``."""
    for count, item in enumerate(items, start=done + 1):
        if count > limits.max_rows:
            raise ReaderError(
                f"more than {limits.max_rows} rows; ask for the file in parts, or raise max_rows "
                "in the contract"
            )
        if isinstance(item, BrokenRow):
            broken.append(item)
        else:
            yield [item[0], item[1], *item[2]]


def by_column(rows: Iterator[Sequence[Any]]) -> list[list[Any]]:
    """The cells by column, none where there are no rows.

    Few rows are held at a time: of many the garbage collector looks at each again and again.
    """
    columns: list[list[Any]] = []
    while part := list(islice(rows, HELD_ROWS)):
        columns = columns or [[] for _ in part[0]]
        for column, cells in zip(columns, zip(*part, strict=True), strict=True):
            column += cells
    return columns


def _frame(headers: Sequence[str], columns: list[list[Any]]) -> pl.DataFrame:
    """Numbered rows as a frame of trimmed text, empty cells null."""
    numbers, sheets, *cells = columns or [[] for _ in (ROW_NUMBER, SHEET, *headers)]
    return pl.DataFrame(
        [
            *(
                trimmed(pl.Series(header, column, dtype=pl.String))
                for header, column in zip(headers, cells, strict=True)
            ),
            pl.Series(ROW_NUMBER, numbers, dtype=pl.Int64),
            pl.Series(SHEET, sheets, dtype=pl.String),
        ]
    )


def check_usable(headers: Sequence[str]) -> None:
    """Refuse columns that cannot be told apart: without a name, or with one that batches use."""
    for header in headers:
        if not header.strip() or header in (ROW_NUMBER, SHEET):
            raise ReaderError(
                f"a column is called {header!r}: no name for one; ask for a corrected file"
            )


class Budget:
    """What a file may unfold to, all its parts together."""

    def __init__(self, limits: Limits, packed_bytes: int) -> None:
        self._limits, self._packed, self._spent = limits, max(packed_bytes, 1), 0

    def spend(self, unpacked_bytes: int) -> None:
        """Count what was unpacked.

        Raises:
            ReaderError: more than ``max_unpacked_bytes``, or than ``max_ratio`` times the file.
        """
        self._spent += unpacked_bytes
        if self._spent > self._limits.max_unpacked_bytes:
            raise ReaderError(
                f"unfolds to more than {self._limits.max_unpacked_bytes} bytes; ask for the "
                "delivery in parts, or raise max_unpacked_bytes in the contract"
            )
        most = max(RATIO_FROM_BYTES, self._packed * self._limits.max_ratio)
        if self._spent > most:
            raise ReaderError(
                f"unfolds to more than {self._limits.max_ratio:g} times its {self._packed} bytes: "
                "no list does; ask the sender what this file is"
            )


def check_held_size(size: int, limits: Limits) -> None:
    """Refuse a document that has to be held whole and is larger than any published table."""
    most = min(MAX_HELD_BYTES, limits.max_unpacked_bytes)
    if size > most:
        raise ReaderError(
            f"the file has {size} bytes; a table of this kind is held in memory and may have "
            f"{most}; fetch it in parts"
        )


def check_cube(names: Sequence[str], limits: Limits) -> None:
    """Refuse a cube without dimensions, with one twice, or with more than fit."""
    if not names:
        raise ReaderError("the table names no dimensions; fetch it again")
    if len(names) >= limits.max_columns:
        raise ReaderError(
            f"the table has {len(names)} dimensions, {limits.max_columns - 1} are allowed; fetch "
            "a smaller one, or raise max_columns in the contract"
        )
    check_usable(names)
    doubled = sorted({name for name in names if list(names).count(name) > 1})
    if doubled or VALUE_HEADER in names:
        raise ReaderError(
            f"dimensions stand twice in the table, or one is called {VALUE_HEADER!r}: "
            f"{doubled or [VALUE_HEADER]}; fetch it again"
        )


def fold(label: str) -> str:
    """A label with its runs of spaces as one."""
    return " ".join(label.split())


def check_names(asked: Sequence[str], known: Collection[str], where: str) -> None:
    """Refuse names that a contract asks for twice, or that nobody knows, with the closest match."""
    if len(set(asked)) < len(asked):
        doubled = sorted({name for name in asked if list(asked).count(name) > 1})
        raise ReaderError(
            f"{doubled} asked for twice; correct the reader's options in the contract"
        )
    for name in asked:
        if name not in known:
            raise ReaderError(
                f"{where} has no {name!r}{hint(name, known)}; correct the reader's options in the "
                "contract, or ask for a corrected file"
            )


def hint(name: str, known: Iterable[str]) -> str:
    """ " (closest: 'x')", or nothing where no name is like it."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (closest: {close[0]!r})" if close else ""
