"""`land`: the bytes of a delivery, unchanged, into the landing store, with a receipt."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import secrets
from pathlib import Path
from typing import Literal

import psycopg

from loaders import __version__, audit
from loaders.audit.landing import PARTIAL_PREFIX
from loaders.connectors import (
    CONNECTORS,
    CORRECTIONS_SUFFIX,
    Delivery,
    DeliveryError,
    Order,
    Sink,
    SourceUnavailable,
)
from loaders.contracts.model import Dataset, Named, get_dataset
from loaders.corrections import MAX_BYTES as CORRECTIONS_MAX_BYTES
from loaders.log import get_logger, log_context
from loaders.periods import check_period
from loaders.postgres.database import Role, connect
from loaders.settings import get_settings
from loaders.stages.records import LandResult

#: No delivery takes longer: what is older was left behind by a process that was killed.
PARTIAL_LIFE = dt.timedelta(days=2)


def land(source: str, dataset: str, period: str, run_id: str = "manual") -> LandResult:
    """Fetch the delivery of one dataset for one period and keep it.

    The same file again is ``unchanged``; its bytes are kept again if retention had purged them. A
    different file for a month that is loaded is refused unless its side-car declares a restatement
    with a reason; so is the file of another month under a new name. ``<file>.corrections.csv`` in
    the inbox is landed with the file of that name: together they are another batch, and the
    corrections carry their reasons themselves. Nothing arrived is ``missing``: recorded, never
    invented. So is a source that cannot be reached: `LandResult.is_unreachable` tells them apart.
    """
    definition = get_dataset(source, dataset)
    check_period(period)
    with log_context(source=source, dataset=dataset, period=period, stage="land", run_id=run_id):
        try:
            result = _take(definition, period, run_id)
        except SourceUnavailable as error:
            result = _outcome(definition, period, "missing", str(error), is_unreachable=True)
        except DeliveryError as error:
            result = _outcome(definition, period, "refused", str(error))
        if result.status != "landed":
            with connect(Role.LOADER) as connection:
                _record(connection, result, run_id)
        get_logger().info("land", status=result.status, reason=result.reason, file=result.file_name)
        return result


def landing_path(dataset: Dataset, period: str, sha256: str) -> Path:
    """Where the bytes lie, relative to the landing store."""
    return Path(dataset.source) / dataset.name / period / sha256


def batch_id_of(
    dataset: Dataset, period: str, sha256: str, corrections_sha256: str | None = None
) -> str:
    """The same file and corrections for the same month are the same batch, on any machine."""
    text = f"{dataset.source}|{dataset.name}|{period}|{sha256}"
    if corrections_sha256:
        text += f"|{corrections_sha256}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def lock_month(connection: psycopg.Connection, dataset: Dataset, period: str) -> None:
    """Only one transaction at a time works on one dataset's month; waits for the other to end."""
    name = f"{dataset.source}|{dataset.name}|{period}"
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 42))", (name,))


def _take(dataset: Dataset, period: str, run_id: str) -> LandResult:
    settings, connector = get_settings(), dataset.extension.connector
    _private_folder(settings.landing)
    order = order_of(dataset, period)
    partial = settings.landing / f"{PARTIAL_PREFIX}{secrets.token_hex(8)}"
    try:
        with Sink(partial, order.max_bytes) as sink:
            delivery = CONNECTORS[connector.name](order, sink, **connector.options)
            if delivery is None:
                return _outcome(dataset, period, "missing", _missing_reason(order, connector))
            if sink.size == 0:
                raise DeliveryError(
                    f"{delivery.file_name} is empty (0 bytes); ask for the file again"
                )
            sink.keep()
        corrections = _corrections(order, delivery)
        return _keep(dataset, period, delivery, corrections, partial, sink, run_id)
    finally:
        partial.unlink(missing_ok=True)


def order_of(dataset: Dataset, period: str) -> Order:
    """What a connector is asked for; looks into the warehouse only for the mark of a query."""
    return Order(
        source=dataset.source,
        dataset=dataset.name,
        period=period,
        inbox=get_settings().inbox,
        max_bytes=dataset.extension.limits.max_bytes,
        mark=_earlier_mark(dataset, period),
    )


