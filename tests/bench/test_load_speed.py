"""`load` of one month of card lists against a bare COPY of the same file, in the same run."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psycopg
import pytest

from loaders.contracts.model import get_dataset, load_contracts
from loaders.postgres.database import Role, connect
from loaders.sample import generate
from loaders.stages.gate import ensure_raw_tables
from loaders.stages.land import land
from loaders.stages.load import load
from tests.conftest import Warehouse

SCALE = float(os.environ.get("NQ42_BENCH_SCALE", "0.3"))
ROUNDS = int(os.environ.get("NQ42_BENCH_ROUNDS", "3"))
MONTH = "2025-07"
SOURCE, DATASET = "social_insurance", "health_insurance_members"


def bare_copy(connection: psycopg.Connection, path: Path) -> float:
    """Seconds of COPY of the file as it is into text columns."""
    headers = get_dataset(SOURCE, DATASET).headers(MONTH)
    columns = ", ".join(f'"{header}" text' for header in headers)
    connection.execute("DROP TABLE IF EXISTS stage.bare")
    connection.execute(f"CREATE TABLE stage.bare ({columns})")
    started = time.perf_counter()
    statement = "COPY stage.bare FROM STDIN (FORMAT csv, HEADER true, DELIMITER ';')"
    with path.open("rb") as stream, connection.cursor().copy(statement) as copy:
        while chunk := stream.read(1 << 20):
            copy.write(chunk)
    connection.commit()
    return time.perf_counter() - started


@pytest.fixture(scope="module")
def delivery(warehouse: Warehouse) -> Path:
    with connect(Role.LOADER) as connection:
        ensure_raw_tables(connection, [d for c in load_contracts() for d in c.datasets])
    generate([MONTH], SCALE, 42, warehouse.inbox, None)
    return warehouse.inbox / SOURCE / MONTH / f"DS_THE_BHYT_{MONTH.replace('-', '')}.csv"


def test_load_against_bare_copy(delivery: Path, capsys: pytest.CaptureFixture[str]) -> None:
    landed = land(SOURCE, DATASET, MONTH)
    batch_id = landed.batch_id or ""
    ratios, rows = [], 0
    lines = []
    for _ in range(ROUNDS):
        with connect(Role.LOADER) as connection:
            bare = bare_copy(connection, delivery)
        started = time.perf_counter()
        result = load(batch_id)
        seconds = time.perf_counter() - started
        assert result.status == "loaded"
        rows = result.rows_read
        ratios.append(bare / seconds)
        lines.append(f"  bare copy {bare:.2f} s, load {seconds:.2f} s, ratio {bare / seconds:.2f}")
    with capsys.disabled():
        size = delivery.stat().st_size / 1e6
        print(f"\nload, {rows:,} rows, {size:.0f} MB, scale {SCALE:g}")
        print("\n".join(lines))
        print(f"  best ratio to the bare copy {max(ratios):.2f} (1 = as fast)")
