"""Where rows of delimited text end when cells between quotes may hold line breaks."""

from __future__ import annotations

import re
from bisect import bisect_right

import numpy as np


class Quoting:
    """Finds row ends by the rule of the parser: a quote opens a cell only where a cell begins.

    Any other quote is text, such as inches or a nickname in a cell without quotes.
    """

    def __init__(self, quote: str | None, delimiter: str) -> None:
        self.quote = quote
        self._quote = quote.encode() if quote else b""
        self._before = np.frombuffer(f"{delimiter}\r\n{quote or ''}".encode(), dtype=np.uint8)
        mark, between = re.escape(self._quote or b'"'), re.escape(delimiter.encode())
        self._cell = re.compile(
            rb"(?<![^%b\r\n])%b[^%b]*+(?:%b%b[^%b]*+)*+(?:%b|\Z)"
            % (between, mark, mark, mark, mark, mark, mark)
        )

    def end_of_rows(self, data: bytes) -> int:
        """Where the last whole row ends; ``data`` begins with a row."""
        line_end = b"\n" if b"\n" in data else b"\r"
        end = data.rfind(line_end) + 1
        if not self._quote or self._quote not in data:
            return end
        if self._is_regular(data):
            quotes = data.count(self._quote, 0, end)
            while quotes % 2 and end:
                before = data.rfind(line_end, 0, end - 1) + 1
                quotes -= data.count(self._quote, before, end)
                end = before
            return end
        cells = [found.span() for found in self._cell.finditer(data)]
        while end:
            place = bisect_right(cells, (end - 1, len(data))) - 1
            if place < 0 or cells[place][1] < end:
                break
            end = data.rfind(line_end, 0, cells[place][0]) + 1
        return end

    def is_open(self, data: bytes) -> bool:
        """Whether ``data``, which begins with a row, ends between quotes."""
        if not self._quote or self._quote not in data:
            return False
        if self._is_regular(data):
            return data.count(self._quote) % 2 == 1
        *_, last = [b"", *(found[0] for found in self._cell.finditer(data))]
        return last.count(self._quote) % 2 == 1

    def _is_regular(self, data: bytes) -> bool:
        """Whether every other quote opens a cell or doubles the one before: then counting does."""
        letters = np.frombuffer(data, dtype=np.uint8)
        opening = np.flatnonzero(letters == self._quote[0])[::2]
        if opening.size and opening[0] == 0:
            opening = opening[1:]
        return bool(np.isin(letters[opening - 1], self._before).all())
