"""Superset as a process of this machine: made ready, started, watched and stopped.

It runs in an environment of its own (`.venv-bi`) and logs in as nq42_bi, which reads marts and
nothing else. Under `<home>/bi`, for the owner only:

    keys.json          secret key and the administrator's password
    connection.json    where the warehouse stands, the password of nq42_bi
    superset.db        Superset's own metadata
    service.json       the running process and its address
    ready              what the metadata were last made ready with
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from loaders import processes
from loaders.airflow_config import locked, log_tail, write_private
from loaders.log import get_logger
from loaders.postgres.database import Role, admin_url, connect
from loaders.postgres.migrate import set_bi_login
from loaders.settings import PROJECT_ROOT, Settings

HOST = "127.0.0.1"
USER = "admin"
SOURCES = PROJECT_ROOT / "docker" / "bi"
LOCK_FILE = PROJECT_ROOT / "requirements-bi.lock"
PYTHON = PROJECT_ROOT / ".venv-bi" / "bin" / "python"
START_TIMEOUT_SECONDS = 120
STOP_TIMEOUT_SECONDS = 10
THREADS = 8
#: libpq's options that a connection of one's own server may need.
CONNECTION_OPTIONS = ("sslmode", "sslrootcert", "hostaddr")


class BiError(ValueError):
    """Superset cannot be started; the message says why and what to do."""


@dataclass(frozen=True)
class BiService:
    """How to reach a running Superset."""

    url: str
    user: str
    keys_file: Path

    @property
    def password(self) -> str:
        return str(json.loads(self.keys_file.read_text(encoding="utf-8"))["password"])


def up(settings: Settings, python: Path = PYTHON) -> BiService:
    """Start Superset unless it runs, with the bundle of this version; returns when it answers.

    Raises:
        BiError: its environment is missing, nothing is published, nq42_bi has no password, or
            Superset did not start; nothing of it is left running.
    """
    if not python.exists():
        raise BiError("Superset is not installed here: `make bi` installs it into .venv-bi")
    folder = settings.home / "bi"
    with locked(folder):
        keys = _keys(folder)
        write_private(folder / "connection.json", _connection(settings, keys))
        variables = environment(folder)
        running = status(settings)
        if running is not None and _answers(running.url) and _is_ready(folder):
            return running
        _stop(folder)
        logs = settings.home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        _prepare(folder, python, variables, logs / "bi-prepare.log")
        port = processes.free_port(HOST, folder / "port")
        url = f"http://{HOST}:{port}"
        log = logs / "bi.log"
        pid = processes.spawn(_command(python, port), variables, log)
        mark = processes.start_mark(pid)
        write_private(folder / "service.json", {"url": url, "pid": pid, "started": mark})
        try:
            _wait(url, pid, mark, log)
        except BaseException:
            _stop(folder)
            raise
    get_logger().info("bi is up", url=url, user=USER, password_file=str(folder / "keys.json"))
    return BiService(url, USER, folder / "keys.json")


def down(settings: Settings) -> bool:
    """Stop Superset; False when it did not run."""
    folder = settings.home / "bi"
    if not folder.is_dir():
        return False
    with locked(folder):
        return _stop(folder)


def status(settings: Settings) -> BiService | None:
    """The running Superset, or None; starts nothing."""
    folder = settings.home / "bi"
    found = _read(folder / "service.json")
    if not found or not processes.is_same(found["pid"], found["started"]):
        return None
    return BiService(found["url"], USER, folder / "keys.json")


def environment(folder: Path) -> dict[str, str]:
    """Environment of Superset's processes: none of the warehouse's own secrets is in it."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NQ42_", "AIRFLOW", "SUPERSET", "PG", "FLASK", "PYTHON"))
    }
    return {
        **inherited,
        "NQ42_BI_FOLDER": str(folder),
        "SUPERSET_CONFIG_PATH": str(SOURCES / "superset_config.py"),
        "SUPERSET_HOME": str(folder),
        "FLASK_APP": "superset.app:create_app()",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TZ": "Asia/Ho_Chi_Minh",
        "DO_NOT_TRACK": "1",
        "SCARF_ANALYTICS": "false",
        "SCARF_NO_ANALYTICS": "1",
    }


# --- keys and connection ------------------------------------------------------------------------


