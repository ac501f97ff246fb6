"""Rows of a query on an agency's database, landed as JSON Lines.

JSON Lines and not CSV: null and the empty text stay apart, and text may hold any character.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loaders.connectors import jsonlines
from loaders.connectors.base import (
    DataLabel,
    Delivery,
    DeliveryError,
    Maturity,
    Order,
    Sink,
    SourceUnavailable,
)
from loaders.connectors.options import BIND, RETRY, NamePattern, Query, Retry, Seconds, SecretName
from loaders.connectors.retries import with_retries
from loaders.periods import end_of, start_of
from loaders.settings import SettingsError

if TYPE_CHECKING:
    import sqlalchemy

CHUNK_ROWS = 5_000


@dataclass(frozen=True)
class _Dialect:
    """What a kind of server calls a time limit for a connection, a statement and reading only.

    ``{ms}`` and ``{s}`` stand for the limit of a statement. A server without words for it is only
    bounded by retry.max_seconds.
    """

    connect_key: str | None
    statements: tuple[str, ...]


DIALECTS = {
    "postgresql": _Dialect(
        "connect_timeout",
        ("set transaction read only", "set local statement_timeout = {ms}"),
    ),
    "mysql": _Dialect(
        "connect_timeout",
        ("set session max_execution_time = {ms}", "set session transaction read only"),
    ),
    "mariadb": _Dialect(
        "connect_timeout",
        ("set session max_statement_time = {s}", "set session transaction read only"),
    ),
    "oracle": _Dialect("tcp_connect_timeout", ("set transaction read only",)),
    "sqlite": _Dialect("timeout", ("pragma query_only = on",)),
}
#: SQLSTATE classes of what may be gone at the next try: connection, resources, operator, rollback,
#: object in use.
TRANSIENT_CLASSES = ("08", "40", "53", "55", "57")
#: What servers say to a wrong user or password, where they send no SQLSTATE with it.
REFUSED = (
    "password authentication failed",
    "access denied",
    "ora-01017",
    "login failed",
    "no pg_hba",
)
#: SQLite has one class of error for a busy file and for a wrong query.
SQLITE_TRANSIENT = ("locked", "busy", "unable to open", "disk i/o")


def fetch_sql(
    order: Order,
    sink: Sink,
    *,
    url_credential: SecretName,
    query: Query,
    mark_column: str | None = None,
    first_since: str | None = None,
    file_name: NamePattern | None = None,
    connect_seconds: Seconds = 20,
    statement_seconds: Seconds = 1800,
    retry: Retry = RETRY,
    maturity: Maturity = "provisional",
    data_label: DataLabel = "real",
) -> Delivery | None:
    """The rows of a query for a period, one JSON object per line; None when there are none.

    Read in one transaction that cannot write, through a cursor on the server. After a broken
    connection the query is run again from its beginning: nobody knows where rows would go on. With
    ``order by`` the same rows give the same bytes, so that a second run is no new delivery.

    Args:
        url_credential: secret that is a SQLAlchemy address, password included.
        query: one SELECT; `:period_start` and `:period_end` are the period's first and last day,
            `:period_after` is the day after, `:since` the mark of the last earlier delivery.
        mark_column: column whose greatest value is that mark; it is kept for good in the audit
            trail and so must not be personal.
        first_since: `:since` while there is no mark; null by default.
        file_name: name for messages and the receipt, a template.
        connect_seconds, statement_seconds: time limits, where the kind of server has them.
        maturity, data_label: what the contract knows of rows of this source.

    Raises:
        DeliveryError: the server refuses the login or the query, or the result has no such column.
        SourceUnavailable: trouble on the way, after all tries.
        SettingsError: no such secret, no address in it, or its driver is not installed.
    """
    import sqlalchemy

    engine = _engine(order, url_credential, connect_seconds)
    known = {
        "period_start": start_of(order.period),
        "period_end": end_of(order.period),
        "period_after": end_of(order.period) + dt.timedelta(days=1),
        "since": order.mark if order.mark is not None else first_since,
    }
    bound = {name: known[name] for name in BIND.findall(query)}
    statement = sqlalchemy.text(query)

    def attempt() -> str | None:
        sink.restart()
        with (
            _reading(engine, url_credential, statement_seconds) as connection,
            closing(connection.execute(statement, bound)) as result,
        ):
            return _write(result, sink, mark_column)

    try:
        mark = with_retries(attempt, sink, retry)
    finally:
        engine.dispose()
    if not sink.size:
        return None
    name = order.fill(file_name or f"{order.dataset}_{{period}}.jsonl")
    return order.delivery(name, maturity, data_label, mark=mark)


def _engine(order: Order, credential: str, connect_seconds: float) -> sqlalchemy.Engine:
    import sqlalchemy
    from sqlalchemy.pool import NullPool

    parts = order.credential(credential, "url")
    try:
        address = sqlalchemy.make_url(parts.get("url", ""))
        if address.drivername in ("postgres", "postgresql"):
            address = address.set(drivername="postgresql+psycopg")  # the driver that is installed
        dialect = DIALECTS.get(address.get_backend_name())
        arguments = {}
        if dialect is not None and dialect.connect_key is not None:
            arguments[dialect.connect_key] = math.ceil(connect_seconds)
        engine = sqlalchemy.create_engine(
            address, poolclass=NullPool, hide_parameters=True, connect_args=arguments
        )
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise SettingsError(
            f"the secret {credential!r} is no SQLAlchemy address; write it as "
            "dialect+driver://user:password@host:port/database"
        ) from None  # the library repeats the address
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"the driver for the secret {credential!r} is not installed: no module {error.name!r}"
        ) from error
    database = address.database
    if address.get_backend_name() == "sqlite" and not Path(database or "").is_file():
        # SQLite would make an empty one.
        raise SourceUnavailable(f"the file of the secret {credential!r} is not there")
    return engine


@contextmanager
def _reading(
    engine: sqlalchemy.Engine, credential: str, statement_seconds: float
) -> Iterator[sqlalchemy.Connection]:
    """A connection in a transaction that is rolled back; the library's errors become ours."""
    import sqlalchemy

    dialect = DIALECTS.get(engine.dialect.name)
    limits = {"ms": int(statement_seconds * 1000), "s": math.ceil(statement_seconds)}
    try:
        with engine.connect() as connection:
            for words in dialect.statements if dialect else ():
                connection.exec_driver_sql(words.format(**limits))
            yield connection.execution_options(stream_results=True, yield_per=CHUNK_ROWS)
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise _trouble(error, credential) from None  # the chain would repeat values of rows


