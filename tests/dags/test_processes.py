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


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    child = (
        "import os, pathlib, sys, time; from loaders.processes import end_with;"
        " end_with(os.getppid()); pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    )
    parent = (
        "import subprocess as s, sys, time; child = s.Popen([sys.executable, '-c', *sys.argv[1:]]);"
        " print(child.pid, flush=True); time.sleep(60)"
    )
    ready = tmp_path / "ready"
    with subprocess.Popen(
        [sys.executable, "-c", parent, child, str(ready)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        while not ready.exists():
            time.sleep(0.05)
        process.kill()
    deadline = time.monotonic() + 10
    while processes.exists(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_child_of_somebody_who_is_gone_already_ends_at_once() -> None:
    orphan = "import os; from loaders.processes import end_with; end_with(1 + os.getppid())"
    done = subprocess.run([sys.executable, "-c", orphan], check=False)
    assert done.returncode == -signal.SIGKILL


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
