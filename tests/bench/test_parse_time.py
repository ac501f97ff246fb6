"""What it costs to read the folder of DAGs: the DAG processor does it every minute.

In seconds of the processor, which a busy machine does not change much. The baseline is a folder
with one DAG that does nothing, read in the same way.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from loaders.settings import PROJECT_ROOT
from tests.dags.conftest import read_dags

TARGET_SECONDS = 2.0
ROUNDS = 5
EMPTY = """
import datetime as dt

from airflow.sdk import DAG, task

with DAG("empty", start_date=dt.datetime(2024, 1, 1, tzinfo=dt.UTC)):

    @task
    def nothing() -> None: ...

    nothing()
"""


def test_seconds_to_read_the_dags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "dags"
    empty.mkdir()
    (empty / "empty.py").write_text(EMPTY, encoding="utf-8")
    found: dict[str, list[float]] = {"project": [], "one empty DAG": []}
    folders = {"project": PROJECT_ROOT / "dags", "one empty DAG": empty}
    read = {}
    for number in range(ROUNDS):
        for name, folder in folders.items():  # in turn: a machine may become slower
            read[name] = read_dags(folder, tmp_path / f"home_{number}")
            assert read[name]["errors"] == {}
            found[name].append(read[name]["seconds"])
    ours, bare = (median(found[name]) for name in folders)
    dags = len(read["project"]["dags"])
    with capsys.disabled():
        print(f"\n{dags} DAGs: {ours:.2f} s of the processor (target {TARGET_SECONDS:.0f} s)")
        print(f"one empty DAG: {bare:.2f} s; ratio {ours / bare:.1f}, {ours / dags:.3f} s a DAG")
