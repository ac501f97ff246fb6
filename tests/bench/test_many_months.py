"""Many months of all sources, bare and under Airflow: the same figures, and what Airflow adds.

`NQ42_BENCH_MONTHS` (24) months end with December 2025, in size `NQ42_BENCH_SCALE` (0.02).
`NQ42_BENCH_INBOX` is a folder with their extracts; without it they are generated.
`NQ42_BENCH_EXECUTORS` names what is compared with the bare run: `local` (the default), `celery`,
the latter with two workers and a real Redis, or `local,celery`.

On an idle machine only: beside the clock, the busy seconds of all its processors are measured. Each
part starts with an empty warehouse, and what it leaves is deleted. At scale 1 a warehouse of 24
months takes 20 GB and its landing store some more: let `TMPDIR` and pytest's `--basetemp` point to
a disk with as much room.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from psycopg import sql
from sqlalchemy.engine import URL

from loaders.contracts.model import load_contracts
from loaders.postgres.database import Role, connect
from loaders.sample import generate
from loaders.settings import get_settings
from loaders.stages.arrival import has_arrived
from loaders.stages.setup import prepare_warehouse
from tests.bench.bare import Timer, release_bare, take_bare
from tests.bench.orchestrated import Orchestrated
from tests.conftest import Warehouse, drop_airflow_metadata, empty_warehouse
from tests.marts import FIGURES
from tests.redis_server import redis_server
from tests.unit.memory import ROOT

COUNT = int(os.environ.get("NQ42_BENCH_MONTHS", "24"))
SCALE = float(os.environ.get("NQ42_BENCH_SCALE", "0.02"))
INBOX = os.environ.get("NQ42_BENCH_INBOX")
EXECUTORS = os.environ.get("NQ42_BENCH_EXECUTORS", "local").split(",")
TARGET = 4 / 3

Say = Callable[[str], None]


def months() -> list[str]:
    """The latest months up to December 2025."""
    numbers = range(2026 * 12 - COUNT, 2026 * 12)
    return [f"{number // 12}-{number % 12 + 1:02d}" for number in numbers]


def test_many_months_bare_and_under_airflow(
    database_server: URL, _template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(line: str) -> None:
        with capsys.disabled():
            print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)

    inbox = Path(INBOX) if INBOX else tmp_path / "inbox"
    if not INBOX:
        say(f"generates {COUNT} months at scale {SCALE:g}")
        generate(months(), SCALE, 42, inbox, None)
    with _part(database_server, _template, tmp_path, inbox, "bare"):
        missing = _missing()
        assert not missing, f"{inbox} lacks {missing[:5]}, {len(missing)} in all"
        seconds, bare = _run_bare(say)
        rows, figures, gates = _raw_rows(), _figures(), _gate_seconds()
    report = [
        f"{COUNT} months, scale {SCALE:g}, {len(rows)} datasets' periods, {sum(rows.values())} rows"
        f" in raw, {os.cpu_count()} processors",
        *(f"  {stage:22} {value:8.1f} s" for stage, value in seconds.items()),
        f"  {'bare, in all':22} {bare.seconds:8.1f} s, processors {bare.busy_seconds:.1f} s,"
        f" intake gates {gates / sum(seconds.values()):.1%}",
    ]
    for executor in EXECUTORS:
        with _part(database_server, _template, tmp_path, inbox, executor) as warehouse:
            done = _run_orchestrated(warehouse, executor, tmp_path, say)
            differing = dict(_raw_rows().items() ^ rows.items())
            assert not differing, f"rows in raw: {differing}"
            assert _figures() == figures
            gates = _gate_seconds()
        report += [
            f"  {'under Airflow, ' + executor:22} {done.seconds:8.1f} s,"
            f" processors {done.busy_seconds:.1f} s; the same rows in raw and the same figures",
            f"  {'in its tasks':22} {done.task_seconds:8.1f} s, intake gates"
            f" {gates / done.task_seconds:.1%}; {done.runs} runs, {done.tasks} tasks with a"
            f" process, {done.tasks / COUNT:.1f} for each month",
            f"  ratio to bare: time {done.seconds / bare.seconds:.2f}, processors"
            f" {done.busy_seconds / bare.busy_seconds:.2f}; at most {TARGET:.2f} wanted",
        ]
    with capsys.disabled():
        print("", *report, sep="\n")


@contextmanager
def _part(server: URL, template: str, folder: Path, inbox: Path, name: str) -> Iterator[Warehouse]:
    """An empty warehouse that settings point to; its database and files are deleted at the end."""
    home = folder / name
    home.mkdir()
    try:
        with (
            empty_warehouse(server, template, home) as warehouse,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setenv("NQ42_INBOX", str(inbox))
            get_settings.cache_clear()
            prepare_warehouse()
            yield warehouse
    finally:
        get_settings.cache_clear()
        shutil.rmtree(home)


def _missing() -> list[str]:
    """Deliveries of the months that the inbox does not hold."""
    return [
        f"{contract.source}.{dataset.name} {period}"
        for month in months()
        for contract in load_contracts()
        for dataset in contract.datasets
        if (period := dataset.period_in(month)) is not None
        and not has_arrived(contract.source, dataset.name, period)
    ]


def _run_bare(say: Say) -> tuple[dict[str, float], Timer]:
    """Seconds of each stage, and of all together."""
    seconds: dict[str, float] = defaultdict(float)
    with Timer() as timer:
        for month in months():
            say(f"bare: takes {month}")
            take_bare(month, seconds)
        say("bare: releases")
        release_bare(months()[-1], seconds)
    return seconds, timer


def _run_orchestrated(warehouse: Warehouse, executor: str, folder: Path, say: Say) -> Orchestrated:
    """The months through an Airflow of their own, as a program of its own."""
    log = folder / f"{executor}.log"
    redis = redis_server(warehouse.home) if executor == "celery" else nullcontext()
    try:
        with redis as redis_url, log.open("w") as errors:
            chosen = {"NQ42_EXECUTOR": executor, "NQ42_REDIS_URL": redis_url or ""}
            program = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.orchestrated", *months()],
                cwd=ROOT,
                env=os.environ | chosen,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            assert program.stdout is not None
            last = ""
            with program:
                for line in program.stdout:
                    last = line.rstrip()
                    say(f"{executor}: {last}")
        assert program.returncode == 0, log.read_text(encoding="utf-8")[-3000:]
        return Orchestrated(**json.loads(last))
    finally:
        drop_airflow_metadata()


def _raw_rows() -> dict[tuple[str, str], int]:
    """Rows in raw by dataset and period."""
    found = {}
    query = sql.SQL("select _period, count(*) from {} group by _period")
    with connect(Role.TRANSFORMER) as connection:
        for contract in load_contracts():
            for dataset in contract.datasets:
                table = sql.Identifier("raw", dataset.raw_table)
                for period, count in connection.execute(query.format(table)):
                    found[f"{contract.source}.{dataset.name}", period] = count
    return found


def _figures() -> dict[str, str]:
    """Mart → sha256 of its rows without the names of releases and their times.

    At scale 1 the rows are too many to be held twice.
    """
    query = sql.SQL(
        "copy (select (to_jsonb(v) - 'release_id' - 'built_at' - 'published_at')::text"
        " from marts.{} as v order by 1) to stdout"
    )
    found = {}
    with connect(Role.PUBLISHER) as connection:
        for mart in FIGURES:
            digest = hashlib.sha256()
            statement = query.format(sql.Identifier(mart))
            with connection.cursor() as cursor, cursor.copy(statement) as rows:
                for block in rows:
                    digest.update(block)
            found[mart] = digest.hexdigest()
    return found


def _gate_seconds() -> float:
    """Time in the intake gate, as the batches' records tell it."""
    with connect(Role.AUDITOR) as connection:
        row = connection.execute(
            "select sum(seconds) from audit.batch_result where stage = 'gate'"
        ).fetchone()
    return float(row[0]) if row else 0.0
