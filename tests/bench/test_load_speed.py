"""`load` of a month's card list beside `\\copy` and the usual tools, on one server, in one run.

    NQ42_BENCH_SCALE=0.685 NQ42_BENCH_ROUNDS=3 pytest tests/bench/test_load_speed.py

Tools that would take many minutes load a part; their seconds are those of the part times the rest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import pandas as pd
import pyarrow.csv as pacsv
import pytest

from loaders.contracts.model import get_dataset, load_contracts
from loaders.postgres import database, embedded
from loaders.postgres.database import Role, admin_url, connect, engine
from loaders.stages.gate import ensure_raw_tables
from loaders.stages.land import land
from loaders.stages.load import load
from tests.bench.members import DATASET, MONTH, PROVINCE, SOURCE, member_list
from tests.conftest import Warehouse

SCALE = float(os.environ.get("NQ42_BENCH_SCALE", PROVINCE))
ROUNDS = int(os.environ.get("NQ42_BENCH_ROUNDS", "3"))
COPY, OURS = "\\copy", "nq42 load"
#: Rows that the slow tools load.
PART = 50_000
#: Months whose lists are a tenth as long, and as long, as the one above.
MEMORY_MONTHS = {"2025-08": 0.1, "2025-09": 1.0}
PEAK = """
import resource, sys
from loaders.stages.load import load
result = load(sys.argv[1])
assert result.status == "loaded", result
print(result.rows_read, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.fixture(scope="module")
def ready(warehouse: Warehouse) -> Warehouse:
    with connect(Role.LOADER) as connection:
        ensure_raw_tables(connection, [d for c in load_contracts() for d in c.datasets])
    return warehouse


@contextmanager
def empty_table(name: str, *, create: bool = False) -> Iterator[None]:
    """``bench.<name>``, of text columns or not yet there, and gone afterwards."""
    columns = ", ".join(
        f'"{header}" text' for header in get_dataset(SOURCE, DATASET).headers(MONTH)
    )
    with connect(Role.ADMIN) as connection:
        connection.execute("create schema if not exists bench")
        connection.execute(f"drop table if exists bench.{name}")
        if create:
            connection.execute(f"create table bench.{name} ({columns})")
    yield
    with connect(Role.ADMIN) as connection:
        connection.execute(f"drop table if exists bench.{name}")


def address() -> str:
    return database.conninfo(admin_url())


def psql_copy(path: Path) -> int:
    psql = sorted(embedded._package().glob("pginstall*/bin/psql"))[-1]
    command = f"\\copy bench.bare from '{path}' with (format csv, header, delimiter ';')"
    with empty_table("bare", create=True):
        done = subprocess.run(
            [psql, address(), "-c", command], check=True, capture_output=True, text=True
        )
    return int(done.stdout.split()[-1])


def our_load(batch_id: str) -> int:
    result = load(batch_id)
    assert result.status == "loaded", result.reason
    return result.rows_read


def pandas_adbc(path: Path) -> int:
    frame = pd.read_csv(path, sep=";", dtype=str, engine="pyarrow")
    with (
        empty_table("adbc"),
        adbc.connect(address()) as connection,
        connection.cursor() as cursor,
    ):
        cursor.adbc_ingest("adbc", frame, mode="create", db_schema_name="bench")
        connection.commit()
    return len(frame)


def pandas_to_sql(path: Path, method: str | None) -> int:
    frame = pd.read_csv(path, sep=";", dtype=str, nrows=PART)
    with empty_table("to_sql"):
        # 65,535 is the most parameters that one statement takes.
        frame.to_sql(
            "to_sql", engine(Role.ADMIN), schema="bench", index=False, method=method, chunksize=5000
        )
    return len(frame)


def dlt_arrow(path: Path, folder: Path, rows: int | None) -> int:
    import dlt  # a second of imports, and threads of its own

    columns = {header: "string" for header in get_dataset(SOURCE, DATASET).headers(MONTH)}
    table = pacsv.read_csv(
        path,
        parse_options=pacsv.ParseOptions(delimiter=";"),
        convert_options=pacsv.ConvertOptions(column_types=columns),
    ).slice(0, rows)
    pipeline = dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=str(folder),
        destination=dlt.destinations.postgres(credentials=address()),
        dataset_name="bench_dlt",
    )
    pipeline.run(table, table_name="members", write_disposition="replace")
    return len(table)


def timed(run: Callable[[], int]) -> tuple[float, int]:
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the other tools
        rows = run()
    return time.perf_counter() - started, rows


def test_load_beside_copy_and_other_tools(
    ready: Warehouse,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    path = member_list(ready.inbox, SCALE)
    batch_id = land(SOURCE, DATASET, MONTH).batch_id or ""
    tools: dict[str, Callable[[], int]] = {
        COPY: lambda: psql_copy(path),
        OURS: lambda: our_load(batch_id),
        "pandas (pyarrow) → ADBC": lambda: pandas_adbc(path),
    }
    # Side by side in each round: the machine is not equally busy all the time.
    rounds = [{name: timed(tool) for name, tool in tools.items()} for _ in range(ROUNDS)]
    best = {name: min(run[name] for run in rounds) for name in tools}
    best["dlt from Arrow"] = timed(lambda: dlt_arrow(path, tmp_path, None))
    for method in ("multi", None):
        best[f"pandas to_sql, method={method}"] = timed(
            lambda method=method: pandas_to_sql(path, method)
        )
    copy_seconds, rows = best[COPY]
    with capsys.disabled():
        print(
            f"\nloading {rows:,} rows, {path.stat().st_size / 1e6:.0f} MB, best of {ROUNDS} rounds"
        )
        print(f"  {'':28}{'seconds':>9}{'rows/s':>12}{'× ' + COPY:>9}")
        for name, (seconds, loaded) in best.items():
            whole = seconds * rows / loaded
            note = "" if loaded == rows else f"  from {loaded:,} rows"
            print(
                f"  {name:28}{whole:9.1f}{loaded / seconds:12,.0f}{whole / copy_seconds:9.2f}{note}"
            )
        ratios = [run[COPY][0] / run[OURS][0] for run in rounds]
        print(f"  speed of load against {COPY} by round: {', '.join(f'{r:.2f}' for r in ratios)}")


def test_memory_of_load_is_flat_in_the_size_of_the_file(
    ready: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    peaks = []
    for month, part in MEMORY_MONTHS.items():
        member_list(ready.inbox, SCALE * part, month)
        batch_id = land(SOURCE, DATASET, month).batch_id or ""
        done = subprocess.run(
            [sys.executable, "-c", PEAK, batch_id],
            env=os.environ.copy(),
            check=True,
            capture_output=True,
            text=True,
        )
        rows, peak = map(int, done.stdout.split()[-2:])
        peaks.append((rows, peak))
    (few, low), (many, high) = peaks
    with capsys.disabled():
        print("\npeak memory of load, in a process of its own")
        for rows, peak in peaks:
            print(f"  {rows:10,} rows {peak:6} MB")
        print(f"  {high / low:.2f} times the memory for {many / few:.1f} times the rows")
