"""Apply sql/*.sql, in order, once. Safe to call at every start and from two processes."""

from __future__ import annotations

import getpass
import logging
import os
import time

import psycopg
from psycopg import sql
from yoyo import get_backend, read_migrations

from loaders.postgres.database import Role, connect, url
from loaders.settings import PROJECT_ROOT, get_settings

SQL_FOLDER = PROJECT_ROOT / "sql"
# Any fixed number: two migrations of one database wait for each other on it.
LOCK_KEY = 4_220_260_001
ATTEMPTS = 5
ROLE_WAS_MADE_MEANWHILE = (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation)


def migrate() -> list[str]:
    """Bring the warehouse to the newest version; the ids of the migrations that were applied.

    Roles belong to the whole server: another database being migrated at the same moment may make
    PostgreSQL report a concurrent change of a role, so that is tried again.
    """
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    applied: list[str] = []
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _migrate_once(applied)
            break
        except (psycopg.errors.InternalError_, *ROLE_WAS_MADE_MEANWHILE):
            if attempt == ATTEMPTS:
                raise
            time.sleep(0.2 * attempt)
    return applied


def _migrate_once(applied: list[str]) -> None:
    with connect(Role.ADMIN) as connection:
        connection.autocommit = True
        # yoyo's own lock is a row, which a killed process leaves behind; this one ends with us.
        connection.execute("select pg_advisory_lock(%s)", (LOCK_KEY,))
        prepare_roles(connection)
        _apply(applied)


def prepare_roles(connection: psycopg.Connection) -> None:
    """What no dump brings along: the roles, their memberships, who may connect. Repeatable."""
    connection.execute((SQL_FOLDER / "server" / "roles.sql").read_text(encoding="utf-8"))
    password = get_settings().bi_password
    if password is not None:
        set_bi_login(connection, password.get_secret_value())


def _apply(applied: list[str]) -> None:
    try:
        getpass.getuser()  # yoyo records it; a container's user may have no name
    except (KeyError, OSError):
        os.environ["LOGNAME"] = "nq42"
    with get_backend(url(Role.ADMIN)) as backend:
        backend.break_lock()
        for migration in backend.to_apply(read_migrations(str(SQL_FOLDER))):
            backend.apply_one(migration)
            applied.append(migration.id)


def set_bi_login(connection: psycopg.Connection, password: str) -> None:
    """Give nq42_bi a login with this password; never take one away from others."""
    # The verifier, not the password, goes over the wire and into a statement log.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), Role.BI.encode(), b"scram-sha-256"
    )
    connection.execute(
        sql.SQL("alter role {} login password {}").format(
            sql.Identifier(Role.BI), sql.Literal(verifier.decode())
        )
    )
