"""Fixtures that several kinds of test share: a real PostgreSQL, and a migrated warehouse on it."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from loaders.airflow_config import metadata_database
from loaders.postgres import database, embedded
from loaders.postgres.database import DRIVER, admin_url, conninfo
from loaders.postgres.migrate import migrate
from loaders.settings import Settings, get_settings

# How long one example takes says more of the machine than of the code.
# The same examples in every run, so that a change is judged by itself; `make fuzz` looks for new.
IS_SEARCH = bool(os.environ.get("NQ42_MUTATION_CASES") or os.environ.get("NQ42_MUTATION_LOADS"))
hypothesis.settings.register_profile("nq42", deadline=None, derandomize=not IS_SEARCH)
hypothesis.settings.load_profile("nq42")

TEST_KEY = "a key for tests only, never used for real people"
TEST_BI_PASSWORD = "bi-password-for-tests"


@dataclass(frozen=True)
class Warehouse:
    """A migrated, empty warehouse that `get_settings()` points to."""

    settings: Settings
    url: URL

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def inbox(self) -> Path:
        return self.settings.inbox


@pytest.fixture(scope="session", autouse=True)
def _not_the_developers_settings() -> Iterator[None]:
    """No test may read .env or the caller's NQ42_* variables: they may point to a real server."""
    patch = pytest.MonkeyPatch()
    test_server = os.environ.get("NQ42_TEST_DATABASE_URL")
    for name in [name for name in os.environ if name.startswith("NQ42_")]:
        patch.delenv(name)
    if test_server:
        patch.setenv("NQ42_TEST_DATABASE_URL", test_server)
    patch.setitem(Settings.model_config, "env_file", None)
    get_settings.cache_clear()
    yield
    patch.undo()
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def database_server(_not_the_developers_settings: None) -> Iterator[URL]:
    """Admin address of a real server: NQ42_TEST_DATABASE_URL, or an embedded one for this run."""
    given = os.environ.get("NQ42_TEST_DATABASE_URL")
    if given:
        yield make_url(given).set(drivername=DRIVER)
        return
    # Not tmp_path: root drops to another user, who cannot enter pytest's folders.
    home = Path(tempfile.mkdtemp(prefix="nq42-test-"))
    home.chmod(0o755)
    try:
        server = embedded.start(home)
        url = URL.create(DRIVER, server.user, server.password, server.host, server.port, "postgres")
        _forget_power_cuts(url)
        yield url
    finally:
        embedded.stop(home)
        shutil.rmtree(home)


def _forget_power_cuts(url: URL) -> None:
    """A server that is thrown away need not survive a power cut: no waiting for the disk."""
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(name)))
        connection.execute("select pg_reload_conf()")


@pytest.fixture(scope="session")
def _template(database_server: URL) -> Iterator[str]:
    """A migrated database that each module copies: faster than migrating, and always clean."""
    with _database(database_server) as name:
        with pytest.MonkeyPatch.context() as patch:
            _point_to(patch, database_server.set(database=name), Path(tempfile.gettempdir()))
            migrate()
        get_settings.cache_clear()
        yield name


@pytest.fixture(scope="module")
def warehouse(
    database_server: URL, _template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    """An empty migrated warehouse and an empty home folder; settings point to both."""
    with empty_warehouse(database_server, _template, tmp_path_factory.mktemp("home")) as empty:
        yield empty


@contextmanager
def empty_warehouse(server: URL, template: str, home: Path) -> Iterator[Warehouse]:
    """A database from the template; settings point to it and to the home folder."""
    with _database(server, template) as name, pytest.MonkeyPatch.context() as patch:
        address = server.set(database=name)
        _point_to(patch, address, home)
        migrate()  # what belongs to the database as a whole is not copied
        yield Warehouse(settings=get_settings(), url=address)
    get_settings.cache_clear()


@pytest.fixture
def empty_database(
    database_server: URL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[URL]:
    """A database without migrations; settings point to it."""
    with _database(database_server) as name:
        address = database_server.set(database=name)
        _point_to(monkeypatch, address, tmp_path)
        yield address
    get_settings.cache_clear()


def drop_airflow_metadata() -> None:
    """Drop the database that Airflow made beside the warehouse that the settings point to."""
    drop = sql.SQL("drop database if exists {} with (force)")
    with psycopg.connect(conninfo(admin_url("postgres")), autocommit=True) as connection:
        connection.execute(drop.format(sql.Identifier(metadata_database())))


def _point_to(patch: pytest.MonkeyPatch, address: URL, home: Path) -> None:
    patch.setenv("NQ42_HOME", str(home))
    patch.setenv("NQ42_DATABASE_URL", address.render_as_string(hide_password=False))
    patch.setenv("NQ42_PSEUDONYM_KEY", TEST_KEY)
    patch.setenv("NQ42_BI_PASSWORD", TEST_BI_PASSWORD)
    get_settings.cache_clear()


class _database:
    """`with` block: a fresh database, dropped at the end whoever is still connected."""

    def __init__(self, server: URL, template: str = "template0") -> None:
        self.server, self.template = server, template
        self.name = f"nq42_test_{secrets.token_hex(6)}"

    def __enter__(self) -> str:
        self._run("create database {} template {} encoding 'UTF8'", self.name, self.template)
        return self.name

    def __exit__(self, *_: object) -> None:
        self._run("drop database if exists {} with (force)", self.name)

    def _run(self, statement: str, *names: str) -> None:
        with psycopg.connect(database.conninfo(self.server), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
