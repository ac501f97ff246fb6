"""Corrections of single cells of a delivery, each with a guard that says what stands there now.

``<file>.corrections.csv`` beside a delivery (UTF-8, columns :data:`HEADER`) names a row, a column
and the text that is expected there. A correction that finds another text, or no row, refuses the
file: the agency has sent another one, and the correction must be looked at again. The file is as
confidential as the delivery; no message shows a cell of a personal column.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from loaders.contracts.cells import fold
from loaders.contracts.model import Dataset
from loaders.readers.base import ROW_NUMBER, SHEET, ReaderError

HEADER = ("row_number", "sheet", "column", "expect", "value", "reason", "by")
WHOLE_ROW, DELETE = "*", "delete"
DELETED = "deleted by correction"
#: A file that needs more than that is not corrected but asked for again.
MAX_CORRECTIONS = 10_000
MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Correction:
    """One line of the file. ``line`` is its number there, header included.

    ``sheet`` None: the delivery has one sheet. ``expect`` and ``value`` None: the empty cell.
    ``column`` "*" with value "delete" drops the row; its ``expect`` reads ``column=text``.
    """

    line: int
    row_number: int
    sheet: str | None
    column: str
    expect: str | None
    value: str | None
    reason: str
    by: str

    @property
    def is_deletion(self) -> bool:
        return self.column == WHOLE_ROW


def read_corrections(content: bytes) -> list[Correction]:
    """The corrections in the file.

    Raises:
        ReaderError: not a corrections file; names line, column and what to do.
    """
    if len(content) > MAX_BYTES:
        raise _error(f"has {len(content)} bytes, {MAX_BYTES} are allowed; ask for a corrected file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _error(f"line {line}: not UTF-8; save the file as 'CSV UTF-8'") from error
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    found: list[Correction] = []
    try:
        if tuple(next(rows, ())) != HEADER:
            raise _error(f"line 1: the header must read {','.join(HEADER)}")
        for cells in rows:
            if cells:
                found.append(_correction(rows.line_num, cells))
            if len(found) > MAX_CORRECTIONS:
                raise _error(f"more than {MAX_CORRECTIONS} corrections; ask for a corrected file")
    except csv.Error as error:
        raise _error(f"line {rows.line_num}: {error}; write it as CSV with commas") from error
    if not found:
        raise _error("no correction stands in it; fill it in or take it away")
    return found


def _correction(line: int, cells: Sequence[str]) -> Correction:
    if len(cells) != len(HEADER):
        raise _error(
            f"line {line}: {len(cells)} cells, {len(HEADER)} are needed; quote cells with a comma"
        )
    row = {name: cell.strip() for name, cell in zip(HEADER, cells, strict=True)}
    number = row["row_number"]
    if not (number.isascii() and number.isdigit() and 0 < len(number) < 16 and int(number)):
        raise _error(f"line {line}, row_number: write the number of a data row, counted from 1")
    for name in ("column", "reason", "by"):
        if not row[name]:
            raise _error(f"line {line}, {name}: is empty; every correction states it")
    correction = Correction(
        line=line,
        row_number=int(number),
        sheet=row["sheet"] or None,
        column=row["column"],
        expect=fold(row["expect"]) or None,
        value=row["value"] or None,
        reason=row["reason"],
        by=row["by"],
    )
    if correction.is_deletion:
        if correction.value != DELETE:
            raise _error(f"line {line}, value: column '*' takes only {DELETE!r}")
        if "=" not in row["expect"]:
            raise _error(
                f"line {line}, expect: a row is deleted by one of its cells, as column=text"
            )
    elif correction.expect == (fold(row["value"]) or None):
        raise _error(f"line {line}, value: is what is expected; take the line out")
    return correction


class Corrector:
    """Applies the corrections of one delivery to its batches, in any order.

    ``set_aside`` counts the deleted rows, to be added to the table's.
    """

    def __init__(self, corrections: Iterable[Correction], dataset: Dataset, period: str) -> None:
        self._headers = dataset.headers(period)
        self._names = {
            column.name: header for column in dataset.columns if (header := column.header(period))
        }
        #: A header that feeds any personal column holds personal text.
        self._personal = {c.header(period) for c in dataset.columns if c.is_personal}
        self._by_row: dict[int, list[Correction]] = defaultdict(list)
        self._targets: dict[int, tuple[str, str | None]] = {}
        self._used: set[int] = set()
        self.set_aside: Counter[str] = Counter()
        cells: dict[tuple[int, str | None, str], int] = {}
        for correction in corrections:
            header = self._target(correction)
            target = WHOLE_ROW if correction.is_deletion else header
            cell = (correction.row_number, correction.sheet, target)
            if cell in cells:
                raise _error(f"lines {cells[cell]} and {correction.line} correct the same cell")
            cells[cell] = correction.line
            self._by_row[correction.row_number].append(correction)

    def apply(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The batch with its named cells replaced and its named rows dropped.

        Raises:
            ReaderError: another text than the expected one stands in a cell.
        """
        if not self._by_row or frame.height == 0:
            return frame
        named = pl.Series(list(self._by_row), dtype=pl.Int64)
        places = frame.get_column(ROW_NUMBER).is_in(named.implode()).arg_true()
        if places.is_empty():
            return frame
        changes: dict[str, dict[int, str | None]] = defaultdict(dict)
        deleted: list[int] = []
        for place, row in zip(places, frame[places].iter_rows(named=True), strict=True):
            for correction in self._by_row[row[ROW_NUMBER]]:
                if correction.sheet not in (None, row[SHEET]):
                    continue
                header, expect = self._targets[correction.line]
                self._check(correction, header, expect, row)
                if correction.is_deletion:
                    deleted.append(place)
                elif place in changes[header]:
                    raise _error(f"line {correction.line}: the cell is corrected by another line")
                else:
                    changes[header][place] = correction.value
        frame = frame.with_columns(
            frame.get_column(header).scatter(list(cells), list(cells.values()))
            for header, cells in changes.items()
        )
        if deleted:
            self.set_aside[DELETED] += len(deleted)
            kept = pl.int_range(pl.len()).is_in(deleted).not_()
            frame = frame.filter(kept)
        return frame

    def finish(self) -> None:
        """After the last batch.

        Raises:
            ReaderError: a correction whose row did not come.
        """
        unused = [c for rows in self._by_row.values() for c in rows if c.line not in self._used]
        if unused:
            first = min(unused, key=lambda correction: correction.line)
            raise _error(
                f"line {first.line}: {_place(first)} is not in the file, or could not be split "
                "into cells; take the line out or correct its row number"
            )

    def _target(self, correction: Correction) -> str:
        """Header of the cell that is compared; remembers it with the text expected there."""
        name, expect = correction.column, correction.expect
        if correction.is_deletion:
            name, _, text = (expect or "").partition("=")
            name, expect = name.strip(), text.strip() or None
        header = name if name in self._headers else self._names.get(name)
        if header is None:
            where = "expect" if correction.is_deletion else "column"
            raise _error(
                f"line {correction.line}, {where}: the file has no such column; write a header or "
                f"a column name of the contract: {', '.join(self._headers)}"
            )
        self._targets[correction.line] = (header, expect)
        return header

    def _check(
        self, correction: Correction, header: str, expect: str | None, row: dict[str, str | None]
    ) -> None:
        if correction.line in self._used:
            raise _error(
                f"line {correction.line}, sheet: {_place(correction)} stands in several sheets; "
                "state the sheet"
            )
        self._used.add(correction.line)
        found = fold(row[header] or "") or None
        if found == expect:
            return
        shown = "(personal: not shown)"
        if header not in self._personal:
            shown = f"(expected {expect or '(empty)'!r}, found {found or '(empty)'!r})"
        raise _error(
            f"line {correction.line}: {_place(correction)}, column {header!r}: another text than "
            f"the expected one {shown}; the file has changed: check the correction or take it out"
        )


def _place(correction: Correction) -> str:
    sheet = f" of sheet {correction.sheet!r}" if correction.sheet else ""
    return f"row {correction.row_number}{sheet}"


def _error(reason: str) -> ReaderError:
    return ReaderError(f"corrections file: {reason}")
