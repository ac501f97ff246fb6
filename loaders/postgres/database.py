"""Connections to the warehouse, each in the role of the stage that asks for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import psycopg
import sqlalchemy
from psycopg.pq import PGconn, Ping
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from loaders.postgres import embedded
from loaders.settings import get_settings

DRIVER = "postgresql+psycopg"

#: How long a server may take to come up after a crash, before that is told.
RECOVERY_SECONDS = 60

# The role's own settings apply only when it logs in itself, not after SET ROLE: repeated here.
BI_OPTIONS = ("-c statement_timeout=30s", "-c default_transaction_read_only=on", "-c jit=off")


class Role(StrEnum):
    """The warehouse roles; a connection is the admin login that has done SET ROLE."""

    ADMIN = "admin"
    LOADER = "nq42_loader"
    TRANSFORMER = "nq42_transformer"
    PUBLISHER = "nq42_publisher"
    BI = "nq42_bi"
    AUDITOR = "nq42_auditor"


def admin_url(database: str | None = None) -> URL:
    """The admin's address of the warehouse, or of another database on the same server.

    Without NQ42_DATABASE_URL this starts the embedded server if it is not running.
    """
    settings = get_settings()
    if settings.database_url is None:
        server = embedded.start(settings.home)
        return URL.create(
            DRIVER,
            username=server.user,
            password=server.password,
            host=server.host,
            port=server.port,
            database=database or embedded.WAREHOUSE,
        )
    given = make_url(settings.database_url.get_secret_value())
    # A bare postgresql:// names no driver, and SQLAlchemy's default for it has changed once.
    normalised = given.set(drivername=DRIVER)
    return normalised.set(database=database) if database else normalised


def role_url(role: Role) -> URL:
    """The address of the warehouse for one role, with SET ROLE and the time zone as options."""
    address = admin_url()
    options = ["-c timezone=UTC", f"-c application_name=nq42_{role.name.lower()}"]
    if role is not Role.ADMIN:
        options.append(f"-c role={role}")
    if role is Role.BI:
        options.extend(BI_OPTIONS)
    given = address.query.get("options")
    if isinstance(given, str):
        options.insert(0, given)
    return address.update_query_dict({"options": " ".join(options)})


def url(role: Role) -> str:
    """The address as text, password included: for tools that take nothing else. Never log it."""
    return _render(role_url(role))


def engine(role: Role) -> sqlalchemy.Engine:
    """A SQLAlchemy engine. It keeps no idle connection that would hold locks or block a stop."""
    return sqlalchemy.create_engine(role_url(role), poolclass=NullPool)


def connect(role: Role) -> psycopg.Connection:
    """A connection for a `with` block: one transaction, committed at the end or rolled back."""
    return _open(role_url(role))


def _open(address: URL, *, autocommit: bool = False) -> psycopg.Connection:
    """Connect; waits for a server that is there and takes no connections yet, as after a crash."""
    target, deadline = conninfo(address), time.monotonic() + RECOVERY_SECONDS
    try:
        return psycopg.connect(target, autocommit=autocommit, connect_timeout=10)
    except psycopg.OperationalError:
        # Asked in the protocol: the words of the refusal are in the server's language.
        while PGconn.ping(target.encode()) == Ping.REJECT and time.monotonic() < deadline:
            time.sleep(0.1)
        return psycopg.connect(target, autocommit=autocommit, connect_timeout=10)


@contextmanager
def lasting(address: URL) -> Iterator[psycopg.Connection]:
    """A connection beside a tool that has its own; for a `with` block, autocommit.

    When the server goes away and comes back meanwhile, tools tell of it in words of their own, or
    take it for a finding. This connection is gone then for certain.

    Raises:
        psycopg.OperationalError: the server was not there all the time, whatever the block says.
    """
    with _open(address, autocommit=True) as connection:
        try:
            yield connection
        finally:
            connection.execute("select 1")


def ensure_database(name: str) -> str:
    """Create an empty database beside the warehouse if it is missing; the admin's address of it.

    Raises:
        psycopg.errors.InsufficientPrivilege: the admin login may not create databases.
    """
    # The embedded server always has `postgres`; on a real server only the given one is certain.
    maintenance = admin_url("postgres" if get_settings().database_url is None else None)
    with _open(maintenance, autocommit=True) as connection:
        embedded.create_database(connection, name)
    return _render(admin_url(name))


def conninfo(address: URL) -> str:
    """The address in the form that psycopg and the other libpq tools take."""
    return _render(address.set(drivername="postgresql"))


def _render(address: URL) -> str:
    # SQLAlchemy writes a space in the query as `+`, which libpq does not read; both read `%20`.
    base, mark, query = address.render_as_string(hide_password=False).partition("?")
    return base + mark + query.replace("+", "%20")
