"""`load`: a landed file into its own stage table, typed and without identifiers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from loaders import audit
from loaders.conform import Conformer
from loaders.contracts.derive import column_list, table_columns
from loaders.contracts.model import Dataset, get_dataset
from loaders.corrections import Correction, Corrector, read_corrections
from loaders.log import get_logger, log_context
from loaders.periods import start_of
from loaders.postgres.binary_copy import BinaryCopy
from loaders.postgres.database import Role, connect
from loaders.readers import ReaderError, Table
from loaders.readers.unpack import unpacked
from loaders.settings import get_settings
from loaders.stages.judgements import (
    IN_RAW,
    Rules,
    is_in_raw,
    reasons_to_judge,
    set_refused_rows_aside,
)
from loaders.stages.land import lock_month
from loaders.stages.reading import Accounts, open_table, read_rows
from loaders.stages.records import LoadResult
from loaders.stages.refused import refused_rows


@dataclass(frozen=True)
class Batch:
    """A receipt with the dataset that it belongs to."""

    batch_id: str
    dataset: Dataset
    period: str
    sha256: str
    landing_path: str
    file_name: str
    data_label: str
    control_totals: dict[str, Any]
    corrections_path: str | None = None

    @property
    def constants(self) -> dict[str, str]:
        """Columns that have one value in the whole batch."""
        constants = {
            "_period": self.period,
            "_batch_id": self.batch_id,
            "_data_label": self.data_label,
        }
        name = self.dataset.extension.period_column
        if name and self.dataset.column(name).required:
            # A row with another month, or with none, is not let through.
            constants[name] = start_of(self.period).isoformat()
        return constants

    @property
    def head(self) -> tuple[str, str, str, str, str]:
        """What is the same in every row of quarantine: id, source, dataset, period, file hash."""
        return self.batch_id, self.dataset.source, self.dataset.name, self.period, self.sha256

    @property
    def stage_table(self) -> str:
        return stage_table_name(self.dataset, self.batch_id)


def stage_table_name(dataset: Dataset, batch_id: str) -> str:
    """Name of a batch's stage table, within PostgreSQL's 63 bytes."""
    return f"{dataset.raw_table[:45]}__{batch_id}"


def read_batch(connection: psycopg.Connection, batch_id: str) -> Batch:
    """The receipt of a batch.

    Raises:
        KeyError: no such receipt.
    """
    row = connection.execute(
        "select source, dataset, period, sha256, landing_path, file_name, data_label,"
        " control_totals, corrections_path from audit.receipt where batch_id = %s",
        (batch_id,),
    ).fetchone()
    if row is None:
        raise KeyError(f"no receipt for batch {batch_id}: land the file first")
    return Batch(batch_id, get_dataset(row[0], row[1]), *row[2:7], row[7] or {}, row[8])


def load(batch_id: str, run_id: str = "manual") -> LoadResult:
    """Read, check, pseudonymise and COPY one batch, in one transaction.

    A file that cannot be read as its contract says is ``refused``: nothing of it stays but the
    receipt and the reason. Rows that break a rule of the contract go to quarantine;
    rows read = staged + quarantined is asserted before the commit. A batch whose rows are in raw is
    ``unchanged`` as long as suite and contract are those that it was accepted by.
    """
    key = get_settings().require_pseudonym_key()
    started = time.monotonic()
    with connect(Role.LOADER) as connection:
        batch = read_batch(connection, batch_id)
        if stands := _stands(connection, batch):
            return LoadResult(batch_id, "unchanged", stands)
    dataset = batch.dataset
    context = {"source": dataset.source, "dataset": dataset.name, "period": batch.period}
    with log_context(**context, stage="load", batch_id=batch_id, run_id=run_id):
        try:
            with connect(Role.LOADER) as connection:
                lock_month(connection, dataset, batch.period)
                rows = _fill_stage(connection, batch, key)
                result = LoadResult(
                    batch_id,
                    "loaded",
                    rows_read=rows.read,
                    rows_staged=rows.good,
                    rows_quarantined=rows.bad,
                    rows_set_aside=dict(rows.set_aside),
                    seconds=time.monotonic() - started,
                )
                _record(connection, batch, result, run_id)
        except (ReaderError, OSError) as error:
            reason = f"{batch.file_name}: {error}"
            result = LoadResult(batch_id, "refused", reason, seconds=time.monotonic() - started)
            with connect(Role.LOADER) as connection:
                _record(connection, batch, result, run_id)
        get_logger().info("load", **{k: v for k, v in result.to_dict().items() if k != "batch_id"})
        return result


def _stands(connection: psycopg.Connection, batch: Batch) -> str | None:
    """Why the rows in raw stay as they are; None when the batch is to be loaded."""
    if not is_in_raw(connection, batch.batch_id):
        return None
    reasons = reasons_to_judge(connection, batch.batch_id, Rules.in_force(batch.dataset))
    if not reasons:
        return IN_RAW
    if (get_settings().landing / batch.landing_path).exists():
        return None
    return (
        f"{IN_RAW}; they should be judged again ({', '.join(reasons)}), but the landed bytes are "
        f"gone (purged by retention?); put {batch.file_name} into the inbox and import again"
    )


@contextmanager
def _open(batch: Batch) -> Iterator[Table]:
    """The landed file, unpacked where the contract says that it is packed."""
    store, dataset = get_settings().landing, batch.dataset
    path = store / batch.landing_path
    if not path.exists():
        raise ReaderError(
            "the landed bytes are gone (purged by retention?); put the file into the inbox again"
        )
    extension = dataset.extension
    has_corrections = batch.corrections_path is not None
    with unpacked(path, extension.reader.unpack, extension.limits, store / ".work") as content:
        yield open_table(content, dataset, batch.period, whole=has_corrections)


def _corrector(batch: Batch) -> Corrector:
    corrections: list[Correction] = []
    if batch.corrections_path is not None:
        content = (get_settings().landing / batch.corrections_path).read_bytes()
        corrections = read_corrections(content)
    return Corrector(corrections, batch.dataset, batch.period)


def _fill_stage(connection: psycopg.Connection, batch: Batch, key: bytes) -> Accounts:
    stage = sql.Identifier("stage", batch.stage_table)
    columns = {n: t for n, t in table_columns(batch.dataset).items() if n not in batch.constants}
    stated_rows = batch.control_totals.get("rows")
    with _open(batch) as table:
        _create_stage(connection, stage, columns)
        set_refused_rows_aside(connection, batch.batch_id, batch.dataset)
        conformer = Conformer(batch.dataset, batch.period, key)
        with refused_rows(batch.head, get_settings().landing) as refused:
            with connection.cursor() as cursor, _sender(cursor, stage, columns) as send:
                accounts = read_rows(
                    table, conformer, _corrector(batch), stated_rows, send, refused.add
                )
            _add_constants(connection, batch, stage)
            # The rules, and what is computed from raw later, are planned by these figures.
            connection.execute(sql.SQL("ANALYZE {}").format(stage))
            refused.send(connection)
    return accounts


def _create_stage(
    connection: psycopg.Connection, stage: sql.Identifier, columns: dict[str, str]
) -> None:
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(stage))
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(stage, column_list(columns)))


def _add_constants(connection: psycopg.Connection, batch: Batch, stage: sql.Identifier) -> None:
    """What is the same in every row: kept once in the catalogue, neither sent nor stored by row."""
    types = table_columns(batch.dataset)
    added = (
        sql.SQL("ADD COLUMN {} {} DEFAULT {}").format(
            sql.Identifier(name), sql.SQL(types[name]), sql.Literal(value)
        )
        for name, value in batch.constants.items()
    )
    connection.execute(sql.SQL("ALTER TABLE {} {}").format(stage, sql.SQL(", ").join(added)))


@contextmanager
def _sender(
    cursor: psycopg.Cursor, stage: sql.Identifier, columns: dict[str, str]
) -> Iterator[Callable[[pl.DataFrame], None]]:
    """COPY into the stage table: a function that takes the next rows while they are being sent."""
    binary = BinaryCopy(columns) if set(columns.values()) <= BinaryCopy.TYPES else None
    # The table is as old as this transaction: nobody sees its rows before the end, and who reads
    # them later need not look for each row whether its transaction has ended.
    copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT {}, FREEZE)").format(
        stage,
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL("binary" if binary else "csv"),
    )
    with cursor.copy(copy) as stream, ThreadPoolExecutor(1, "sender") as sender:

        def write(frame: pl.DataFrame) -> None:
            if binary is None:
                stream.write(frame.select(list(columns)).write_csv(include_header=False).encode())
                return
            for block in binary.rows(frame):
                stream.write(block)

        if binary:
            stream.write(BinaryCopy.HEADER)
        under_way: Future[None] | None = None

        def send(frame: pl.DataFrame) -> None:
            nonlocal under_way
            if under_way is not None:
                under_way.result()
            under_way = sender.submit(write, frame)

        yield send
        if under_way is not None:
            under_way.result()
        if binary:
            stream.write(BinaryCopy.TRAILER)


def _record(connection: psycopg.Connection, batch: Batch, result: LoadResult, run_id: str) -> None:
    audit.record_batch_result(
        connection,
        batch_id=batch.batch_id,
        source=batch.dataset.source,
        dataset=batch.dataset.name,
        period=batch.period,
        stage="load",
        status=result.status,
        rows_read=result.rows_read,
        rows_loaded=result.rows_staged,
        rows_quarantined=result.rows_quarantined,
        reason=result.reason,
        details={"set_aside": result.rows_set_aside} if result.rows_set_aside else {},
        run_id=run_id,
        seconds=result.seconds,
    )