def _keys(folder: Path) -> dict[str, str]:
    """Keys of this installation, made once."""
    path = folder / "keys.json"
    if not path.exists():
        made = {
            "secret_key": secrets.token_urlsafe(48),
            "password": secrets.token_urlsafe(16),
            "bi_password": secrets.token_urlsafe(32),
        }
        write_private(path, made)
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _connection(settings: Settings, keys: Mapping[str, str]) -> dict[str, Any]:
    """Address and login of nq42_bi, tried out: what it reads is the published marts.

    Raises:
        BiError: a server of one's own and no password for the role, or nothing is published.
    """
    address = admin_url()
    if settings.bi_password is not None:
        password = settings.bi_password.get_secret_value()
    elif settings.database_url is None:
        password = keys["bi_password"]
        with connect(Role.ADMIN) as connection:
            set_bi_login(connection, password)
    else:
        # Roles belong to the whole server: somebody else's login is not changed unasked.
        raise BiError(
            "NQ42_BI_PASSWORD is not set: put a password for nq42_bi into .env, run `nq42 setup`"
        )
    options = {
        name: value
        for name, value in address.query.items()
        if name in CONNECTION_OPTIONS and isinstance(value, str)
    }
    found = {
        "user": str(Role.BI),
        "password": password,
        "host": address.host or HOST,
        "port": address.port or 5432,
        "database": address.database,
        "query": options,
    }
    _try_out(found)
    return found


def _try_out(login: Mapping[str, Any]) -> None:
    try:
        with psycopg.connect(
            user=login["user"],
            password=login["password"],
            host=login["host"],
            port=login["port"],
            dbname=login["database"],
            connect_timeout=10,
            **login["query"],
        ) as connection:
            row = connection.execute("select to_regclass('marts.release_note')").fetchone()
    except psycopg.OperationalError as error:
        raise BiError(
            f"nq42_bi cannot log in: {error}; after a change of NQ42_BI_PASSWORD run `nq42 setup`"
        ) from error
    if row is None or row[0] is None:
        raise BiError("nothing is published yet: publish a release first, such as by `make demo`")


# --- processes ----------------------------------------------------------------------------------


def _prepare(folder: Path, python: Path, variables: Mapping[str, str], log: Path) -> None:
    """Migrate, administrator, import: when the bundle or Superset changed since the last time."""
    if _is_ready(folder):
        return
    with log.open("ab") as output:
        done = subprocess.run(
            [str(python), "-P", str(SOURCES / "prepare.py"), str(SOURCES / "assets")],
            env=dict(variables),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode:
        raise BiError(f"Superset could not be made ready:\n{log_tail(log)}\nlog: {log}")
    (folder / "superset.db").chmod(0o600)
    (folder / "ready").write_text(_fingerprint(), encoding="utf-8")


def _is_ready(folder: Path) -> bool:
    stamp = folder / "ready"
    return (
        (folder / "superset.db").exists()
        and stamp.exists()
        and stamp.read_text(encoding="utf-8") == _fingerprint()
    )


def _fingerprint() -> str:
    """Of everything that the metadata are made from."""
    digest = hashlib.sha256()
    for path in [LOCK_FILE, *sorted(SOURCES.rglob("*.py")), *sorted(SOURCES.rglob("*.yaml"))]:
        digest.update(path.relative_to(PROJECT_ROOT).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _command(python: Path, port: int) -> list[str]:
    return [
        *(str(python), "-P", "-m", "gunicorn", "--bind", f"{HOST}:{port}"),
        *("--workers", "1", "--worker-class", "gthread", "--threads", str(THREADS)),
        *("--timeout", "120", "--graceful-timeout", "5", "--no-control-socket"),
        "superset.app:create_app()",
    ]


def _wait(url: str, pid: int, mark: str | None, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not _answers(url):
        if not processes.is_same(pid, mark):
            raise BiError(f"Superset ended:\n{log_tail(log)}\nlog: {log}")
        if time.monotonic() > deadline:
            raise BiError(f"Superset does not answer after {START_TIMEOUT_SECONDS} s; log: {log}")
        time.sleep(0.3)


def _answers(url: str) -> bool:
    try:
        found = httpx.get(f"{url}/health", timeout=5, trust_env=False)
    except httpx.HTTPError:
        return False
    return found.status_code == httpx.codes.OK and found.text == "OK"


def _stop(folder: Path) -> bool:
    """TERM, KILL what is left after some seconds. A stale file stops nobody else."""
    record = folder / "service.json"
    found = _read(record)
    stopped = False
    if found and (
        processes.is_same(found["pid"], found["started"]) or not processes.exists(found["pid"])
    ):
        stopped = processes.stop_sessions([found["pid"]], STOP_TIMEOUT_SECONDS)
    record.unlink(missing_ok=True)
    return stopped


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return {}
