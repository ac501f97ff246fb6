"""Starting and stopping process groups: the right ones, whole, and nobody else's."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loaders import processes

#: A leader with a child, as a scheduler with its workers; it says when both are there.
LEADER = """
import signal, subprocess, sys, time
if {deaf}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = "import time; time.sleep(60)"
subprocess.Popen([sys.executable, "-c", child])
print("ready", flush=True)
time.sleep(60)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(*, deaf: bool = False) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", LEADER.format(deaf=deaf)],
            start_new_session=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdout.close()
        return process

    yield run
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def members(group: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = processes._stat(int(entry.name))
            if fields and fields[2] == str(group) and fields[0] not in "ZX":
                found.append(int(entry.name))
    return found


def test_a_group_is_stopped_with_its_children(start: Start) -> None:
    leader = start()
    assert len(members(leader.pid)) == 2
    assert processes.stop_groups([leader.pid], seconds=10)
    assert members(leader.pid) == []


def test_who_does_not_listen_is_killed(start: Start) -> None:
    leader = start(deaf=True)
    began = time.monotonic()
    assert processes.stop_groups([leader.pid], seconds=0.5)
    assert 0.5 <= time.monotonic() - began < 10
    assert members(leader.pid) == []


def test_children_of_a_dead_leader_are_stopped(start: Start) -> None:
    leader = start()
    os.kill(leader.pid, signal.SIGKILL)
    leader.wait()
    assert len(members(leader.pid)) == 1
    assert processes.stop_groups([leader.pid], seconds=10)
    assert members(leader.pid) == []


def test_nothing_to_stop_is_said(start: Start) -> None:
    leader = start()
    processes.stop_groups([leader.pid], seconds=10)
    assert not processes.stop_groups([leader.pid], seconds=10)


def test_a_pid_with_another_start_is_another_process(start: Start) -> None:
    leader = start()
    mark = processes.start_mark(leader.pid)
    assert processes.is_same(leader.pid, mark)
    assert not processes.is_same(leader.pid, "1")
    assert not processes.is_same(leader.pid, None)


def test_a_zombie_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    mark = processes.start_mark(process.pid)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet collected
    assert processes.start_mark(process.pid) is None
    assert not processes.is_same(process.pid, mark)
    process.wait()


def test_a_port_is_kept_until_somebody_else_has_it(tmp_path: Path) -> None:
    kept = tmp_path / "port"
    port = processes.free_port("127.0.0.1", kept)
    assert processes.free_port("127.0.0.1", kept) == port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert processes.free_port("127.0.0.1", kept) != port