def _trouble(error: Exception, credential: str) -> DeliveryError:
    import sqlalchemy

    origin = getattr(error, "orig", None)
    state = getattr(origin, "sqlstate", None) or ""
    text = str(origin or "").lower()
    kind = type(origin or error).__name__ + (f" {state}" if state else "")
    database = f"the database of the secret {credential!r}"
    if state.startswith("28") or any(words in text for words in REFUSED):
        return DeliveryError(
            f"{database} refuses the login ({kind}); correct the secret, or ask the agency for "
            "access"
        )
    is_sqlite = type(origin).__module__.startswith("sqlite3")
    if is_sqlite:
        transient = any(words in text for words in SQLITE_TRANSIENT)
    elif state:
        transient = state[:2] in TRANSIENT_CLASSES
    else:
        transient = isinstance(
            error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError
        )
    if transient or getattr(error, "connection_invalidated", False):
        return SourceUnavailable(f"{database} cannot be asked, or broke off ({kind})")
    # Only of a wrong query: other messages may repeat a cell, which may be personal.
    about = f": {str(origin).splitlines()[0]}" if state[:2] == "42" or is_sqlite else ""
    return DeliveryError(
        f"{database} refuses the query ({kind}{about}); correct query in the contract"
    )


def _write(result: sqlalchemy.CursorResult[Any], sink: Sink, mark_column: str | None) -> str | None:
    names = list(result.keys())
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise DeliveryError(f"the query gives {doubled} twice; name the columns apart with AS")
    if mark_column is not None and mark_column not in names:
        raise DeliveryError(
            f"the query gives no column {mark_column!r} (mark_column), only {names}; correct the "
            "contract"
        )
    mark: Any = None
    position = None if mark_column is None else names.index(mark_column)
    for rows in result.partitions(CHUNK_ROWS):
        lines = []
        for row in rows:
            lines.append(_line(dict(zip(names, map(_json_value, row), strict=True))))
            if position is not None and row[position] is not None:
                mark = _greater(mark, row[position])
        sink.write(b"".join(lines))
    return None if mark is None else str(mark)


def _line(record: dict[str, Any]) -> bytes:
    try:
        return jsonlines.line(record)
    except ValueError:
        raise DeliveryError(
            "a row holds text that is no Unicode; convert it in the query"
        ) from None


def _greater(mark: Any, value: Any) -> Any:
    try:
        return value if mark is None or value > mark else mark
    except TypeError:
        raise DeliveryError(
            "mark_column holds values of several types; cast it in the query"
        ) from None


def _json_value(value: Any) -> Any:
    """A cell as JSON: numbers with all their digits, times as ISO 8601, bytes as hexadecimal."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return jsonlines.Number(str(value))
    if isinstance(value, float):
        return jsonlines.Number(repr(value)) if math.isfinite(value) else str(value)
    if isinstance(value, decimal.Decimal):
        return jsonlines.Number(format(value, "f")) if value.is_finite() else str(value)
    if isinstance(value, dt.date | dt.time):  # dates with a time are dates too
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    return str(value)
