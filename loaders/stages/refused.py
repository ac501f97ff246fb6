"""Rows that `load` refuses, kept on disk until the good rows are sent.

A connection takes one COPY at a time, and a file may refuse every row that it has: the lines for
quarantine are written as they are found, and sent when the stage table is filled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile

import psycopg
from psycopg import sql

from loaders.conform import CONTRACT_RULES, RULE_VERSION, Finding

QUARANTINE_COLUMNS = (
    "batch_id",
    "source",
    "dataset",
    "period",
    "file_sha256",
    "sheet",
    "row_number",
    "column_name",
    "rule_id",
    "rule_version",
    "severity",
    "dimension",
    "reason_vi",
    "reason_en",
    "offending_value",
    "row_data",
)
#: Few findings stay in memory; more go to a file that has no name and goes with the process.
SPOOLED_BYTES, BLOCK_BYTES = 1 << 20, 1 << 18
#: What the text format of COPY does not take as it is.
_ESCAPES = str.maketrans(
    {"\\": r"\\", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}
)


@contextmanager
def refused_rows(head: tuple[str, str, str, str, str], folder: Path) -> Iterator[RefusedRows]:
    """A place for what is found in the rows of one batch, as long as the block lasts.

    Args:
        head: batch id, source, dataset, period and file hash, the same in every row.
        folder: where the file lies, if one is needed; only its owner may enter.
    """
    with SpooledTemporaryFile(max_size=SPOOLED_BYTES, dir=folder) as spool:
        yield RefusedRows(head, spool)


class RefusedRows:
    """Findings of one batch on their way to quarantine; memory does not grow with them."""

    def __init__(
        self, head: tuple[str, str, str, str, str], spool: SpooledTemporaryFile[bytes]
    ) -> None:
        self._head, self._spool = _line(head), spool

    def add(self, findings: Iterable[Finding]) -> None:
        """Keep what was found in a part of the file."""
        lines = (f"{self._head}\t{_line(_cells(found))}\n" for found in findings)
        self._spool.writelines(line.encode() for line in lines)

    def send(self, connection: psycopg.Connection) -> None:
        """COPY all of them into quarantine."""
        if self._spool.tell() == 0:
            return
        self._spool.seek(0)
        copy = sql.SQL('COPY quarantine."row" ({}) FROM STDIN (ENCODING {})').format(
            sql.SQL(", ").join(map(sql.Identifier, QUARANTINE_COLUMNS)), sql.Literal("UTF8")
        )
        with connection.cursor() as cursor, cursor.copy(copy) as stream:
            while block := self._spool.read(BLOCK_BYTES):
                stream.write(block)


def _cells(found: Finding) -> tuple[str | int | None, ...]:
    return (
        found.sheet,
        found.row_number,
        found.column,
        found.rule_id,
        RULE_VERSION,
        "critical",
        CONTRACT_RULES[found.rule_id][0],
        found.reason_vi,
        found.reason_en,
        found.value,
        found.row_data,
    )


def _line(cells: tuple[str | int | None, ...]) -> str:
    """Cells in the text format of COPY, which writes a missing value as a backslash and N."""
    return "\t".join(r"\N" if cell is None else str(cell).translate(_ESCAPES) for cell in cells)