def _earlier_mark(dataset: Dataset, period: str) -> str | None:
    """Where the delivery of the period before ended: a period that is run again asks the same."""
    if "query" not in dataset.extension.connector.options:
        return None
    with connect(Role.LOADER) as connection:
        row = connection.execute(
            "select details ->> 'mark' from audit.batch_result where source = %s and dataset = %s"
            " and stage = 'land' and status = 'landed' and period < %s"
            " and details ->> 'mark' is not null order by period desc, id desc limit 1",
            (dataset.source, dataset.name, period),
        ).fetchone()
    return row[0] if row else None


def _missing_reason(order: Order, connector: Named) -> str:
    options = connector.options
    wanted = options.get("pattern") or options.get("url") or "rows"
    expected = order.fill(wanted)
    if connector.name == "local" and options.get("folder") is None:
        expected = f"{order.source}/{order.period}/{expected} in the inbox"
    elif place := options.get("folder") or options.get("bucket"):
        expected = f"{expected} in {order.fill(place)}"
    return f"nothing has arrived: expected {expected} (connector {connector.name})"


def _corrections(order: Order, delivery: Delivery) -> bytes | None:
    """The corrections file that people have put into the inbox for this delivery."""
    path = order.folder / (delivery.file_name + CORRECTIONS_SUFFIX)
    if not path.is_file():
        return None
    if path.stat().st_size > CORRECTIONS_MAX_BYTES:
        raise DeliveryError(
            f"{path.name}: more than {CORRECTIONS_MAX_BYTES} bytes: a file that needs so many "
            "corrections is asked for again"
        )
    return path.read_bytes()


def _keep(
    dataset: Dataset,
    period: str,
    delivery: Delivery,
    corrections: bytes | None,
    partial: Path,
    sink: Sink,
    run_id: str,
) -> LandResult:
    sha256, size = sink.sha256, sink.size
    corrections_sha256 = corrections_path = None
    if corrections is not None:
        corrections_sha256 = hashlib.sha256(corrections).hexdigest()
        corrections_path = landing_path(dataset, period, corrections_sha256)
    batch_id = batch_id_of(dataset, period, sha256, corrections_sha256)
    relative = landing_path(dataset, period, sha256)
    result = LandResult(
        batch_id=batch_id,
        source=dataset.source,
        dataset=dataset.name,
        period=period,
        status="landed",
        file_name=delivery.file_name,
        sha256=sha256,
        size_bytes=size,
        data_label=delivery.note.data_label,
    )
    with connect(Role.LOADER) as connection:
        lock_month(connection, dataset, period)
        _refuse_conflicts(
            connection, dataset, period, delivery, sha256, batch_id, corrections is not None
        )
        is_known = _is_known(connection, batch_id)
        target = get_settings().landing / relative
        if is_known and target.exists():
            return LandResult(**result.to_dict() | {"status": "unchanged"})
        _private_folder(target.parent)
        if corrections is not None and corrections_path is not None:
            _write_private(get_settings().landing / corrections_path, corrections)
        partial.replace(target)
        if is_known:
            # Purged, and delivered again: its bytes are there until the next purge.
            audit.append(connection, audit.RESTORE_EVENT, {"batch_id": batch_id})
            return LandResult(**result.to_dict() | {"status": "unchanged"})
        audit.insert_receipt(
            connection,
            batch_id=batch_id,
            source=dataset.source,
            dataset=dataset.name,
            period=period,
            file_name=delivery.file_name,
            landing_path=relative.as_posix(),
            sha256=sha256,
            size_bytes=size,
            data_label=delivery.note.data_label,
            maturity=delivery.note.maturity,
            contract_version=dataset.contract_version,
            contract_hash=dataset.contract_hash,
            code_version=__version__,
            run_id=run_id,
            control_totals=delivery.note.control_totals.model_dump(exclude_none=True),
            corrections_path=corrections_path.as_posix() if corrections_path else None,
            corrections_sha256=corrections_sha256,
        )
        _record(connection, result, run_id, _details(delivery))
    return result


