"""One month through every stage in one process, without an orchestrator, timed."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from loaders.contracts.model import load_contracts
from loaders.demo import ANSWER
from loaders.exports import export_newest
from loaders.report import write_release_report
from loaders.stages.approve import approve
from loaders.stages.build import build
from loaders.stages.gate import gate_intake, gate_release
from loaders.stages.land import land
from loaders.stages.load import load
from loaders.stages.publish import publish


class Timer:
    """`with` block: seconds by the clock, and of all processors of the machine that were busy.

    PostgreSQL works beside the process that measures, and Airflow in many: only the processors'
    time compares them. Whatever else the machine does counts too, so it must be idle.
    """

    def __enter__(self) -> Self:
        self._start, self._busy = time.monotonic(), busy_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._start
        self.busy_seconds = busy_seconds() - self._busy


def busy_seconds() -> float:
    """Of all processors since the machine was started: Linux counts them in /proc/stat."""
    first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, first.split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[stage] += time.perf_counter() - started


def run_bare(month: str) -> dict[str, float]:
    """Seconds of each stage for every dataset of the month, one after the other."""
    seconds: dict[str, float] = defaultdict(float)
    take_bare(month, seconds)
    release_bare(month, seconds)
    return seconds


def take_bare(month: str, seconds: dict[str, float]) -> None:
    """The month's deliveries reach raw."""
    for contract in load_contracts():
        for dataset in contract.datasets:
            period = dataset.period_in(month)
            if period is None:
                continue
            with timed(seconds, "land"):
                batch_id = land(contract.source, dataset.name, period).batch_id or ""
            with timed(seconds, "load"):
                load(batch_id)
            with timed(seconds, "gate (intake)"):
                assert gate_intake(batch_id).status == "accepted"


def release_bare(month: str, seconds: dict[str, float]) -> None:
    """A release as of the month; what waits for a person is answered at once."""
    with timed(seconds, "build"):
        candidate_id = build(month).candidate_id
    with timed(seconds, "gate (release)"):
        status = gate_release(candidate_id).status
    if status == "waiting":
        approve(
            candidate_id, by=ANSWER["approved_by"], reason=ANSWER["reason"], account="benchmark"
        )
        status = "accepted"
    assert status == "accepted"
    with timed(seconds, "publish"):
        publish(candidate_id, after_publish=write_release_report)
    with timed(seconds, "export"):
        export_newest()
