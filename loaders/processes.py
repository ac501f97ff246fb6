"""Processes that outlive us: is it still the one we started, and stopping all it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

#: Linux; other systems tell neither when a process started nor its session in one way.
PROC = Path("/proc")
POLL_SECONDS = 0.1
#: Of Linux's prctl: the signal that a process gets when its parent dies.
PR_SET_PDEATHSIG = 1
#: Death by KILL takes a moment; what is not gone by then waits for a disk.
KILL_SECONDS = 10


def spawn(command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
    """Start a process that outlives this one, in a session of its own; its pid.

    Args:
        command: program with its path, and arguments.
        log: both outputs are added to it; made for the owner only.
    """
    create = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        command[0],
        command,
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), create, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def start_mark(pid: int) -> str | None:
    """When the process started, in the system's own words; None when there is none.

    Together with the pid it names a process for good: the number alone is given away again.
    """
    found = _stat(pid)
    return found[19] if found and found[0] not in "ZX" else None


def exists(pid: int) -> bool:
    return start_mark(pid) is not None


def is_same(pid: int, mark: str | None) -> bool:
    """Whether the process that was started as `pid` at `mark` still runs."""
    _reap(pid)
    return mark is not None and start_mark(pid) == mark


def stop_sessions(sessions: Iterable[int], seconds: float) -> bool:
    """TERM every process of the sessions, KILL what is left after `seconds`.

    By session and not by group: Airflow gives each task a group of its own.

    Returns:
        False when no process was alive.
    """
    wanted = set(sessions)
    if not members(wanted):
        return False
    _signal(wanted, signal.SIGTERM)
    if not _gone(wanted, seconds):
        deadline = time.monotonic() + KILL_SECONDS
        while members(wanted) and time.monotonic() < deadline:
            _signal(wanted, signal.SIGKILL)  # again: a new child may have come in between
            time.sleep(POLL_SECONDS)
    return True


def members(sessions: Collection[int]) -> list[int]:
    """Processes of the sessions. Zombies do not count: a container's first process may never
    collect them."""
    for session in sessions:
        _reap(session)
    wanted = {str(session) for session in sessions}
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields and fields[3] in wanted and fields[0] not in "ZX":
                found.append(int(entry.name))
    return found


def end_with(parent: int) -> None:
    """Let this process be killed when `parent`, which started it, is gone; at once if it is.

    Without it a child outlives a killed parent and goes on beside whoever tries again.
    """
    with contextlib.suppress(AttributeError):  # only Linux has it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


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


def _signal(sessions: Collection[int], number: signal.Signals) -> None:
    for pid in members(sessions):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _gone(sessions: Collection[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while members(sessions):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


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
