"""What can be killed: the processes that `service.json` names, what they started, PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loaders import processes
from loaders.postgres import embedded
from tests.redis_server import RedisServer

#: How long to wait for a process of the wanted kind, when none runs at the moment.
PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Killed:
    """What was hit; `title` is the process's own words of itself."""

    target: str
    pid: int
    title: str


class Targets:
    """The processes of one installation."""

    def __init__(self, home: Path, chance: random.Random, redis: RedisServer | None) -> None:
        self.home, self.chance, self._redis = home, chance, redis
        self._find: dict[str, Callable[[], list[int]]] = {
            **{name: lambda name=name: self._component(name) for name in self._components()},
            "task": lambda: self._started(2, "airflow worker"),
            "executor worker": self._celery_processes if redis else self._local_workers,
            "dbt": lambda: self._started(3, "from dbt.cli.main import cli"),
            "postgres backend": self._backends,
            "postmaster": self._postmaster,
            **({"redis": self._broker} if redis else {}),
        }

    @property
    def names(self) -> list[str]:
        return list(self._find)

    def find(self, target: str) -> list[int]:
        """The processes of that kind that run now."""
        return self._find[target]()

    def kill(self, target: str) -> Killed | None:
        """SIGKILL one process of that kind, by chance; None when there is none for a while."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            found = self.find(target)
            if found:
                pid = self.chance.choice(found)
                title = _title(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    return Killed(target, pid, title)
            time.sleep(0.05)
        return None

    def _service(self) -> dict[str, dict[str, int]]:
        try:
            return json.loads((self.home / "airflow" / "service.json").read_text())["processes"]
        except (FileNotFoundError, ValueError):
            return {}

    def _components(self) -> list[str]:
        return sorted(self._service())

    def _component(self, name: str) -> list[int]:
        part = self._service().get(name)
        return [part["pid"]] if part and processes.exists(part["pid"]) else []

    def _started(self, generation: int, mark: str) -> list[int]:
        """Children (1), grandchildren (2), … of the service's processes with this in their title.

        The executor's workers are children, and keep their title in the task that they fork.
        """
        leaders = {part["pid"] for part in self._service().values()}
        return [
            pid
            for pid in (processes.members(leaders) if leaders else [])
            if mark in _title(pid) and _ancestor(pid, generation) in leaders
        ]

    def _postmaster(self) -> list[int]:
        pid = embedded.status(self.home).pid
        return [pid] if pid else []

    def _local_workers(self) -> list[int]:
        return self._started(1, "airflow worker")

    def _celery_processes(self) -> list[int]:
        """Those that work on a task now: a worker's others cannot be told from itself."""
        return [_ancestor(pid, 1) for pid in self.find("task")]

    def _broker(self) -> list[int]:
        pid = self._redis.pid if self._redis else None
        return [pid] if pid else []

    def _backends(self) -> list[int]:
        """Sessions of clients, not of the reader: those of the warehouse and of Airflow."""
        found = []
        for pid in self._postmaster():
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            found = [int(c) for c in children if "postgres: nq42_admin " in _title(int(c))]
        return found


def _ancestor(pid: int, generation: int) -> int:
    for _ in range(generation):
        try:
            text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return 0
        pid = int(text.rpartition(")")[2].split()[1])
    return pid


def _title(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return text.replace(b"\0", b" ").decode(errors="replace").strip()
