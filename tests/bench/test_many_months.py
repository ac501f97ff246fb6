"""Many months of all sources, bare and under Airflow: the same figures, and what Airflow adds.

`NQ42_BENCH_MONTHS` (24) months end with December 2025, in size `NQ42_BENCH_SCALE` (0.02);
`NQ42_BENCH_EXECUTOR` is `local` or `celery`, the latter with two workers and a real Redis.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from contextlib import nullcontext
from pathlib import Path

import pytest

from loaders.contracts.model import load_contracts
from loaders.postgres.database import Role, connect
from loaders.sample import generate
from loaders.settings import get_settings
from loaders.stages.setup import prepare_warehouse
from tests.bench.bare import release_bare, take_bare
from tests.conftest import Warehouse, drop_airflow_metadata
from tests.marts import published_figures
from tests.redis_server import redis_server
from tests.unit.memory import ROOT

COUNT = int(os.environ.get("NQ42_BENCH_MONTHS", "24"))
SCALE = float(os.environ.get("NQ42_BENCH_SCALE", "0.02"))
EXECUTOR = os.environ.get("NQ42_BENCH_EXECUTOR", "local")
TARGET = 4 / 3


def months() -> list[str]:
    """The latest months up to December 2025."""
    numbers = range(2026 * 12 - COUNT, 2026 * 12)
    return [f"{number // 12}-{number % 12 + 1:02d}" for number in numbers]


def test_many_months_bare_and_under_airflow(
    warehouse: Warehouse,
    empty_database: object,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inbox = get_settings().inbox
    generate(months(), SCALE, 42, inbox, None)
    prepare_warehouse()
    seconds: dict[str, float] = defaultdict(float)
    for month in months():
        take_bare(month, seconds)
    release_bare(months()[-1], seconds)
    bare, gates = published_figures(), _gate_seconds()
    redis = redis_server(tmp_path) if EXECUTOR == "celery" else nullcontext()
    with pytest.MonkeyPatch.context() as patch, redis as redis_url:
        patch.setenv("NQ42_DATABASE_URL", warehouse.url.render_as_string(hide_password=False))
        patch.setenv("NQ42_HOME", str(warehouse.home))
        patch.setenv("NQ42_INBOX", str(inbox))
        patch.setenv("NQ42_EXECUTOR", EXECUTOR)
        if redis_url:
            patch.setenv("NQ42_REDIS_URL", redis_url)
        get_settings.cache_clear()
        prepare_warehouse()
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.orchestrated", months()[0], months()[-1]],
            cwd=ROOT,
            env=os.environ.copy(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        orchestrated, in_tasks = map(float, done.stdout.splitlines()[-1].split())
        assert published_figures() == bare
        gates_under_airflow = _gate_seconds()
        drop_airflow_metadata()
    get_settings.cache_clear()
    total = sum(seconds.values())
    datasets = sum(len(contract.datasets) for contract in load_contracts())
    with capsys.disabled():
        print(f"\n{COUNT} months, scale {SCALE:g}, {datasets} datasets, executor {EXECUTOR}")
        for stage, value in seconds.items():
            print(f"  {stage:15} {value:7.1f} s")
        print(f"  {'bare, in all':15} {total:7.1f} s, intake gates {gates / total:.1%} of it")
        print(f"  {'under Airflow':15} {orchestrated:7.1f} s")
        share = gates_under_airflow / in_tasks
        print(f"  {'in its tasks':15} {in_tasks:7.1f} s, intake gates {share:.1%} of it")
        print(
            f"  ratio under Airflow / bare {orchestrated / total:.2f}, at most {TARGET:.2f} wanted"
        )


def _gate_seconds() -> float:
    """Time in the intake gate, as the batches' records tell it."""
    with connect(Role.AUDITOR) as connection:
        row = connection.execute(
            "select sum(seconds) from audit.batch_result where stage = 'gate'"
        ).fetchone()
    return float(row[0]) if row else 0.0
