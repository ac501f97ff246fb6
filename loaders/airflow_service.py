"""Airflow as processes of one machine: started, watched and stopped, never imported.

Every part (loaders/airflow_parts.py) runs in a session of its own, listens on loopback only and
keeps its metadata beside the warehouse on the same PostgreSQL server. `<home>/airflow/service.json`
names the running processes and the address.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from loaders import processes
from loaders.airflow_config import (
    USER,
    AirflowServiceError,
    command,
    environment,
    locked,
    log_tail,
    migrate,
    write_private,
)
from loaders.airflow_parts import (
    HOST,
    JOBS,
    check_redis,
    has_workers,
    part_arguments,
    part_names,
)
from loaders.log import get_logger
from loaders.postgres import embedded
from loaders.settings import Settings

START_TIMEOUT_SECONDS = 180
STOP_TIMEOUT_SECONDS = 10
#: A part that runs beats every five seconds; on a machine with much else to do, later.
BEAT_SECONDS = 30


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
        AirflowServiceError: Redis cannot be reached, or a part ended or did not become healthy in
            time; all are stopped.
    """
    if not processes.PROC.is_dir():
        raise AirflowServiceError("only Linux has the /proc that is needed to watch Airflow")
    check_redis(settings)
    folder = settings.home / "airflow"
    with locked(folder):
        running = status(settings)
        if running is not None and _beats(settings, running.url):
            return running
        _stop_processes(folder)
        port = processes.free_port(HOST, folder / "port")
        url = f"http://{HOST}:{port}"
        variables = environment(settings, url, listen=HOST, port=port)
        if schedules_start is not None:
            variables["NQ42_SCHEDULES_START"] = schedules_start.isoformat()
        logs = settings.home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        migrate(folder, variables, logs)
        started = dt.datetime.now(dt.UTC)
        parts: dict[str, dict[str, Any]] = {}
        try:
            for name in part_names(settings):
                log = logs / f"airflow-{name}.log"
                pid = processes.spawn(command(*part_arguments(name)), variables, log)
                parts[name] = {"pid": pid, "started": processes.start_mark(pid)}
                write_private(folder / "service.json", {"url": url, "processes": parts})
            _wait(settings, url, parts, started)
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
    with locked(folder):
        return _stop_processes(folder)


def down(settings: Settings) -> bool:
    """Stop Airflow and the embedded PostgreSQL server; False when neither ran."""
    stopped = stop(settings)
    if settings.database_url is None:
        stopped = embedded.stop(settings.home) or stopped
    return stopped


def status(settings: Settings) -> Service | None:
    """The running Airflow, or None when not every part runs; starts nothing."""
    folder = settings.home / "airflow"
    document = _read(folder / "service.json")
    parts = document.get("processes", {})
    if set(parts) != set(part_names(settings)):
        return None
    if not all(processes.is_same(p["pid"], p["started"]) for p in parts.values()):
        return None
    return Service(document["url"], USER, folder / "passwords.json")


def components(settings: Settings) -> dict[str, bool]:
    """Each part of the Airflow that was started last, and whether it runs; empty after a stop."""
    parts = _read(settings.home / "airflow" / "service.json").get("processes", {})
    return {name: processes.is_same(part["pid"], part["started"]) for name, part in parts.items()}


def unwell(settings: Settings) -> list[str]:
    """Parts that run and do not report as healthy: a triggerer that hangs waits for nothing."""
    document = _read(settings.home / "airflow" / "service.json")
    return _unwell(document["url"]) if document else []


# --- processes ----------------------------------------------------------------------------------


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


def _wait(settings: Settings, url: str, parts: Mapping[str, Any], started: dt.datetime) -> None:
    logs = settings.home / "logs"
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not _is_healthy(settings, url, since=started):
        for name, part in parts.items():
            log = logs / f"airflow-{name}.log"
            if not processes.is_same(part["pid"], part["started"]):
                raise AirflowServiceError(f"airflow {name} ended:\n{log_tail(log)}\nlog: {log}")
        if time.monotonic() > deadline:
            raise AirflowServiceError(
                f"Airflow is not healthy after {START_TIMEOUT_SECONDS} s; logs are in {logs}"
            )
        time.sleep(0.3)


def _beats(settings: Settings, url: str) -> bool:
    """All parts run and beat from now on. What lost its database may look healthy for a while,
    and end, or hang, soon after."""
    now, deadline = dt.datetime.now(dt.UTC), time.monotonic() + BEAT_SECONDS
    while not _is_healthy(settings, url, since=now):
        if status(settings) is None or time.monotonic() > deadline:
            return False
        time.sleep(0.3)
    return True


def _is_healthy(settings: Settings, url: str, since: dt.datetime) -> bool:
    """All parts report healthy, with a heartbeat after `since`: not that of a dead predecessor."""
    return not _unwell(url, since) and has_workers(settings)


def _unwell(url: str, since: dt.datetime | None = None) -> list[str]:
    """What does not report as healthy."""
    try:
        document = httpx.get(f"{url}/api/v2/monitor/health", timeout=5, trust_env=False).json()
    except (httpx.HTTPError, ValueError):
        return ["api-server"]
    unwell = []
    if document.get("metadatabase", {}).get("status") != "healthy":
        unwell.append("metadatabase")
    for part in JOBS:
        name = part.replace("-", "_")
        found = document.get(name) or {}
        beat = found.get(f"latest_{name}_heartbeat")
        is_old = not beat or (since is not None and dt.datetime.fromisoformat(beat) < since)
        if found.get("status") != "healthy" or is_old:
            unwell.append(part)
    return unwell


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return {}
