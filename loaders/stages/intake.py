"""The three intake stages of every dataset of a source, without an orchestrator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from loaders.contracts.model import get_contract
from loaders.postgres.database import Role, connect
from loaders.stages.gate import gate_intake
from loaders.stages.land import land
from loaders.stages.load import load
from loaders.stages.records import GateResult, LandResult, LoadResult

IntakeResult = LandResult | LoadResult | GateResult


def import_source(source: str, month: str, run_id: str = "manual") -> list[IntakeResult]:
    """Land, load and gate each dataset that is due with a month, in contract order.

    A dataset that is missing, refused or held does not stop the others.

    Returns:
        The last result of each dataset; none of those whose quarter or year ends later.
    """
    due = [(d.name, d.period_in(month)) for d in get_contract(source).datasets]
    return [import_dataset(source, dataset, period, run_id) for dataset, period in due if period]


def import_dataset(source: str, dataset: str, period: str, run_id: str = "manual") -> IntakeResult:
    """Land, load and gate one dataset; the result of the last stage that ran.

    Two at once of the same period come one after the other: each stage is a transaction of its own,
    and the stage table that one reads is the partition that the other one makes of it.
    """
    with _alone(source, dataset, period):
        landed = land(source, dataset, period, run_id)
        if landed.batch_id is None:
            return landed
        loaded = load(landed.batch_id, run_id)
        if loaded.status != "loaded":
            return loaded
        return gate_intake(landed.batch_id, run_id)


@contextmanager
def _alone(source: str, dataset: str, period: str) -> Iterator[None]:
    """Hold a lock of the session, which ends with the connection, whatever becomes of the process.

    Not the key of `lock_month`, for which the stages' own transactions would then wait for ever.
    """
    with connect(Role.LOADER) as connection:
        connection.autocommit = True  # no transaction stands open for as long as a transfer takes
        name = f"{source}|{dataset}|{period}"
        connection.execute("select pg_advisory_lock(hashtextextended(%s, 43))", (name,))
        yield
