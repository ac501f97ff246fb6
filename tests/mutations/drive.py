"""A damaged delivery through all of `load` that needs no database, with the books kept twice."""

from __future__ import annotations

import csv
import faulthandler
import io
import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from loaders.conform import Conformer, Finding
from loaders.contracts.derive import table_columns
from loaders.contracts.model import Dataset
from loaders.corrections import Corrector
from loaders.postgres.binary_copy import BinaryCopy
from loaders.readers import ReaderError, TextBatch, delimited
from loaders.readers.base import ROW_NUMBER
from loaders.readers.encodings import utf8_stream
from loaders.readers.unpack import unpacked
from loaders.stages.reading import Accounts, open_table, read_rows
from tests.mutations.seeds import Seed

BLOCK_BYTES = delimited.BLOCK_BYTES
KEY = b"a key for tests only, never used for real people"
#: A case takes milliseconds; one that takes so long hangs, and the run ends with its stack.
HANG_SECONDS = 60
#: A refusal says what to do.
TO_DO = re.compile(r"\b(ask|fetch|put|raise|set|correct|send|state|take|write|check|add)\b")
MAX_REASON = 5_000
DTYPES = {"text": pl.String, "uuid": pl.String, "date": pl.Date, "bigint": pl.Int64}
DTYPES["numeric"] = pl.String


def drive(seed: Seed, content: bytes, folder: Path) -> str:
    """What became of the delivery, in a few words.

    Raises:
        AssertionError: the books do not balance, or a message shows what it must not.
    """
    path = folder / "delivery"
    path.write_bytes(content)  # stays there should the process die
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    try:
        return _drive(seed, path)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _drive(seed: Seed, path: Path) -> str:
    is_csv = seed.kind == "csv"
    blocks = [BLOCK_BYTES]
    # Arrow takes a byte order mark away wherever a block begins.
    if is_csv and BOM_UTF8 not in path.read_bytes()[3:]:
        # The first block decides whether a file is of its month: it must hold some rows.
        blocks.append(1500 if seed.dataset.extension.period_column else 64)
    ends = [_read(seed, path, block) for block in blocks]
    if isinstance(ends[0], str):
        assert all(isinstance(end, str) for end in ends), f"refused or not by block size: {ends}"
        return ends[0]
    assert all(end == ends[0] for end in ends), f"other rows with blocks of another size: {ends}"
    accounts, good, _ = ends[0]
    if is_csv and (rows := csv_rows(path, seed.dataset)) is not None:
        counted = accounts.read + accounts.set_aside.total()
        assert counted == rows, f"{counted} rows accounted for, {rows} stand in the file"
    if not accounts.bad:
        return "loaded whole"
    return "loaded in part" if good else "every row quarantined"


def _read(seed: Seed, path: Path, block: int) -> str | tuple[Accounts, list[int], list[Finding]]:
    """The refusal, or the accounts, the numbers of the good rows and what was found in others."""
    delimited.BLOCK_BYTES = block
    seen: list[TextBatch] = []
    frames: list[pl.DataFrame] = []
    findings: list[Finding] = []
    try:
        conformer = Conformer(seed.dataset, seed.period, KEY)
        corrector = Corrector([], seed.dataset, seed.period)
        extension = seed.dataset.extension
        work = path.with_name("work")
        with unpacked(path, extension.reader.unpack, extension.limits, work) as content:
            table = open_table(content, seed.dataset, seed.period)
            table.batches = _watched(table.batches, seen)
            accounts = read_rows(
                table, conformer, corrector, seed.stated_rows, frames.append, findings.extend
            )
    except ReaderError as error:
        return _refusal(seed, str(error))
    finally:
        delimited.BLOCK_BYTES = BLOCK_BYTES
    good = [number for frame in frames for number in frame[ROW_NUMBER]]
    bad = {finding.row_number for finding in findings}
    numbers = [*good, *bad]
    assert accounts.bad == len(bad)
    assert accounts.read == len(numbers) == len(set(numbers)), "a row is lost or counted twice"
    last = accounts.read + accounts.set_aside.total()
    assert all(1 <= number <= last for number in numbers), f"row {max(numbers)} of {last}"
    assert all(map(_is_ready, frames, [seed.dataset] * len(frames)))
    _check_findings(seed, findings, seen)
    return accounts, sorted(good), sorted(findings, key=str)


def _watched(batches: Iterator[TextBatch], seen: list[TextBatch]) -> Iterator[TextBatch]:
    for batch in batches:
        seen.append(batch)
        yield batch


def _refusal(seed: Seed, reason: str) -> str:
    assert TO_DO.search(reason), f"the refusal does not say what to do: {reason}"
    assert "\0" not in reason and len(reason) < MAX_REASON, f"{len(reason)} characters: {reason!r}"
    for text in seed.personal:
        assert text not in reason, f"a personal text in a message: {reason}"
    return "refused: " + re.sub(r"'.*?'|\[.*?\]|\(.*?\)|[\d.,]+", "…", reason)[:60]


def _is_ready(frame: pl.DataFrame, dataset: Dataset) -> bool:
    """Rows as the stage table takes them: all columns, their types, no NUL."""
    types = {n: t for n, t in table_columns(dataset).items() if n in frame.columns}
    own = {column.name for column in dataset.loaded_columns}
    assert own <= set(frame.columns)
    for name, kind in types.items():
        assert frame.schema[name] == DTYPES[kind], f"{name} is {frame.schema[name]}"
    assert not frame.select(pl.any_horizontal(pl.col(pl.String).str.contains("\0").any())).item()
    if set(types.values()) <= BinaryCopy.TYPES:
        assert sum(map(len, BinaryCopy(types).rows(frame))) > 0
    return True


def _check_findings(seed: Seed, findings: list[Finding], seen: list[TextBatch]) -> None:
    period, columns = seed.period, seed.dataset.columns
    personal_headers = {c.header(period) for c in columns if c.is_personal}
    personal_columns = {c.name for c in columns if c.header(period) in personal_headers}
    open_headers = {h for c in columns if (h := c.header(period)) not in personal_headers and h}
    # Damage may move a personal text into a column where nothing personal stands: nobody can know.
    shown = "".join(
        str(batch.frame.select(sorted(open_headers & set(batch.frame.columns))).rows())
        for batch in seen
        if seed.personal
    )
    for finding in findings:
        assert finding.value is None or finding.column not in personal_columns
        assert finding.reason_vi and finding.reason_en
        text = f"{finding.value}{finding.row_data}{finding.reason_vi}{finding.reason_en}"
        assert "\0" not in text + "".join(v or "" for v in json.loads(finding.row_data).values())
        for secret in seed.personal:
            assert secret not in text or secret in shown, f"a personal text: {finding}"


def csv_rows(path: Path, dataset: Dataset) -> int | None:
    """Rows by Python's own parser; None where it does not read the file as the reader does."""
    options = dataset.extension.reader.options
    quote, header_row = options.get("quote", '"'), options.get("header_row", 1)
    with utf8_stream(path, options.get("encoding", "utf-8")) as stream:
        text = stream.read().decode(errors="replace")
    lines = io.StringIO(text, newline="")
    for _ in range(header_row - 1):
        lines.readline()
    reader = csv.reader(
        lines,
        delimiter=options.get("delimiter", ","),
        quotechar=quote,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    )
    try:
        return sum(1 for row in reader if row) - 1
    except csv.Error:
        return None
