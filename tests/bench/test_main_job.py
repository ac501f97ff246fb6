"""One month from files to release: seconds of each stage, and what Airflow adds to them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from loaders.postgres.database import admin_url
from loaders.sample import generate
from loaders.settings import get_settings
from loaders.stages.setup import prepare_warehouse
from tests.bench.bare import run_bare
from tests.conftest import Warehouse, drop_airflow_metadata

SCALE = float(os.environ.get("NQ42_BENCH_SCALE", "0.3"))
MONTH = "2025-12"
#: The same month through Airflow, timed from the first trigger to the end of the release.
ORCHESTRATED = f"""
import datetime as dt, time
from rich.console import Console
from loaders import airflow_service, demo
from loaders.airflow_api import AirflowApi
from loaders.settings import get_settings
settings = get_settings()
try:
    now = dt.datetime.now(dt.UTC)
    service = airflow_service.up(settings, schedules_start=now)
    with AirflowApi(service) as api, demo.progress_bars(Console(stderr=True)) as progress:
        months = demo.MonthRuns(api, progress, ({MONTH!r},), "bench")
        months.wait_for_dags()
        started = time.monotonic()
        assert not months.run()
        print(time.monotonic() - started)
finally:
    airflow_service.stop(settings)
"""


def test_stages_bare_and_under_airflow(
    warehouse: Warehouse, empty_database: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two databases: the stages run bare in one, then through Airflow in the other."""
    settings = get_settings()
    generate([MONTH], SCALE, 42, settings.inbox, None)
    prepare_warehouse()
    # First, while both start from the same cold caches of this process.
    seconds = run_bare(MONTH)
    total = sum(seconds.values())
    other = admin_url().database
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NQ42_DATABASE_URL", warehouse.url.render_as_string(hide_password=False))
        get_settings.cache_clear()
        prepare_warehouse()
        done = subprocess.run(
            [sys.executable, "-c", ORCHESTRATED],
            env=os.environ.copy(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        orchestrated = float(done.stdout.split()[-1])
        drop_airflow_metadata()
    get_settings.cache_clear()
    assert admin_url().database == other
    with capsys.disabled():
        print(f"\nmain job, one month, scale {SCALE:g}")
        for stage, value in seconds.items():
            print(f"  {stage:15} {value:7.1f} s")
        print(f"  {'bare, in all':15} {total:7.1f} s")
        print(f"  {'under Airflow':15} {orchestrated:7.1f} s")
        print(f"  ratio under Airflow / bare {orchestrated / total:.2f}")
