"""What every reader gives: a header and batches of text cells with their row numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

ROW_NUMBER = "_row_number"
SHEET = "_sheet"


class ReaderError(ValueError):
    """A file that cannot be read as its contract says; the message tells what to do."""


class Limits(BaseModel):
    """What a delivery may cost at most; a contract states other limits where it has to.

    ``max_bytes``: the landed file. ``max_unpacked_bytes``: all that an archive, workbook or XML
    envelope unfolds to, together; ``max_ratio``: unpacked to packed, from one MiB unpacked on;
    ``max_entries``: files in an archive or workbook; ``max_columns``: cells in a row;
    ``max_rows``: rows in the file; ``max_memory_bytes``: what a form that cannot be streamed (a
    workbook) takes in memory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    max_bytes: int = Field(default=4 * 1024**3, ge=1)
    max_unpacked_bytes: int = Field(default=16 * 1024**3, ge=1)
    max_ratio: float = Field(default=200, ge=1)
    max_entries: int = Field(default=2_000, ge=1)
    max_columns: int = Field(default=500, ge=1)
    max_rows: int = Field(default=50_000_000, ge=1)
    max_memory_bytes: int = Field(default=2 * 1024**3, ge=1)


@dataclass(frozen=True)
class BrokenRow:
    """A row that could not be split into cells."""

    row_number: int
    reason_vi: str
    reason_en: str


@dataclass(frozen=True)
class TextBatch:
    """Rows of a file as text.

    ``frame`` holds one Utf8 column per header plus ``_row_number`` (1-based count of data rows,
    header lines not counted) and ``_sheet``; empty cells are null, outer spaces are trimmed.
    """

    frame: pl.DataFrame
    broken: tuple[BrokenRow, ...] = ()


@dataclass
class Table:
    """A file opened by a reader.

    ``stated_period`` is the period that a title row states, None where the layout has
    none. ``stated_rows`` is the number of rows that the file itself claims in its footer; it is
    known only after the last batch. So is ``set_aside``: rows that the layout says are no records
    (subtotals, older versions of a record, …), counted by the reason in one or two words.
    """

    headers: list[str]
    batches: Iterator[TextBatch]
    stated_period: str | None = None
    stated_rows: list[int] = field(default_factory=list)
    set_aside: Counter[str] = field(default_factory=Counter)


def clean_text(column: str) -> pl.Expr:
    """Outer spaces off, the empty cell is null."""
    text = pl.col(column).str.strip_chars()
    return pl.when(text.str.len_bytes() > 0).then(text).alias(column)


def check_headers(found: Sequence[str], expected: Sequence[str]) -> None:
    """Refuse a file whose columns are not those of its contract.

    Raises:
        ReaderError: with both lists and, for every missing column, the closest one found.
    """
    missing = [header for header in expected if header not in found]
    unknown = [header for header in found if header not in expected]
    doubled = sorted({header for header in found if found.count(header) > 1})
    if doubled:
        raise ReaderError(f"columns stand twice in the header: {doubled}; ask for a corrected file")
    if not missing and not unknown:
        return
    hints = []
    for header in missing:
        close = get_close_matches(header, unknown, n=1, cutoff=0.5)
        if close:
            hints.append(f"{header!r} may be {close[0]!r}")
    hint = f" ({'; '.join(hints)})" if hints else ""
    raise ReaderError(
        f"the header does not match the contract: missing {missing}, unknown {unknown}{hint}; "
        "ask for a corrected file, or add the new layout with its first month to the contract"
    )
