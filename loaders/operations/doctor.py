"""`nq42 doctor`: is everything in place, and what to do about what is not. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import psycopg

from loaders.operations import local_checks as local
from loaders.operations import server_checks as server
from loaders.operations.checks import Check, guarded
from loaders.operations.rights import check_rights
from loaders.periods import TIMEZONE
from loaders.postgres import embedded
from loaders.postgres.database import Role, connect
from loaders.settings import Settings

CONNECTION = "kết nối / connection"


def examine(settings: Settings) -> list[Check]:
    """Every check; those of the database are left out when it cannot be reached."""
    found = _run(
        {
            "packages": local.check_packages,
            "pseudonym key": partial(local.check_key, settings),
            "file rights": partial(local.check_private_files, settings),
            "folders": partial(local.check_folders, settings),
            "disk": partial(local.check_disk, settings, settings.home, "NQ42_HOME"),
            "time zone": partial(local.check_time_zone, TIMEZONE.key),
            "Airflow processes": partial(local.check_airflow, settings),
            "Redis and workers": partial(local.check_workers, settings),
            "messages": partial(local.check_notices, settings),
        }
    )
    reached = check_connection(settings)
    if reached.status == "error":
        return [*found, reached]
    with connect(Role.ADMIN) as connection:
        # Each check reads what is there now; one that fails must not spoil the next.
        connection.autocommit = True
        connection.read_only = True
        return [
            *found,
            reached,
            *_run(
                {
                    "PostgreSQL version": partial(server.check_version, connection),
                    "migrations": partial(server.check_migrations, connection),
                    "connections of the roles": server.check_connections,
                    "rights": partial(check_rights, connection),
                    "key of this warehouse": partial(server.check_same_key, connection, settings),
                    "server clock": partial(server.check_clock, connection, TIMEZONE.key),
                    "disk": partial(server.check_server_disk, connection, settings),
                    "Airflow metadata": server.check_metadata,
                }
            ),
        ]


def check_connection(settings: Settings) -> Check:
    """Whether the warehouse can be reached; the embedded server is not started for that."""
    fix = "see docs/runbook.md#database_away"
    if settings.database_url is None and not embedded.status(settings.home).running:
        return Check(CONNECTION, "error", "the embedded server does not run", "nq42 postgres start")
    try:
        with connect(Role.ADMIN) as connection:
            info = connection.info
            return Check(CONNECTION, "ok", f"{info.host}:{info.port}, database {info.dbname}")
    except psycopg.OperationalError as error:
        return Check(CONNECTION, "error", str(error).strip().splitlines()[-1], fix)


def _run(checks: dict[str, Callable[[], Check]]) -> list[Check]:
    return [guarded(name, check) for name, check in checks.items()]
