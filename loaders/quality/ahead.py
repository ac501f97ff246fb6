"""Queries of a long list that run ahead on a second connection, while a suite is being judged.

A suite's queries do not depend on each other, and one connection keeps one core busy. So they are
sent to a second one when the suite begins. Whoever asks for an answer gets it from there; what has
not begun by then he asks for himself. An answer is the same either way.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import sqlalchemy
from sqlalchemy.engine import FrozenResult, Result
from sqlalchemy.pool import StaticPool

from loaders.postgres.database import DRIVER


def engine_over(connection: psycopg.Connection) -> sqlalchemy.Engine:
    """SQLAlchemy over this connection alone, which is in autocommit."""
    return sqlalchemy.create_engine(
        f"{DRIVER}://",
        creator=lambda: connection,
        poolclass=StaticPool,
        # Each query is a transaction of its own: nothing to begin or to roll back.
        isolation_level="AUTOCOMMIT",
    )


class Ahead:
    """Queries on the way over one connection, one after the other; for one that asks for them."""

    def __init__(self, connection: psycopg.Connection, pool: ThreadPoolExecutor) -> None:
        self._engine, self._pool = engine_over(connection), pool
        self._sent: dict[str, Future[FrozenResult]] = {}

    def send(self, query: sqlalchemy.TextClause) -> None:
        self._sent[query.text] = self._pool.submit(self._run, query)

    def answer(self, query: sqlalchemy.TextClause) -> Result | None:
        """The rows, waited for; None when the query is still to be run by whoever asks.

        That is so when it was not sent or has not begun. It is so too when it failed here: then it
        fails as any other query does, where its rule is judged.
        """
        sent = self._sent.get(query.text)
        if sent is None or sent.cancel() or sent.exception() is not None:
            return None
        return sent.result()()

    def _run(self, query: sqlalchemy.TextClause) -> FrozenResult:
        with self._engine.connect() as connection:
            return connection.execute(query).freeze()


@contextmanager
def running_ahead(connection: psycopg.Connection) -> Iterator[Ahead]:
    """For a `with` block; what has not begun at its end is never run."""
    pool = ThreadPoolExecutor(1, "ahead")
    try:
        yield Ahead(connection, pool)
    finally:
        pool.shutdown(cancel_futures=True)
