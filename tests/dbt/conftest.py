"""dbt against a real server: the project, the raw tables, and a few rows made by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loaders.contracts.derive import raw_table_ddl
from loaders.contracts.model import load_contracts
from loaders.postgres.database import Role, connect
from loaders.settings import PROJECT_ROOT

PROJECT = PROJECT_ROOT / "dbt_project"


@dataclass(frozen=True)
class DbtResult:
    """What one dbt command did: `results` maps a node's name to its status."""

    returncode: int
    output: str
    results: dict[str, str]
    compiled: list[str]


@dataclass(frozen=True)
class Dbt:
    """Runs dbt commands on the test warehouse."""

    environment: dict[str, str]
    target: Path

    def __call__(self, *arguments: str, fails: bool = False, **variables: Any) -> DbtResult:
        """Run one command; its exit code must be 0, or not 0 with `fails`."""
        (self.target / "run_results.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", "dbt.cli.main", *arguments, "--project-dir", str(PROJECT)]
        command += ["--profiles-dir", str(PROJECT), "--vars", json.dumps(variables)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        output = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, output
        results, compiled = {}, []
        if (self.target / "run_results.json").exists():
            written = json.loads((self.target / "run_results.json").read_text(encoding="utf-8"))
            for result in written["results"]:
                results[result["unique_id"].split(".")[2]] = result["status"]
                compiled.append(result.get("compiled_code") or "")
        return DbtResult(done.returncode, output, results, compiled)


@pytest.fixture(scope="module")
def dbt(warehouse: Any, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """dbt on an empty warehouse whose raw tables exist."""
    with connect(Role.LOADER) as connection:
        for contract in load_contracts():
            for dataset in contract.datasets:
                for statement in raw_table_ddl(dataset):
                    connection.execute(statement)
    target = tmp_path_factory.mktemp("dbt")
    environment = os.environ | {
        "NQ42_DBT_HOST": str(warehouse.url.host),
        "NQ42_DBT_PORT": str(warehouse.url.port),
        "NQ42_DBT_USER": str(warehouse.url.username),
        "NQ42_DBT_PASSWORD": str(warehouse.url.password or ""),
        "NQ42_DBT_DBNAME": str(warehouse.url.database),
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target / "logs"),
        "DO_NOT_TRACK": "1",
    }
    return Dbt(environment, target)
