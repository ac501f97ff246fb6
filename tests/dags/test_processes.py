"""Starting and stopping processes: the right ones, whole, and nobody else's."""

from __future__ import annotations

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

#: A leader with children, one in a group of its own, as a scheduler with workers and tasks.
LEADER = """
import signal, subprocess, sys, time
if {deaf}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = "import time; time.sleep(60)"
subprocess.Popen([sys.executable, "-c", child])
subprocess.Popen([sys.executable, "-c", child], process_group=0)
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
        processes.stop_sessions([process.pid], seconds=0)
        process.wait()


def test_a_session_is_stopped_with_all_its_groups(start: Start) -> None:
    leader = start()
    assert len(processes.members([leader.pid])) == 3
    assert processes.stop_sessions([leader.pid], seconds=10)
    assert processes.members([leader.pid]) == []


def test_who_does_not_listen_is_killed(start: Start) -> None:
    leader = start(deaf=True)
    began = time.monotonic()
    assert processes.stop_sessions([leader.pid], seconds=0.5)
    assert 0.5 <= time.monotonic() - began < 10
    assert processes.members([leader.pid]) == []


def test_children_of_a_dead_leader_are_stopped(start: Start) -> None:
    leader = start()
    os.kill(leader.pid, signal.SIGKILL)
    leader.wait()
    assert len(processes.members([leader.pid])) == 2
    assert processes.stop_sessions([leader.pid], seconds=10)
    assert processes.members([leader.pid]) == []


def test_nothing_to_stop_is_said(start: Start) -> None:
    leader = start()
    processes.stop_sessions([leader.pid], seconds=10)
    assert not processes.stop_sessions([leader.pid], seconds=10)


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
