"""Deliveries that have not come: is one there now, which are waited for, which never came."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from loaders import audit
from loaders.connectors import CONNECTORS, DeliveryError, Sink, SourceUnavailable
from loaders.contracts.model import Dataset, get_dataset, load_contracts
from loaders.log import get_logger, log_context
from loaders.postgres.database import Role, connect
from loaders.stages.land import lock_month, order_of
from loaders.stages.records import Awaited

#: ``late``: the days of grace are over; ``given_up``: nobody waits for it any more.
Absence = Literal["late", "given_up"]


class _Arrived(Exception):
    """The source has begun to send."""


class _Probe(Sink):
    """Ends a transfer with its first byte: all that is asked is whether something is there."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.size, self.reached = max_bytes, 0, 0
        self.deadline = None

    def __exit__(self, *_: object) -> None:
        """There is no file to close."""

    def announce(self, size: int) -> None:
        raise _Arrived

    def write(self, data: bytes) -> None:
        if data:
            raise _Arrived

    def restart(self) -> None:
        """Nothing came yet."""


def has_arrived(source: str, dataset: str, period: str) -> bool:
    """Ask a source whether a delivery is there, through its connector; nothing is kept.

    A delivery that will be refused is there too: `land` says why. A source that cannot be asked has
    sent nothing yet.

    Raises:
        SettingsError: a secret or setting of the connector is not set.
    """
    definition = get_dataset(source, dataset)
    connector = definition.extension.connector
    order = order_of(definition, period)
    try:
        with _Probe(order.max_bytes) as probe:
            found = CONNECTORS[connector.name](order, probe, **connector.options)
    except _Arrived:
        return True
    except SourceUnavailable as error:
        get_logger().info("source cannot be asked", source=source, reason=str(error))
        return False
    except DeliveryError:
        return True
    return found is not None


def awaited(month: str, now: dt.datetime) -> list[Awaited]:
    """Datasets due with a month of which nothing has come and which are still waited for.

    What was refused or held is not among them: something came, and somebody has to look at it.
    """
    due = [
        (dataset, period)
        for contract in load_contracts()
        for dataset in contract.datasets
        if (period := dataset.period_in(month))
        and now < dataset.extension.schedule.given_up_at(period)
    ]
    with connect(Role.LOADER) as connection:
        rows = connection.execute(
            "select source, dataset, period from audit.batch_current as latest"
            " where status = 'missing' and period = any(%s) and not exists (select from"
            " audit.receipt as r where (r.source, r.dataset, r.period)"
            " = (latest.source, latest.dataset, latest.period))",
            (sorted({period for _, period in due}),),
        ).fetchall()
    missing = set(rows)
    return [
        Awaited(dataset.source, dataset.name, period)
        for dataset, period in due
        if (dataset.source, dataset.name, period) in missing
    ]


def note_absence(
    source: str, dataset: str, period: str, absence: Absence, run_id: str = "manual"
) -> bool:
    """Record, once for a dataset and period, that it is late or was given up.

    Returns:
        False when that is recorded already, or when something has come meanwhile.
    """
    definition = get_dataset(source, dataset)
    details = {"absence": absence, **_dates(definition, period)}
    with (
        log_context(source=source, dataset=dataset, period=period, stage="land", run_id=run_id),
        connect(Role.LOADER) as connection,
    ):
        lock_month(connection, definition, period)
        key = (source, dataset, period)
        known = connection.execute(
            "select 1 from audit.receipt where (source, dataset, period) = (%s, %s, %s)"
            " union all select 1 from audit.batch_result"
            " where (source, dataset, period, details ->> 'absence') = (%s, %s, %s, %s)",
            (*key, *key, absence),
        ).fetchone()
        if known:
            return False
        reason = {
            "late": "late: nothing has come; due on {due_on}, waited for until {last_on}",
            "given_up": "nothing came until {last_on} (due on {due_on}); no longer waited for",
        }[absence].format(**details)
        audit.record_batch_result(
            connection,
            batch_id=None,
            source=source,
            dataset=dataset,
            period=period,
            stage="land",
            status="missing",
            reason=reason,
            details=details,
            run_id=run_id,
        )
        get_logger().warning("absent", absence=absence, reason=reason)
    return True


def _dates(dataset: Dataset, period: str) -> dict[str, Any]:
    """Due day and last day of waiting, as people write them."""
    schedule = dataset.extension.schedule
    last = schedule.given_up_at(period) - dt.timedelta(days=1)
    return {"due_on": schedule.due_on(period).isoformat(), "last_on": last.date().isoformat()}
