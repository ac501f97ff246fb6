"""A delivery from its bytes to conformed rows: all of `load` that needs no database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import polars as pl

from loaders.conform import Conformer, Finding
from loaders.contracts.model import Dataset
from loaders.corrections import Corrector
from loaders.readers import READERS, ReaderError, Table, TextBatch
from loaders.readers.base import check_headers

Item = TypeVar("Item")


@dataclass
class Accounts:
    """What became of the rows of a file; ``read`` is ``good`` and ``bad`` together."""

    read: int = 0
    good: int = 0
    bad: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)


def open_table(path: Path, dataset: Dataset, period: str, *, whole: bool = False) -> Table:
    """The file, read as its contract says.

    Args:
        whole: also the columns that are not loaded, for corrections may name them.

    Raises:
        ReaderError: larger than the limits, unreadable, or of another layout or period.
    """
    limits = dataset.extension.limits
    if path.stat().st_size > limits.max_bytes:
        raise ReaderError(
            f"the file has {path.stat().st_size} bytes, {limits.max_bytes} are allowed: ask for a "
            "smaller file, or raise limits.max_bytes in the contract"
        )
    reader = dataset.extension.reader
    table = READERS[reader.name](path, limits, **reader.options)
    if len(table.headers) > limits.max_columns:
        raise ReaderError(
            f"{len(table.headers)} columns, {limits.max_columns} are allowed: ask for a corrected "
            "file, or raise limits.max_columns in the contract"
        )
    check_headers(table.headers, dataset.headers(period))
    if table.stated_period not in (None, period):
        raise ReaderError(
            f"the title states {table.stated_period}, the delivery is for {period}; "
            f"ask for the file of {period}"
        )
    if not whole:
        loaded = {column.header(period) for column in dataset.loaded_columns}
        table.wanted = frozenset(header for header in loaded if header)
    return table


def read_rows(
    table: Table,
    conformer: Conformer,
    corrector: Corrector,
    stated_rows: int | None,
    send: Callable[[pl.DataFrame], None],
    refuse: Callable[[list[Finding]], None],
) -> Accounts:
    """Correct, check and type every row; ``send`` takes the good ones, ``refuse`` the others.

    Neither is kept here: a file may refuse all of its rows.

    Args:
        stated_rows: how many rows the sender says there are.

    Raises:
        ReaderError: the file turns out unreadable, incomplete, empty or too long.
    """
    most = conformer.dataset.extension.limits.max_rows
    accounts = Accounts()
    corrected = (
        TextBatch(corrector.apply(text.frame), text.broken) for text in _ahead(table.batches)
    )
    for checked in _ahead(map(conformer.check, corrected)):
        conformed = conformer.protect(checked)
        accounts.read += conformed.rows_read
        accounts.good += conformed.frame.height
        if accounts.read > most:
            raise ReaderError(
                f"more than {most} rows: ask for a smaller file, or raise "
                "limits.max_rows in the contract"
            )
        if conformed.findings:
            accounts.bad += len({finding.row_number for finding in conformed.findings})
            refuse(conformed.findings)
        if conformed.frame.height:
            send(conformed.frame)
    corrector.finish()
    accounts.set_aside = table.set_aside + corrector.set_aside
    _check_totals(table, stated_rows, accounts.read + corrector.set_aside.total())
    if accounts.read != accounts.good + accounts.bad:
        raise AssertionError(f"{accounts.read} rows read, {accounts.good} good, {accounts.bad} bad")
    return accounts


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, the next one being made while the caller works on this one."""
    with ThreadPoolExecutor(1, "ahead") as maker:
        coming = maker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = maker.submit(next, items, None)
            yield item


def _check_totals(table: Table, stated_rows: int | None, read: int) -> None:
    """A list that lost rows on the way is refused: by the sender's totals or its own footer."""
    stated = [("the side-car", stated_rows)]
    stated += [("the footer", rows) for rows in table.stated_rows]
    for where, rows in stated:
        if rows is not None and int(rows) != read:
            raise ReaderError(
                f"{where} states {rows} rows but {read} were read: the file is incomplete; "
                "ask for the file again"
            )
    if read == 0:
        raise ReaderError("the file has a header but no rows; ask for the file again")
