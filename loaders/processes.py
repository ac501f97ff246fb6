"""Process groups: is it still the one we started, and stopping it whole."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
POLL_SECONDS = 0.1


def start_mark(pid: int) -> str | None:
    """When the process started, in the system's own words; None when there is none.

    Together with the pid it names a process for good: the number alone is given away again.
    """
    if (PROC / "self" / "stat").exists():
        found = _stat(pid)
        return found[19] if found and found[0] not in "ZX" else None
    done = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607 - no fixed place on other systems
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or None


def exists(pid: int) -> bool:
    return start_mark(pid) is not None


def is_same(pid: int, mark: str | None) -> bool:
    """Whether the process that was started as `pid` at `mark` still runs."""
    _reap(pid)
    return mark is not None and start_mark(pid) == mark


def stop_groups(groups: Iterable[int], seconds: float) -> bool:
    """TERM every process group, KILL what is left after `seconds`; False when none was alive."""
    alive = [group for group in groups if _group_is_alive(group)]
    if not alive:
        return False
    _signal(alive, signal.SIGTERM)
    if not _gone(alive, seconds):
        _signal(alive, signal.SIGKILL)
        _gone(alive, seconds)
    return True


def free_port(host: str, kept: Path) -> int:
    """The port in the file `kept` when it is free, else a new one, which is kept."""
    with contextlib.suppress(FileNotFoundError, ValueError, OSError):
        return _bind(host, int(kept.read_text(encoding="utf-8")))
    port = _bind(host, 0)
    kept.write_text(f"{port}\n", encoding="utf-8")
    return port


def _bind(host: str, port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return int(probe.getsockname()[1])


def _signal(groups: Iterable[int], number: signal.Signals) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, number)


def _gone(groups: Iterable[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(_group_is_alive(group) for group in groups):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _group_is_alive(group: int) -> bool:
    """A member that is no zombie: a container's first process may never collect those."""
    _reap(group)
    if not (PROC / "self" / "stat").exists():
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        return True
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            found = _stat(int(entry.name))
            if found and found[2] == str(group) and found[0] not in "ZX":
                return True
    return False


def _stat(pid: int) -> list[str] | None:
    """Fields 3 and on of /proc/<pid>/stat: state, parent, group, session, …"""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Field 2 is the program's name in brackets and may hold anything, brackets included.
    return text.rpartition(")")[2].split()


def _reap(pid: int) -> None:
    """Collect our own child when it has ended; others are not ours to collect."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
