"""The DAGs as Airflow reads them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from dags.wiring import DOC_HEADINGS, VERBS, dag_arguments
from loaders.contracts.model import load_contracts
from loaders.contracts.schedule import WAITS
from loaders.settings import PROJECT_ROOT
from tests.dags.conftest import read_dags

CONTRACTS = load_contracts()
DATASETS = [dataset for contract in CONTRACTS for dataset in contract.datasets]
#: Slow to import, or connecting to something: only tasks may import these.
HEAVY = {"asyncssh", "boto3", "dbt", "great_expectations", "pandas"}
DAG_IDS = {
    *(f"import_{contract.source}" for contract in CONTRACTS),
    "await_deliveries",
    "build_and_publish",
    "maintain_retention",
}


def test_every_file_is_read_without_error(bag: dict[str, Any]) -> None:
    assert bag["errors"] == {}


def test_there_is_a_dag_for_each_contract_and_no_other(dags: dict[str, Any]) -> None:
    assert set(dags) == DAG_IDS


def test_reading_imports_nothing_heavy(bag: dict[str, Any]) -> None:
    assert HEAVY.isdisjoint(bag["imported"])


def test_the_import_guard_sees_heavy_imports(tmp_path: Path) -> None:
    for package in HEAVY:
        (tmp_path / package).mkdir()
        _dag_file(tmp_path / package, f"import {package}")
    assert set(read_dags(tmp_path, tmp_path / "home")["imported"]) >= HEAVY


#: Lines of a DAG file that the guard has to catch.
REACHING_OUT = (
    "import socket; socket.create_connection(('127.0.0.1', 9))",
    "import socket; socket.getaddrinfo('agency.example', 443)",
    "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
    "import httpx; httpx.get('http://127.0.0.1:9', trust_env=False)",
    "import sqlite3; sqlite3.connect(':memory:')",
    "import subprocess; subprocess.run(['dbt', 'ls'])",
    "import os; os.system('true')",
    "from loaders.stages.build import dbt; dbt(['ls'])",
    "from loaders.postgres.database import Role, connect; connect(Role.LOADER)",
    "import psycopg; psycopg.connect('host=127.0.0.1 port=9 connect_timeout=1')",
    "import psycopg2; psycopg2.connect('host=127.0.0.1 port=9 connect_timeout=1')",
)


def test_the_guard_sees_what_reaches_outside(tmp_path: Path) -> None:
    for number, line in enumerate(REACHING_OUT):
        (tmp_path / f"folder_{number}").mkdir()
        _dag_file(tmp_path / f"folder_{number}", line)
    home = {"NQ42_HOME": str(tmp_path / "nq42"), "NQ42_DATABASE_URL": ""}
    errors = read_dags(tmp_path, tmp_path / "home", **home)["errors"]
    caught = {
        int(Path(file).parent.name.removeprefix("folder_"))
        for file, error in errors.items()
        if "reached outside while it was read" in error
    }
    assert [line for n, line in enumerate(REACHING_OUT) if n not in caught] == []


@pytest.mark.parametrize("dag_id", sorted(DAG_IDS))
def test_common_arguments(dag_id: str, dags: dict[str, Any]) -> None:
    dag = dags[dag_id]
    assert dag_id.partition("_")[0] in VERBS
    assert dag["timezone"] == "Asia/Ho_Chi_Minh"
    assert dag["start"] == "2023-12-31T17:00:00+00:00"  # 1 January 2024 there
    assert dag["catchup"] is False
    assert "nq42" in dag["tags"]
    assert dag["description"]
    for task_id, task in dag["tasks"].items():
        assert task["has_callback"], task_id
        assert task["owner"] not in ("", "airflow"), task_id
        assert "," not in task["owner"], task_id  # Airflow's page would make two owners of it


@pytest.mark.parametrize("dag_id", sorted(DAG_IDS))
def test_documentation_has_the_four_headings_with_text(dag_id: str, dags: dict[str, Any]) -> None:
    parts = re.split(r"^### (.+)$", dags[dag_id]["doc_md"], flags=re.MULTILINE)
    assert tuple(parts[1::2]) == DOC_HEADINGS
    assert all(len(text.strip()) > 40 for text in parts[2::2])


def test_an_unknown_verb_is_refused() -> None:
    with pytest.raises(ValueError, match="'process' is no verb"):
        dag_arguments(verb="process", subject="x", owner="x", tags=[])


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.source)
def test_an_import_runs_by_its_contract_for_the_month_before(
    contract: Any, dags: dict[str, Any]
) -> None:
    dag = dags[f"import_{contract.source}"]
    assert dag["timetable"] == "CronPartitionTimetable"
    assert (dag["cron"], dag["run_offset"], dag["key_format"]) == (contract.cron, -1, "%Y-%m")


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.source)
def test_a_source_is_one_task_and_announces_its_month_whatever_happened(
    contract: Any, dags: dict[str, Any]
) -> None:
    tasks = dags[f"import_{contract.source}"]["tasks"]
    assert {name: task["upstream"] for name, task in tasks.items()} == {
        "take": [],
        "take_one": ["take"],
        "conclude": ["take", "take_one"],
    }
    assert tasks["take_one"]["is_mapped"]
    assert tasks["conclude"]["is_teardown"]
    # `take` announces by an alias, where nothing is left to a task that follows.
    assert {name: task["outlets"] for name, task in tasks.items()} == {
        "take": [f"taken_{contract.source}"],
        "take_one": [],
        "conclude": [f"nq42://intake/{contract.source}"],
    }


def test_a_release_waits_for_every_source_and_follows_what_comes_later(
    dags: dict[str, Any],
) -> None:
    concluded = {"all": sorted(f"nq42://intake/{contract.source}" for contract in CONTRACTS)}
    dag, later = dags["build_and_publish"], dags["await_deliveries"]
    assert dag["timetable"] == later["timetable"] == "PartitionedAssetTimetable"
    assert later["assets"] == concluded
    assert dag["assets"] == {"any": ["nq42://arrived/late", concluded]}
    assert later["tasks"]["take"]["outlets"] == ["nq42://arrived/late"]
    assert later["tasks"]["take"]["is_mapped"]
    assert {name: task["upstream"] for name, task in dag["tasks"].items()} == {
        "build": [],
        "gate": ["build"],
        "approve": ["gate"],
        "publish": ["approve", "gate"],
        "export": ["publish"],
    }
    # Runs when the gate passed, though nobody was asked; not when there is nothing new.
    assert dag["tasks"]["publish"]["trigger_rule"] == "none_failed_min_one_success"
    assert dag["max_active_runs"] == 1  # releases come one after the other


def test_only_unreachable_things_are_tried_again(dags: dict[str, Any]) -> None:
    for dag_id, dag in dags.items():
        for task_id, task in dag["tasks"].items():
            policy = task["retry_policy"]
            assert policy["default"] == "fail", (dag_id, task_id)
            (rule,) = policy["rules"]
            kinds = ("ConnectionError", "TimeoutError", "ChildProcessError")
            gone = [*(f"builtins.{kind}" for kind in kinds), "psycopg.OperationalError"]
            assert rule["exception"] == gone, (dag_id, task_id)


def test_with_one_free_worker_releases_go_first(dags: dict[str, Any]) -> None:
    """No task waits in a worker for another one, so with these weights two workers suffice."""
    weights = {
        dag_id: {tuple(task["weight"]) for task in dag["tasks"].values()}
        for dag_id, dag in dags.items()
    }
    # Absolute: a dataset that many others wait for does not go before a release.
    assert weights.pop("build_and_publish") == {("absolute", 100)}
    assert weights.pop("await_deliveries") == {("absolute", 10)}
    assert set.union(*weights.values()) == {("absolute", 1)}


def test_what_waits_for_long_keeps_no_later_month_out(dags: dict[str, Any]) -> None:
    """A run may stand until its last day of waiting; there is room for the months after it."""
    longest = max(WAITS["annual"]["wait_days"], *(d.extension.schedule.wait_days for d in DATASETS))
    months = -(-(28 + longest) // 28)
    assert dags["await_deliveries"]["max_active_runs"] >= 2 * months
    for contract in CONTRACTS:
        assert dags[f"import_{contract.source}"]["max_active_runs"] >= 2


def test_schedules_can_start_later(tmp_path: Path) -> None:
    later = "2026-05-01T00:00:00+00:00"
    read = read_dags(PROJECT_ROOT / "dags", tmp_path, NQ42_SCHEDULES_START=later)
    assert {dag["start"] for dag in read["dags"].values()} == {later}


def _dag_file(folder: Path, line: str) -> None:
    (folder / "example.py").write_text(
        textwrap.dedent(f"""\
        from airflow.sdk import DAG
        {line}
        """),
        encoding="utf-8",
    )
