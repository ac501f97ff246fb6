"""The demo as a user runs it: one month through a real Airflow, then a second time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from loaders import processes
from loaders.postgres.database import Role, connect
from tests.conftest import Warehouse, drop_airflow_metadata
from tests.end_to_end.conftest import read_truth
from tests.end_to_end.identifiers import dump_of, identifiers, leaks

MONTH = "2025-12"
COMMAND = f"""
import sys
from loaders.demo import run_demo
sys.exit(run_demo(0.01, 7, ({MONTH!r},)))
"""


def demo() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COMMAND],
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.fixture(scope="module")
def first(warehouse: Warehouse) -> Iterator[subprocess.CompletedProcess[str]]:
    yield demo()
    drop_airflow_metadata()


def test_it_publishes_and_shows_where_to_look(
    first: subprocess.CompletedProcess[str], warehouse: Warehouse
) -> None:
    assert first.returncode == 0, (first.stdout + first.stderr)[-4000:]
    assert f"{MONTH} build_and_publish: success" in first.stdout
    assert "DỮ LIỆU MẪU / SAMPLE DATA" in first.stdout
    report = warehouse.home / "reports" / f"{MONTH}.1.html"
    assert str(report) in first.stdout.replace("\n", "")
    assert report.stat().st_size > 100_000


def test_airflow_published_the_true_values(
    first: subprocess.CompletedProcess[str], warehouse: Warehouse
) -> None:
    truth = read_truth(warehouse.home / "truth")
    with connect(Role.BI) as connection:
        rows = connection.execute(
            "select kpi_id, series, period, boundary, unit_level, unit_code, breakdown,"
            " breakdown_value, value, is_suppressed from marts.fct_kpi_value"
            " where data_label = 'sample'"
        ).fetchall()
    published = {tuple(row[:8]): row[8] for row in rows if not row[9]}
    compared = {
        key: Decimal(row["value"]) if row["value"] else None
        for key, row in truth.items()
        if key in published
    }
    assert len(compared) > 1_000
    assert {key for key, value in compared.items() if published[key] != value} == set()


def test_nothing_keeps_running(
    first: subprocess.CompletedProcess[str], warehouse: Warehouse
) -> None:
    home = str(warehouse.home).encode()
    left = [
        path.parent.name
        for path in processes.PROC.glob("[0-9]*/environ")
        if path.parent.name != str(os.getpid()) and home in _read(path)
    ]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended, or is another user's
        return b""


def test_airflow_s_metadata_and_logs_hold_no_identifier(
    first: subprocess.CompletedProcess[str], warehouse: Warehouse
) -> None:
    people = identifiers(warehouse.inbox, (MONTH,))
    assert len(people[0]) > 10_000
    metadata = dump_of(warehouse.url.set(database=f"{warehouse.url.database}_airflow"))
    assert "import_social_insurance" in metadata
    assert leaks(metadata, *people) == set()
    files = [
        path
        for folder in ("logs", "airflow", "reports", "dbt")
        for path in (warehouse.home / folder).rglob("*")
        if path.is_file()
    ]
    assert len(files) > 30
    for path in files:
        assert leaks(path.read_text("utf-8", errors="replace"), *people) == set(), path.name
    assert leaks(first.stdout + first.stderr, *people) == set()


def test_a_second_run_is_a_no_op_that_says_so(
    first: subprocess.CompletedProcess[str], warehouse: Warehouse
) -> None:
    second = demo()
    assert second.returncode == 0, second.stdout[-2000:]
    assert "Nothing to do" in second.stdout
    with connect(Role.AUDITOR) as connection:
        count = connection.execute("select count(*) from publication.release").fetchone()
    assert count == (1,)
