"""One month through every stage in one process, without an orchestrator, timed."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

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
