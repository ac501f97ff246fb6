"""What a sheet of an XLSX workbook will ask of memory, measured from its XML in blocks.

A sheet is nearly all cells, and nearly every program writes them alike: such a block is measured
with arrays, all its cells at once. Only where one cell is written otherwise are the cells of its
block taken one by one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np

from loaders.readers.base import Limits, ReaderError

#: What one place of the grid takes while a sheet is parsed, measured (see docs/readers.md).
CELL_BYTES = 64
#: What the tags around a cell take at least in the XML; the rest of a part is text.
TAG_BYTES = 30
ROWS, COLUMNS = 1_048_576, 16_384
#: A cell as nearly every program writes it: what stands before and behind its reference.
PLAIN_HEAD = np.frombuffer(b' r="', np.uint8)
PLAIN_TAIL = re.compile(rb'"(?: [a-qs-z]+="\w*")*(?: ?/)?>')
#: References longer than these are no cell's.
MAX_LETTERS, MAX_DIGITS = 5, 18
#: A block with more different tails than styles ever give is taken cell by cell.
MAX_TAILS = 200
#: Cells and rows in any form that XML allows: how they begin, and whole.
ANY_START = re.compile(rb"<(?:[^\s<>/:]+:)?(?:c|row)[\s/>]")
ANY_CELL = re.compile(
    rb"<(?:[^\s<>/:]+:)?(c|row)"
    rb"""((?:\s+[^\s=<>"'/]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(/?)>"""
)
REFERENCE = re.compile(rb"""\sr\s*=\s*["']([^"']*)["']""")
PLACE = re.compile(rb"([A-Za-z]*)(\d+)")
SHARED = re.compile(rb"""\st\s*=\s*["']s["']""")
SHARED_INDEX = re.compile(rb"""\st=["']s["'][^<>]*>\s*<(?:[\w.-]+:)?v>(\d+)<""")
STRING_ITEM = re.compile(rb"<(?:[\w.-]+:)?si[\s/>]")
ERROR_TYPE = re.compile(rb"""(<(?:[\w.-]+:)?c\s(?:[^<>]*\s)?t\s*=\s*)(?:"e"|'e')""")
#: A formula without a stored value; that of an empty text is ``t="str"``.
UNCOMPUTED = re.compile(
    rb'<c\b(?![^<>]*t="str")(?:\sr="([A-Z]+\d+)")?[^<>]*>\s*<f[^<>]*(?:/>|>[^<]*</f>)'
    rb"\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>"
)
#: A cell may be cut by the end of a block.
CELL_LENGTH = 10_000


class Extent:
    """Measures the grid that a sheet needs, from the cells that it really has."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.rows = self.columns = self.filled = self.size = self.shared = 0
        self.has_errors = False
        self._row = self._column = 0
        self._before = b""

    @property
    def memory(self) -> int:
        return self.rows * self.columns * CELL_BYTES

    @property
    def text_bytes(self) -> int:
        return max(self.size - self.filled * TAG_BYTES, 0)

    def add(self, block: bytes) -> None:
        self.size += len(block)
        text = np.frombuffer(block + bytes(32), np.uint8)
        tags = np.flatnonzero(text == ord("<")) + 1
        kinds = text[tags]
        self._refuse_uncomputed(block, is_likely=bool((kinds == ord("f")).any()))
        rows = tags[kinds == ord("r")]
        has_bare_rows = ((text[rows + 1] == ord("o")) & (text[rows + 3] == ord(">"))).any()
        has_prefixes = b":" in block and b":c" in block
        if has_bare_rows or has_prefixes or not self._add_plain(text, tags[kinds == ord("c")]):
            self._add_any(block)

    def _refuse_uncomputed(self, block: bytes, *, is_likely: bool) -> None:
        is_likely = is_likely or b"<f" in self._before
        joined = self._before + block
        if is_likely and (found := UNCOMPUTED.search(joined)):
            raise ReaderError(
                f"cell {(found[1] or b'(unnamed)').decode()} holds a formula that was never "
                "computed: it would be read as empty; ask for the workbook opened and saved by a "
                "spreadsheet program, or with values in place of formulas"
            )
        self._before = joined[-CELL_LENGTH:]

    def _add_plain(self, text: np.ndarray, cells: np.ndarray) -> bool:
        """Take all cells of a block at once; False, and nothing is taken, where one is not plain.

        Args:
            cells: where the names of the tags stand that begin with a "c".
        """
        if not len(cells):
            return True
        if (text[cells[:, None] + np.arange(1, 5)] != PLAIN_HEAD).any():
            return False
        column, at = _digits(text, cells + 5, MAX_LETTERS, ord("A"), 26)
        row, at = _digits(text, at, MAX_DIGITS, ord("0"), 10)
        if not (column.all() and row.all()):
            return False
        closing = np.append(np.flatnonzero(text == ord(">")), len(text) - 1)
        ends = closing[np.searchsorted(closing, at)]
        tails = _tails(text, at, ends)
        if not all(map(PLAIN_TAIL.fullmatch, tails)):
            return False
        is_filled = text[ends - 1] != ord("/")
        self.has_errors = self.has_errors or any(b' t="e"' in tail for tail in tails)
        self.filled += int(is_filled.sum())
        self.shared += sum(
            n for tail, n in tails.items() if b' t="s"' in tail and tail[-2:] != b"/>"
        )
        self._grow(
            int(row.max(where=is_filled, initial=0)), int(column.max(where=is_filled, initial=0))
        )
        self._row, self._column = int(row[-1]), int(column[-1])
        return True

    def _add_any(self, block: bytes) -> None:
        """Cells and rows without a reference follow the one before them."""
        if not self.has_errors and (b'"e"' in block or b"'e'" in block):
            self.has_errors = ERROR_TYPE.search(block) is not None
        tags = ANY_CELL.findall(block)
        is_clear = len(tags) == len(ANY_START.findall(block))
        for kind, attributes, is_empty in tags:
            references = REFERENCE.findall(attributes)
            place = PLACE.fullmatch(references[0]) if references else None
            is_clear = is_clear and len(references) == (place is not None)
            if not is_clear:
                break
            if kind == b"row":
                self._row, self._column = int(place[2]) if place else self._row + 1, 0
                continue
            self._column += 1
            if place:
                self._row, self._column = int(place[2]), _column(place[1].upper())
            if not is_empty:
                self.filled += 1
                self.shared += SHARED.search(attributes) is not None
                self._grow(self._row, self._column)
        if not is_clear:
            raise ReaderError("a cell of the sheet is no XML: damaged; ask for the file again")

    def _grow(self, row: int, column: int) -> None:
        self.rows, self.columns = max(self.rows, row), max(self.columns, column)
        if self.rows > ROWS or self.columns > COLUMNS:
            raise ReaderError(
                f"a cell stands in row {self.rows:,}, column {self.columns:,}, where no sheet has "
                "one: damaged; ask for the file again"
            )
        if self.columns > self.limits.max_columns:
            raise ReaderError(
                f"a cell stands in column {self.columns:,}, at most {self.limits.max_columns:,} "
                "columns are read; ask for the list without what stands beside it, or raise "
                "limits.max_columns in the contract"
            )


def _digits(
    text: np.ndarray, at: np.ndarray, most: int, first: int, base: int
) -> tuple[np.ndarray, np.ndarray]:
    """The numbers that begin at these places, and where they end; letters count from 1."""
    number = np.zeros_like(at)
    for _ in range(most):
        digit = text[at] - np.uint8(first)
        is_one = digit < base
        if not is_one.any():
            break
        number = np.where(is_one, number * base + digit + (base == 26), number)
        at = at + is_one
    return number, at


def _tails(text: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Counter[bytes]:
    """The different texts from ``starts`` to ``ends``, and how often each stands there.

    Of more than MAX_TAILS the rest is given as one empty text.
    """
    found: Counter[bytes] = Counter()
    lengths = ends - starts + 1
    for length in np.flatnonzero(np.bincount(lengths)):
        rest = text[starts[lengths == length][:, None] + np.arange(length)]
        while len(rest):
            if len(found) == MAX_TAILS:
                return found + Counter([b""])
            is_other = (rest != rest[0]).any(axis=1)
            found[rest[0].tobytes()] += len(rest) - int(is_other.sum())
            rest = rest[is_other]
    return found


def _column(letters: bytes) -> int:
    """1-based number of a column; beyond four letters there is none, so none is counted out."""
    number = 0
    for letter in letters[:5]:
        number = number * 26 + letter - 64
    return number


class Strings:
    """Lengths of the shared strings: one long string in many cells is copied into each."""

    def __init__(self) -> None:
        self.size = self.longest = 0
        self._starts: list[int] = []

    def add(self, block: bytes) -> None:
        starts = [self.size + found.start() for found in STRING_ITEM.finditer(block)]
        self.size += len(block)
        before = self._starts[-1:] + starts
        self._starts += starts
        for first, second in zip(before, [*before[1:], self.size], strict=True):
            self.longest = max(self.longest, second - first)

    def used(self, sheet: Iterator[bytes], cells: int) -> int:
        """Bytes of text that ``cells`` string cells of a sheet hold together, at most."""
        ends = [*self._starts[1:], self.size]
        lengths = [end - start for start, end in zip(self._starts, ends, strict=True)]
        total, rest = 0, b""
        for block in sheet:
            # A value stands behind its tag, so a block may end between the two.
            block, end = rest + block, 0
            for found in SHARED_INDEX.finditer(block):
                index, end = int(found[1]), found.end()
                cells -= 1
                total += lengths[index] if index < len(lengths) else 0
            rest = block[end:][-4096:]
        return total + max(cells, 0) * self.longest
