"""Two installations: one that is disturbed, under a real Airflow, and one that is left alone."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from loaders import airflow_service
from loaders.airflow_api import AirflowApi, AirflowApiError, Run, TaskRun
from loaders.audit import verify
from loaders.postgres.database import Role, connect
from loaders.settings import get_settings
from loaders.stages.setup import prepare_warehouse
from tests.end_to_end.conftest import content

#: What says by which batch or when, not what: the same for a list sent in another order.
IDENTITY = {
    "fct_kpi_value": ("denominator_vintage",),
    "fct_data_quality": ("batch_id", "sha256", "serving_batch_id", "received_at"),
    "release_note": ("candidate_id", "built_at"),
}
#: Only what is asked for is run, not last month's schedule.
SCHEDULES_START = dt.datetime.now(dt.UTC)
AWAY = (httpx.HTTPError, AirflowApiError, airflow_service.AirflowServiceError)


@dataclass(frozen=True)
class Installation:
    """Where one installation lives; `as_current` makes the process work on it."""

    variables: dict[str, str]

    @property
    def home(self) -> Path:
        return Path(self.variables["NQ42_HOME"])

    @contextmanager
    def as_current(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("NQ42_DATABASE_URL", raising=False)
            for name, value in self.variables.items():
                patch.setenv(name, value)
            get_settings.cache_clear()
            yield
        get_settings.cache_clear()


def restart() -> float:
    """What an operator does after a crash, `nq42 up`, and nothing else; the seconds it took."""
    started = time.monotonic()
    prepare_warehouse()
    airflow_service.up(get_settings(), schedules_start=SCHEDULES_START)
    return time.monotonic() - started


def marts() -> dict[str, list[str]]:
    """What readers see: every mart as sorted text, without what differs from list to list."""
    found = {}
    with connect(Role.PUBLISHER) as connection:
        names = connection.execute(
            "select tablename from pg_tables where schemaname = 'marts'"
            " and tablename not in ('release_checksum', 'release_info')"
        ).fetchall()
        for (name,) in names:
            rows = connection.execute(
                f'select (to_jsonb(t) - %s::text[])::text from marts."{name}" as t',
                (list(IDENTITY.get(name, ())),),
            )
            found[name] = sorted(text for (text,) in rows)
    return found


def rows() -> dict[str, Any]:
    """What was taken in: raw, quarantine, receipts and what is accepted, each row once."""
    with connect(Role.ADMIN) as connection:
        receipts = connection.execute(
            "select batch_id, source, dataset, period, sha256 from audit.receipt order by 1"
        ).fetchall()
        accepted = connection.execute(
            "select source, dataset, period, batch_id, rows_loaded from audit.batch_accepted"
            " order by 1, 2, 3"
        ).fetchall()
        landed = connection.execute(
            "select batch_id from audit.batch_result where (stage, status) = ('land', 'landed')"
            " order by 1"
        ).fetchall()
    return {
        **{f"raw.{name}": lines for name, lines in content("raw").items()},
        "quarantine": content("quarantine")["row"],
        "receipts": receipts,
        "accepted": accepted,
        "landed": landed,
    }


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """The names under which the two differ, with the numbers of rows."""
    return [
        f"{name}: {len(found.get(name, []))} rows, undisturbed {len(expected.get(name, []))}"
        for name in sorted({*found, *expected})
        if found.get(name) != expected.get(name)
    ]


def leftovers(landing: Path) -> list[str]:
    """What a killed process may have left that would be in somebody's way."""
    with connect(Role.ADMIN) as connection:
        found = [
            f"{what}: {name}"
            for what, name in connection.execute(
                """
                select 'table', schemaname || '.' || tablename from pg_tables
                where schemaname in ('candidate', 'stage')
                union all
                -- Airflow's scheduler has a lock of its own, in its own database.
                select 'lock', objid::text from pg_locks
                where
                    locktype = 'advisory'
                    and database = (select oid from pg_database where datname = current_database())
                union all
                select 'session', pid || ' ' || state || ' ' || left(query, 80)
                from pg_stat_activity
                where
                    datname = current_database() and backend_type = 'client backend'
                    and pid <> pg_backend_pid() and usename <> 'nq42_bi'
                """
            ).fetchall()
        ]
        found += [f"audit: {finding}" for finding in verify(connection)]
    work = landing / ".work"
    found += [f"file: {path.name}" for path in work.iterdir()] if work.is_dir() else []
    return found


def release_ids() -> list[str]:
    """The published releases, oldest first."""
    with connect(Role.AUDITOR) as connection:
        found = connection.execute(
            "select release_id from publication.release order by release_seq"
        )
        return [release_id for (release_id,) in found]


class Airflow:
    """The API of an Airflow that may be away at any moment."""

    def __init__(self) -> None:
        self._api: AirflowApi | None = None

    def start(self, dag_id: str, month: str, run_id: str) -> Run | None:
        """The run of that name, started unless it is there; None while Airflow is away."""
        try:
            for run in self.api.runs(dag_id):
                if run.run_id == run_id:
                    return run
            return self.api.trigger(dag_id, month, run_id)
        except AWAY:
            return self._lost()

    def look(self, runs: list[Run]) -> list[tuple[Run, list[TaskRun]]] | None:
        """State of runs and tasks; None while Airflow is away."""
        try:
            found = self.api.tasks_of(runs)
            return found if len(found) == len(runs) else None
        except AWAY:
            return self._lost()

    @property
    def api(self) -> AirflowApi:
        if self._api is None:
            service = airflow_service.status(get_settings())
            if service is None:
                raise airflow_service.AirflowServiceError("away")
            self._api = AirflowApi(service)
        return self._api

    def _lost(self) -> None:
        self._api = None


def remove(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
