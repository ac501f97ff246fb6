"""One province, three months, all stages: built once, looked at by every test here."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL

from loaders.contracts.model import load_contracts
from loaders.postgres.database import Role, connect
from loaders.report import write_release_report
from loaders.sample import generate
from loaders.stages.approve import approve
from loaders.stages.build import build
from loaders.stages.gate import gate_release
from loaders.stages.intake import IntakeResult, import_source
from loaders.stages.publish import publish
from loaders.stages.records import PublishResult
from loaders.stages.setup import prepare_warehouse
from tests.conftest import Warehouse, empty_warehouse

MONTHS = ("2024-12", "2025-06", "2025-12")
SCALE, SEED = 0.01, 7
CellKey = tuple[str, ...]


def release(period: str, *, is_disturbed: bool = False) -> PublishResult:
    """Build, judge and publish one month; a disturbed one waits until somebody answers for it."""
    built = build(period)
    if built.status == "built":
        judged = gate_release(built.candidate_id)
        assert judged.status == ("waiting" if is_disturbed else "accepted"), judged.reason
        if is_disturbed:
            approve(
                built.candidate_id,
                by="Nguyễn Thị Lan",
                reason="the missing lists follow next month",
                account="test",
            )
    return publish(built.candidate_id, after_publish=write_release_report)


def import_month(period: str) -> list[IntakeResult]:
    return [r for contract in load_contracts() for r in import_source(contract.source, period)]


def read_truth(folder: Path) -> dict[CellKey, dict[str, str]]:
    """KPI, series, period, boundary, level, unit, breakdown, value → the row of truth.csv."""
    with (folder / "truth.csv").open(encoding="utf-8") as stream:
        return {tuple(list(row.values())[:8]): row for row in csv.DictReader(stream)}


@dataclass(frozen=True)
class Province:
    """A published sample province with what it knows of itself."""

    warehouse: Warehouse
    truth_dir: Path
    releases: list[PublishResult]

    def truth(self) -> dict[CellKey, dict[str, str]]:
        return read_truth(self.truth_dir)

    def defects(self) -> list[dict[str, str]]:
        with (self.truth_dir / "defects.csv").open(encoding="utf-8") as stream:
            return list(csv.DictReader(stream))


# Here and not beside `warehouse`: a package fixture lives as long as the folder of its conftest.
@pytest.fixture(scope="package")
def package_warehouse(
    database_server: URL, _template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    """Like `warehouse`, kept for all modules of a folder."""
    with empty_warehouse(database_server, _template, tmp_path_factory.mktemp("home")) as empty:
        yield empty


@pytest.fixture(scope="package")
def province(package_warehouse: Warehouse) -> Iterator[Province]:
    """Three months through every stage, without an orchestrator."""
    truth_dir = package_warehouse.home / "truth"
    generate(list(MONTHS), SCALE, SEED, package_warehouse.inbox, truth_dir)
    prepare_warehouse()
    releases = []
    for month in MONTHS:
        outcomes = import_month(month)
        assert {outcome.status for outcome in outcomes} == {"accepted"}
        releases.append(release(month))
    yield Province(package_warehouse, truth_dir, releases)
    shutil.rmtree(truth_dir, ignore_errors=True)


def tables(schema: str) -> list[str]:
    with connect(Role.ADMIN) as connection:
        rows = connection.execute(
            "select tablename from pg_tables where schemaname = %s order by 1", (schema,)
        ).fetchall()
    return [name for (name,) in rows]


#: Columns that differ from run to run without any difference in the data.
RUN_COLUMNS = ("at", "built_at", "received_at", "run_id")


def content(schema: str) -> dict[str, list[Any]]:
    """Every row of every table of a schema as sorted text, run ids and times aside."""
    with connect(Role.ADMIN) as connection:
        return {
            table: sorted(
                str(row[0])
                for row in connection.execute(
                    f'select (to_jsonb(t) - %s::text[])::text from {schema}."{table}" t',
                    (list(RUN_COLUMNS),),
                )
            )
            for table in tables(schema)
        }