def _private_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _is_known(connection: psycopg.Connection, batch_id: str) -> bool:
    query = "select 1 from audit.receipt where batch_id = %s"
    return connection.execute(query, (batch_id,)).fetchone() is not None


def _refuse_conflicts(
    connection: psycopg.Connection,
    dataset: Dataset,
    period: str,
    delivery: Delivery,
    sha256: str,
    batch_id: str,
    is_corrected: bool,
) -> None:
    name = delivery.file_name
    if not dataset.extension.allow_unchanged:
        other = connection.execute(
            "select period from audit.receipt where source = %s and dataset = %s"
            " and sha256 = %s and period <> %s order by period limit 1",
            (dataset.source, dataset.name, sha256, period),
        ).fetchone()
        if other:
            raise DeliveryError(
                f"{name} is byte for byte the file of {other[0]}; ask for the file of {period}"
            )
    accepted = connection.execute(
        "select a.batch_id, r.sha256 from audit.batch_accepted a join audit.receipt r"
        " using (batch_id) where a.source = %s and a.dataset = %s and a.period = %s",
        (dataset.source, dataset.name, period),
    ).fetchone()
    if accepted and accepted[1] == sha256 and accepted[0] != batch_id and not is_corrected:
        raise DeliveryError(
            f"{name} is loaded for {period} with corrections (batch {accepted[0]}), and the "
            f"corrections file is gone; put {name}{CORRECTIONS_SUFFIX} back and land again"
        )
    if accepted and accepted[1] != sha256 and delivery.note.restatement is None:
        raise DeliveryError(
            f"{name} differs from the file already loaded for {period} (batch {accepted[0]}); "
            'if the agency restates the month, add "restatement": {"reason": "…"} to '
            f"{name}.delivery.json and land again"
        )


def _details(delivery: Delivery) -> dict[str, str]:
    """What the receipt has no column for."""
    details = {}
    if delivery.note.restatement:
        details["restatement_reason"] = delivery.note.restatement.reason
    if delivery.mark is not None:
        details["mark"] = delivery.mark
    return details


def _outcome(
    dataset: Dataset,
    period: str,
    status: Literal["missing", "refused"],
    reason: str,
    is_unreachable: bool = False,
) -> LandResult:
    return LandResult(
        batch_id=None,
        source=dataset.source,
        dataset=dataset.name,
        period=period,
        status=status,
        reason=reason,
        is_unreachable=is_unreachable,
    )


def _record(
    connection: psycopg.Connection,
    result: LandResult,
    run_id: str,
    details: dict[str, str] | None = None,
) -> None:
    audit.record_batch_result(
        connection,
        batch_id=result.batch_id,
        source=result.source,
        dataset=result.dataset,
        period=result.period,
        stage="land",
        status=result.status,
        reason=result.reason,
        details=details or {},
        run_id=run_id,
    )


def purge_expired(retention_days: int) -> list[str]:
    """Delete landing files older than the retention; receipts and hashes stay.

    Pieces of deliveries whose process was killed go too: they have no receipt.

    Returns:
        Batch ids whose bytes were deleted, each recorded in the audit chain.
    """
    limit = dt.datetime.now(dt.UTC) - dt.timedelta(days=retention_days)
    store, purged = get_settings().landing, []
    with connect(Role.LOADER) as connection:
        rows = connection.execute(
            "select batch_id, array_remove(array[landing_path, corrections_path], null)"
            " from audit.receipt where landed_at < %s order by landed_at, batch_id",
            (limit,),
        ).fetchall()
        for batch_id, files in rows:
            there = [store / relative for relative in files if (store / relative).exists()]
            if there:
                audit.append(connection, audit.PURGE_EVENT, {"batch_id": batch_id})
                purged.append(batch_id)
            for path in there:
                path.unlink()
    forgotten = dt.datetime.now(dt.UTC).timestamp() - PARTIAL_LIFE.total_seconds()
    for partial in store.glob(f"{PARTIAL_PREFIX}*"):
        if partial.stat().st_mtime < forgotten:
            partial.unlink()
    return purged
