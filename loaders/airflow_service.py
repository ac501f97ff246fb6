"""Airflow as processes of this installation: started, watched and stopped, never imported.

Scheduler (with its LocalExecutor), DAG processor, triggerer and API server run in a session each,
listen on loopback only and keep their metadata beside the warehouse on the same PostgreSQL server.
Under `<home>/airflow`:

    secrets.json     keys of this installation (0600)
    passwords.json   the password of the user `admin` (0600)
    service.json     the running processes and the address
    metadata         which Airflow version the metadata database was migrated to
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import fcntl
import importlib.metadata
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy.engine import make_url

from loaders import processes
from loaders.log import get_logger
from loaders.postgres import embedded
from loaders.postgres.database import admin_url, ensure_database
from loaders.settings import PROJECT_ROOT, Settings

HOST = "127.0.0.1"
USER = "admin"
#: The log servers are left out: API server, tasks and triggers share the log folder.
COMPONENTS = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
START_TIMEOUT_SECONDS = 180
STOP_TIMEOUT_SECONDS = 10


class AirflowServiceError(RuntimeError):
    """Airflow cannot be started; the message says why and where its log is."""


@dataclass(frozen=True)
class Service:
    """How to reach a running Airflow."""

    url: str
    user: str
    password_file: Path

    @property
    def password(self) -> str:
        return str(json.loads(self.password_file.read_text(encoding="utf-8"))[self.user])


def up(settings: Settings, *, schedules_start: dt.datetime | None = None) -> Service:
    """Start Airflow unless it runs; returns when all its parts are healthy.

    Args:
        schedules_start: schedules count from here; without it Airflow first asks every source for
            the latest month. Has no effect on an Airflow that runs already.

    Raises:
        AirflowServiceError: a part ended or did not become healthy in time; all are stopped.
    """
    if not processes.PROC.is_dir():
        raise AirflowServiceError("only Linux has the /proc that is needed to watch Airflow")
    folder = settings.home / "airflow"
    with _lock(folder):
        running = _running(folder)
        if running is not None and _is_healthy(running.url, since=None):
            return running
        _stop_processes(folder)
        port = processes.free_port(HOST, folder / "port")
        environment = _environment(settings, port)
        if schedules_start is not None:
            environment["NQ42_SCHEDULES_START"] = schedules_start.isoformat()
        logs = settings.home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        _migrate(folder, environment, logs)
        started = dt.datetime.now(dt.UTC)
        url = f"http://{HOST}:{port}"
        parts: dict[str, dict[str, Any]] = {}
        try:
            for name, arguments in COMPONENTS.items():
                pid = _spawn(arguments, environment, logs / f"airflow-{name}.log")
                parts[name] = {"pid": pid, "started": processes.start_mark(pid)}
                _write(folder / "service.json", {"url": url, "processes": parts})
            _wait(url, parts, started, logs)
        except BaseException:
            _stop_processes(folder)
            raise
    service = Service(url, USER, folder / "passwords.json")
    get_logger().info("airflow is up", url=url, user=USER, password_file=str(service.password_file))
    return service


def stop(settings: Settings) -> bool:
    """Stop Airflow; False when it did not run."""
    folder = settings.home / "airflow"
    if not folder.is_dir():
        return False
    with _lock(folder):
        return _stop_processes(folder)


def down(settings: Settings) -> bool:
    """Stop Airflow and the embedded PostgreSQL server; False when neither ran."""
    stopped = stop(settings)
    if settings.database_url is None:
        stopped = embedded.stop(settings.home) or stopped
    return stopped


def status(settings: Settings) -> Service | None:
    """The running Airflow, or None; starts nothing."""
    return _running(settings.home / "airflow")


# --- configuration ------------------------------------------------------------------------------


def _environment(settings: Settings, port: int) -> dict[str, str]:
    """Environment of every Airflow process. What is set here wins over a caller's AIRFLOW_*."""
    folder, logs = settings.home / "airflow", settings.home / "logs"
    keys = _secrets(folder)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")}
    airflow = {
        "core": {
            "dags_folder": PROJECT_ROOT / "dags",
            "executor": "dags.warm_executor.WarmLocalExecutor",
            "load_examples": False,
            "parallelism": max(2, min(4, os.cpu_count() or 2)),
            "dags_are_paused_at_creation": False,
            "execution_api_server_url": f"http://{HOST}:{port}/execution/",
            "fernet_key": keys["fernet_key"],
            "hostname_callable": "socket.gethostname",  # the default asks the name server
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": folder / "passwords.json",
            "default_timezone": "Asia/Ho_Chi_Minh",
        },
        "database": {"sql_alchemy_conn": _metadata_url()},
        "api": {
            "host": HOST,
            "port": port,
            "base_url": f"http://{HOST}:{port}",
            "secret_key": keys["secret_key"],
            "workers": 1,
        },
        "api_auth": {"jwt_secret": keys["jwt_secret"]},
        "logging": {
            "base_log_folder": logs / "tasks",
            "dag_processor_child_process_log_directory": logs / "dag_processor",
            "file_task_handler_new_folder_permissions": "0o700",
            "file_task_handler_new_file_permissions": "0o600",
            "colored_console_log": False,
            "namespace_levels": "great_expectations=WARNING",  # a hundred lines at its import
        },
        # The scheduler's pauses are what a short task waits for most.
        "scheduler": {
            "scheduler_idle_sleep_time": 0.2,
            "trigger_timeout_check_interval": 5,  # when a task that waits for a person looks again
        },
        "dag_processor": {
            "refresh_interval": 30,
            "min_file_process_interval": 60,
            "parsing_processes": 1,
        },
        "usage_data_collection": {"enabled": False},
    }
    return {
        **inherited,
        "AIRFLOW_HOME": str(folder),
        **{
            f"AIRFLOW__{section.upper()}__{key.upper()}": str(value)
            for section, values in airflow.items()
            for key, value in values.items()
        },
        "NQ42_HOME": str(settings.home),
        "NQ42_INBOX": str(settings.inbox),
        "NQ42_LANDING": str(settings.landing),
        "NQ42_REPORTS": str(settings.reports),
        "PYTHONPATH": str(PROJECT_ROOT),
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
        "SCARF_NO_ANALYTICS": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "SPT_NOENV": "1",  # process titles must not overwrite what /proc shows of the environment
    }


