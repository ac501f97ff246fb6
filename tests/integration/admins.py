"""An admin login as on a managed server: it may create roles and owns its database, no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy.engine import URL

from loaders.postgres.database import Role, conninfo
from loaders.settings import get_settings

ROLES = [role for role in Role if role is not Role.ADMIN]


@contextmanager
def plain_admin(server: URL) -> Iterator[URL]:
    """An empty database of such a login; settings point to it."""
    name = "nq42_test_plain_admin"
    with psycopg.connect(conninfo(server), autocommit=True) as connection:

        def clean() -> None:
            connection.execute(f"drop database if exists {name} with (force)")
            connection.execute(f"drop role if exists {name}")

        clean()
        connection.execute(f"create role {name} login createrole password 'plain-admin-password'")
        # Another database's admin made the roles: this one is given the right to hand them out.
        for role in ROLES:
            exists = "select 1 from pg_roles where rolname = %s"
            if connection.execute(exists, (role.value,)).fetchone() is None:
                connection.execute(f"create role {role} nologin")
            connection.execute(f"grant {role} to {name} with admin option")
        connection.execute(f"create database {name} owner {name} template template0")
        address = server.set(database=name, username=name, password="plain-admin-password")
        try:
            with pytest.MonkeyPatch.context() as patch:
                text = address.render_as_string(hide_password=False)
                patch.setenv("NQ42_DATABASE_URL", text)
                get_settings.cache_clear()
                yield address
        finally:
            get_settings.cache_clear()
            clean()
