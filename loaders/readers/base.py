"""What every reader gives: a header and batches of text cells with their row numbers."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

ROW_NUMBER = "_row_number"
SHEET = "_sheet"
#: No header has a long number or a date in it; a person's row has.
DATA = re.compile(r"[0-9]{5}|[0-9][/.-][0-9]{1,2}[/.-][0-9]")


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
    ``wanted`` may be set before the first batch: the headers that the caller needs.
    """

    headers: list[str]
    batches: Iterator[TextBatch]
    stated_period: str | None = None
    stated_rows: list[int] = field(default_factory=list)
    set_aside: Counter[str] = field(default_factory=Counter)
    wanted: frozenset[str] | None = None

    def is_wanted(self, header: str) -> bool:
        """Whether batches must hold the column: what nobody asks for need not be read."""
        return self.wanted is None or header in self.wanted


def trimmed(column: pl.Series) -> pl.Series:
    """Outer spaces off, the empty cell is null; other types than text are left alone."""
    if column.dtype != pl.String:
        return column
    text = column.str.strip_chars()
    empty = text == ""
    # Nearly no column has a cell of spaces alone: a look costs less than a copy.
    return text.set(empty, None) if empty.any() else text


def header_text(cell: str) -> str:
    """A header as contracts write it: NFC, single spaces, nothing invisible."""
    visible = "".join(letter for letter in cell if unicodedata.category(letter) != "Cf")
    return " ".join(unicodedata.normalize("NFC", visible).split())


def check_headers(found: Sequence[str], expected: Sequence[str]) -> None:
    """Refuse a file whose columns are not those of its contract.

    What was found is shown only where it surely is a header: a file without one has a row of data
    in its place, and that may be a person's.

    Raises:
        ReaderError: with both lists and, for every missing column, the closest one found.
    """
    if not _is_header(found, expected):
        raise ReaderError(
            f"no column of the contract stands where its header should: needed {list(expected)}, "
            f"found {len(found)} other cells (not shown: they may be data); ask for a corrected "
            "file, or add the new layout with its first month to the contract"
        )
    missing = [header for header in expected if header not in found]
    unknown = [header for header in found if header not in expected]
    if _holds_data(unknown, missing):
        raise ReaderError(
            f"the header does not match the contract: missing {missing}, and {len(unknown)} cells "
            "that are not shown, for the line seems to hold data too; ask for a corrected file"
        )
    doubled = sorted({header for header in found if found.count(header) > 1})
    if doubled:
        raise ReaderError(
            f"columns stand twice in the header: {_shown(doubled)}; ask for a corrected file"
        )
    if not missing and not unknown:
        return
    hints = []
    for header in missing:
        close = get_close_matches(header, unknown, n=1, cutoff=0.5)
        if close:
            hints.append(f"{header!r} may be {close[0]!r}")
    hint = f" ({'; '.join(hints)})" if hints else ""
    raise ReaderError(
        f"the header does not match the contract: missing {missing}, unknown {_shown(unknown)}"
        f"{hint}; ask for a corrected file, or add the new layout with its first month to the "
        "contract"
    )


def _shown(headers: Sequence[str]) -> list[str]:
    return [header if len(header) <= 100 else f"{header[:100]}…" for header in headers]


def _holds_data(unknown: Sequence[str], missing: Sequence[str]) -> bool:
    """True where a row of data seems to be in the line of the header: its line end was lost."""
    # The first cell of the row then stands right after the last header.
    starts = tuple(missing)
    is_joined = len(unknown) > len(missing) and any(cell.startswith(starts) for cell in unknown)
    return is_joined or any(DATA.search(header) for header in unknown)


def _is_header(found: Sequence[str], expected: Sequence[str]) -> bool:
    """True where a column of the contract is there, or several in one cell: a wrong delimiter."""
    known, cells = [[_letters(text) for text in texts] for texts in (expected, found)]
    return any(cell in known or sum(name in cell for name in known) > 1 for cell in cells)


def _letters(text: str) -> str:
    return header_text(text).casefold().replace(" ", "")
