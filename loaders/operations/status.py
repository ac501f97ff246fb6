"""`nq42 status`: what of a month arrived, what is late or held, what waits, what was published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from loaders.contracts.model import Contract, Dataset, load_contracts
from loaders.periods import TIMEZONE, check_month, end_of
from loaders.postgres.database import Role, connect
from loaders.stages.approve import list_waiting
from loaders.stages.decisions import Question

#: A year and a month: within them every frequency comes round.
LOOK_AHEAD_MONTHS = 13
ONE_DAY = dt.timedelta(days=1)
NOT_DUE, NOT_ASKED = "not_due", "not_asked"


@dataclass(frozen=True)
class DatasetStatus:
    """One dataset in the month.

    Attributes:
        period: what it delivers with the month; None when nothing is due.
        state: accepted, held, refused, landed, loaded; of what has not come ``awaited`` while it
            is in time, ``late`` after the days of grace, ``given_up`` after the last day, and
            ``missing`` where nobody waited; ``not_asked`` before the first try, ``not_due`` when
            nothing is due.
        last_on: the last day on which it is waited for.
        days_late: after the due day, counted to the arrival, or to today while nothing is here.
        advice: what to do about it; empty when nothing is.
    """

    source: str
    source_title_vi: str
    dataset: str
    title_vi: str
    title_en: str
    period: str | None
    expected_on: dt.date | None
    received_on: dt.date | None
    days_late: int
    state: str
    reason: str | None
    batch_id: str | None
    rows_loaded: int | None
    rows_quarantined: int | None
    next_period: str | None
    next_due_on: dt.date | None
    last_on: dt.date | None
    advice: str


@dataclass(frozen=True)
class Status:
    """The month, dataset by dataset, and what stands above it.

    Attributes:
        waiting: what waits for a person's approval.
        release: release_id, period and published_at of the last release; None before the first.
    """

    month: str
    datasets: tuple[DatasetStatus, ...]
    waiting: tuple[Question, ...]
    release: Mapping[str, Any] | None


def read_status(month: str | None = None, today: dt.date | None = None) -> Status:
    """The state of a month; without one, of the latest month of which anything is recorded.

    Raises:
        ValueError: not a month of the form YYYY-MM.
    """
    today = today or dt.datetime.now(TIMEZONE).date()
    waiting = tuple(list_waiting())
    with connect(Role.AUDITOR) as connection:
        month = check_month(month or _latest_month(connection) or _month_before(today))
        results = _results(connection)
        release = _last_release(connection)
    approvable = {question.subject_id for question in waiting}
    datasets = tuple(
        _dataset(contract, dataset, month, today, results, approvable)
        for contract in load_contracts()
        for dataset in contract.datasets
    )
    return Status(month, datasets, waiting, release)


def _dataset(
    contract: Contract,
    dataset: Dataset,
    month: str,
    today: dt.date,
    results: Mapping[tuple[str, str, str], Mapping[str, Any]],
    approvable: set[str],
) -> DatasetStatus:
    period = dataset.period_in(month)
    found = results.get((contract.source, dataset.name, period or ""), {})
    schedule = dataset.extension.schedule
    expected_on = found.get("expected_on") or (schedule.due_on(period) if period else None)
    last_on = schedule.given_up_at(period).date() - ONE_DAY if period else None
    received_on = found.get("received_on")
    until = received_on or today
    state = found.get("status") or (NOT_ASKED if period else NOT_DUE)
    if state == "missing":
        state = found["absence"] or ("awaited" if last_on and today <= last_on else "missing")
    days_late = max((until - expected_on).days, 0) if expected_on else 0
    next_period = _next_period(dataset, month)
    return DatasetStatus(
        source=contract.source,
        source_title_vi=contract.title_vi,
        dataset=dataset.name,
        title_vi=dataset.title_vi,
        title_en=dataset.title_en,
        period=period,
        expected_on=expected_on,
        received_on=received_on,
        days_late=days_late,
        state=state,
        reason=found.get("reason"),
        batch_id=found.get("batch_id"),
        rows_loaded=found.get("rows_loaded"),
        rows_quarantined=found.get("rows_quarantined"),
        next_period=next_period,
        next_due_on=schedule.due_on(next_period) if next_period else None,
        last_on=last_on,
        advice=_advice(
            contract, month, state, days_late, found.get("batch_id"), last_on, approvable
        ),
    )


def _advice(
    contract: Contract,
    month: str,
    state: str,
    days_late: int,
    batch_id: str | None,
    last_on: dt.date | None,
    approvable: set[str],
) -> str:
    again = f"nq42 import {contract.source} {month}"
    if state == "held" and batch_id in approvable:
        return f'nq42 approve {batch_id} --by "…" --reason "…", nq42 gate {batch_id}'
    if state in ("held", "refused"):
        return f"docs/runbook.md#{state}: ask for a corrected file, {again}"
    if state in ("awaited", "late") and days_late:
        return f"docs/runbook.md#missing: ask {contract.owner_vi}; taken by itself until {last_on}"
    if state in ("missing", "given_up", NOT_ASKED) and days_late:
        return f"docs/runbook.md#missing: ask {contract.owner_vi}, {again}"
    if state in ("landed", "loaded"):
        return f"did not reach the gate: {again}"
    return ""


def _results(connection: psycopg.Connection) -> dict[tuple[str, str, str], dict[str, Any]]:
    query = """
        select
            timeliness.source, timeliness.dataset, timeliness.period, timeliness.status,
            timeliness.reason, timeliness.batch_id, timeliness.expected_on,
            (timeliness.received_at at time zone 'Asia/Ho_Chi_Minh')::date as received_on,
            volumes.rows_loaded, volumes.rows_quarantined, absent.absence
        from audit.quality_timeliness as timeliness
        inner join audit.quality_volumes as volumes using (source, dataset, period)
        left join (
            select distinct on (source, dataset, period)
                source, dataset, period, details ->> 'absence' as absence
            from audit.batch_result
            where details ? 'absence'
            order by source, dataset, period, id desc
        ) as absent using (source, dataset, period)
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query).fetchall()
    return {(row["source"], row["dataset"], row["period"]): row for row in rows}


def _last_release(connection: psycopg.Connection) -> dict[str, Any] | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "select release_id, period, published_at from publication.release"
            " order by release_seq desc limit 1"
        ).fetchone()


def _latest_month(connection: psycopg.Connection) -> str | None:
    row = connection.execute(
        "select to_char(max(audit.period_end(period)), 'YYYY-MM') from audit.batch_current"
    ).fetchone()
    assert row is not None
    return row[0]


def _month_before(day: dt.date) -> str:
    return f"{day.replace(day=1) - dt.timedelta(days=1):%Y-%m}"


def _next_period(dataset: Dataset, month: str) -> str | None:
    for _ in range(LOOK_AHEAD_MONTHS):
        month = f"{end_of(month) + dt.timedelta(days=1):%Y-%m}"
        period = dataset.period_in(month)
        if period:
            return period
    return None
