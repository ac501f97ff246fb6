"""Damage for files: whatever comes, a reader gives rows or says in a ReaderError why not."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from loaders.readers import ReaderError, Table


def rows(table: Table) -> list[dict[str, Any]]:
    """All rows of a table with their numbers."""
    return [row for batch in table.batches if batch.frame.width for row in batch.frame.to_dicts()]


@st.composite
def damaged(draw: st.DrawFn, content: bytes, inserts: tuple[bytes, ...] = ()) -> bytes:
    """A few bytes of ``content`` flipped, cut out, repeated or inserted, maybe its end cut off."""
    result = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(0, len(result) - 1)))
        length = draw(st.integers(0, 40))
        kind = draw(st.sampled_from(("flip", "cut", "repeat", "insert", "end")))
        piece = bytes(result[start : start + length])
        if kind == "flip" and piece:
            result[start] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del result[start : start + length]
        elif kind == "repeat":
            result[start:start] = piece * draw(st.integers(1, 3))
        elif kind == "insert":
            result[start:start] = draw(st.sampled_from((*inserts, b"\x00", b"\xff\xfe", b"\n")))
        elif kind == "end":
            del result[start:]
    return bytes(result)


def read_or_refuse(content: bytes, read: Callable[[Path], Table]) -> None:
    """Read a file of these bytes to its end; a refusal says what to do."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "delivery"
        path.write_bytes(content)
        with contextlib.suppress(ReaderError):
            rows(read(path))