def _metadata_url() -> str:
    """A database of its own beside the warehouse; two warehouses on one server do not meet."""
    name = f"{admin_url().database}_airflow"
    return (
        make_url(ensure_database(name))
        .set(drivername="postgresql+psycopg2")
        .render_as_string(hide_password=False)
    )


def _secrets(folder: Path) -> dict[str, str]:
    """The keys of this installation; made once, so that sessions outlive a restart."""
    path = folder / "secrets.json"
    if not path.exists():
        fernet = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        _write(
            path,
            {
                "fernet_key": fernet,
                "secret_key": secrets.token_hex(32),
                "jwt_secret": secrets.token_hex(64),
            },
        )
    passwords = folder / "passwords.json"
    if not passwords.exists():
        # Made here and not by Airflow, which would print it into its log.
        _write(passwords, {USER: secrets.token_urlsafe(16)})
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _migrate(folder: Path, environment: Mapping[str, str], logs: Path) -> None:
    """Bring the metadata database to the installed version; quick when it is there already."""
    database = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    version = importlib.metadata.version("apache-airflow")
    with _metadata_connection(database) as connection:
        exists = connection.execute("select to_regclass('alembic_version')").fetchone()[0]
    stamp = folder / "metadata"
    if exists and stamp.exists() and stamp.read_text(encoding="utf-8") == version:
        return
    log = logs / "airflow-migrate.log"
    with log.open("ab") as output:
        done = subprocess.run(
            _command("db", "migrate"),
            env=dict(environment),
            cwd=PROJECT_ROOT,
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode:
        raise AirflowServiceError(f"`airflow db migrate` failed:\n{_tail(log)}\nlog: {log}")
    stamp.write_text(version, encoding="utf-8")


def _metadata_connection(url: str) -> Any:
    import psycopg

    plain = make_url(url).set(drivername="postgresql")
    return psycopg.connect(plain.render_as_string(hide_password=False))


# --- processes ----------------------------------------------------------------------------------


def _command(*arguments: str) -> list[str]:
    # -P: what lies in the caller's folder is not imported.
    return [sys.executable, "-P", "-m", "airflow", *arguments]


def _spawn(arguments: tuple[str, ...], environment: Mapping[str, str], log: Path) -> int:
    """Start a process that outlives this one, in a session of its own."""
    create = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        sys.executable,
        _command(*arguments),
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), create, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def _running(folder: Path) -> Service | None:
    document = _read(folder / "service.json")
    parts = document.get("processes", {})
    if set(parts) != set(COMPONENTS):
        return None
    if not all(processes.is_same(p["pid"], p["started"]) for p in parts.values()):
        return None
    return Service(document["url"], USER, folder / "passwords.json")


def _stop_processes(folder: Path) -> bool:
    """TERM every session, KILL what is left after some seconds. A stale file stops nobody else."""
    record = folder / "service.json"
    sessions = [
        part["pid"]
        for part in _read(record).get("processes", {}).values()
        # The leader may have died and left workers; its number may not have been given away.
        if processes.is_same(part["pid"], part["started"]) or not processes.exists(part["pid"])
    ]
    stopped = processes.stop_sessions(sessions, STOP_TIMEOUT_SECONDS)
    record.unlink(missing_ok=True)
    return stopped


def _wait(url: str, parts: Mapping[str, Any], started: dt.datetime, logs: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not _is_healthy(url, since=started):
        for name, part in parts.items():
            log = logs / f"airflow-{name}.log"
            if not processes.is_same(part["pid"], part["started"]):
                raise AirflowServiceError(f"airflow {name} ended:\n{_tail(log)}\nlog: {log}")
        if time.monotonic() > deadline:
            raise AirflowServiceError(
                f"Airflow is not healthy after {START_TIMEOUT_SECONDS} s; logs are in {logs}"
            )
        time.sleep(0.3)


def _is_healthy(url: str, since: dt.datetime | None) -> bool:
    """All parts report healthy, with a heartbeat after `since`: not that of a dead predecessor."""
    try:
        document = httpx.get(f"{url}/api/v2/monitor/health", timeout=5, trust_env=False).json()
    except (httpx.HTTPError, ValueError):
        return False
    if document.get("metadatabase", {}).get("status") != "healthy":
        return False
    for part, key in (
        ("scheduler", "latest_scheduler_heartbeat"),
        ("dag_processor", "latest_dag_processor_heartbeat"),
        ("triggerer", "latest_triggerer_heartbeat"),
    ):
        found = document.get(part) or {}
        if found.get("status") != "healthy" or not found.get(key):
            return False
        if since is not None and dt.datetime.fromisoformat(found[key]) < since:
            return False
    return True


# --- files --------------------------------------------------------------------------------------


def _write(path: Path, document: Mapping[str, Any]) -> None:
    """JSON into an owner-only file, whole or not at all."""
    partial = path.with_name(f"{path.name}.new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file, indent=1)
    partial.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return {}


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
