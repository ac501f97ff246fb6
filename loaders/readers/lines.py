"""Text files line by line, where a line without an end may not fill the memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from loaders.readers.base import ReaderError

MAX_LINE_BYTES = 16 * 1024**2


def lines(path: Path) -> Iterator[bytes]:
    """Lines without their ends; a byte order mark is no part of the first.

    Raises:
        ReaderError: a line of more than 16 MiB.
    """
    with path.open("rb") as stream:
        for number in range(1, 2**63):
            line = stream.readline(MAX_LINE_BYTES)
            if not line:
                return
            if len(line) == MAX_LINE_BYTES:
                raise ReaderError(
                    f"line {number} has more than {MAX_LINE_BYTES} bytes: no list of records has "
                    "such lines; ask for the file again"
                )
            yield line.rstrip(b"\r\n").removeprefix(b"\xef\xbb\xbf" if number == 1 else b"")
