"""`build`: dbt turns raw into candidate marts, beside the published ones."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from loaders import audit
from loaders.contracts.model import load_contracts
from loaders.log import get_logger, log_context
from loaders.periods import check_month, months_of
from loaders.postgres.database import Role, connect, lasting, role_url
from loaders.publication import derived_queries, read_lineage, tables
from loaders.settings import PROJECT_ROOT, get_settings
from loaders.stages.approve import awaited_period
from loaders.stages.dbt_results import failure, log_models, model_runs
from loaders.stages.records import BuildResult

DBT_PROJECT = PROJECT_ROOT / "dbt_project"
#: What decides how a figure is computed: a change here recomputes every month.
CODE_FOLDERS = ("models", "macros", "seeds")
CODE_SUFFIXES = {".sql", ".yml", ".csv"}
#: dbt's own command, in a process that does not outlive the one that asked for it.
DBT = """
from loaders.processes import end_with
end_with({parent})
from dbt.cli.main import cli
cli()
"""
#: Any fixed number: builds of one warehouse wait for each other on it.
LOCK_KEY = 4_220_260_004
#: In the folder of dbt's own files: what became of each node of its last command.
RESULTS = "run_results.json"
#: Audit event: these seeds are in schema reference.
SEEDED = "reference.seeded"
#: Audit events around dbt: what the candidate schema holds is whole only after the second.
STARTED, FINISHED = "build.started", "build.finished"


class BuildError(RuntimeError):
    """dbt failed; the message names each failing model or test. The candidate is gone."""


class BuildInterrupted(ChildProcessError):
    """dbt was killed: it may well come to its end when it is started again."""


def build(period: str, run_id: str = "manual") -> BuildResult:
    """Compute the candidate of a month, or of the one published or awaited when that is later.

    Only months whose accepted rows or whose code changed since they were last computed are
    recomputed. When nothing changed since the published release the result is ``unchanged``.

    Raises:
        BuildError: a model or a test failed.
        BuildInterrupted: dbt was killed.
        psycopg.OperationalError: the database was away meanwhile.
    """
    check_month(period)
    with log_context(period=period, stage="build", run_id=run_id), alone():
        return _build(period)


@contextmanager
def alone() -> Iterator[None]:
    """One build at a time: a task that is taken for dead may still be at work on the candidate.

    The lock ends with the process that holds it.
    """
    with lasting(role_url(Role.PUBLISHER)) as connection:
        connection.execute("select pg_advisory_lock(%s)", (LOCK_KEY,))
        yield


def _build(period: str) -> BuildResult:
    started = time.monotonic()
    with connect(Role.PUBLISHER) as connection:
        published_period, published = _published(connection)
        # A restated month that lies before the published one gives a new release of the
        # published month: readers never go back in time. Nor does it take the place of a later
        # month that waits for its approval.
        period = max(period, published_period, awaited_period(connection))
        prints = month_fingerprints(connection, period)
        # What comes into raw from now on belongs to the next candidate.
        in_raw = connection.execute("select result_id from audit.batch_accepted order by 1")
        acceptances = [result_id for (result_id,) in in_raw.fetchall()]
        if not prints:
            raise BuildError(
                f"nothing is accepted up to {period}: land, load and gate a source first"
            )
        stale = _stale(connection, prints)
        fingerprint = _digest("\n".join(f"{month} {value}" for month, value in prints.items()))
        candidate_id = f"{period}-{fingerprint[:12]}"
        if published and published.partition(".")[0] == candidate_id:
            seconds = time.monotonic() - started
            return BuildResult(published, period, "unchanged", (), fingerprint, seconds)
        # Back to inputs that were released before, such as a setting taken back: a new release.
        earlier = _releases_of(connection, candidate_id)
        if earlier:
            candidate_id = f"{candidate_id}.{earlier + 1}"
    if _is_finished(candidate_id):
        # A kill after the build, before the release: the candidate stands, whole and tested.
        seconds = time.monotonic() - started
        return BuildResult(candidate_id, period, "built", (), fingerprint, seconds)
    with connect(Role.PUBLISHER) as connection:
        audit.append(connection, STARTED, {"candidate_id": candidate_id})
    try:
        model_seconds = _run_dbt(period, stale, candidate_id)
    except (BuildError, BuildInterrupted):
        drop_candidate()
        raise
    computed = {month: prints[month] for month in stale}
    _note_finished(candidate_id, computed, acceptances, model_seconds)
    seconds = time.monotonic() - started
    get_logger().info("build", candidate_id=candidate_id, periods=stale, seconds=seconds)
    return BuildResult(candidate_id, period, "built", tuple(stale), fingerprint, seconds)


def _note_finished(
    candidate_id: str,
    computed: dict[str, str],
    acceptances: list[int],
    model_seconds: dict[str, float],
) -> None:
    """The candidate is whole, and these months were computed from these inputs."""
    noted = {
        "candidate_id": candidate_id,
        "acceptances": acceptances,
        "lineage": _lineage(),
        "derived": derived_queries(get_settings().home / "dbt" / "manifest.json"),
        "model_seconds": model_seconds,
    }
    with connect(Role.PUBLISHER) as connection:
        # The release gate's rules, which join the marts, are planned by these figures.
        for table in tables(connection, "candidate"):
            connection.execute(sql.SQL("analyze {}").format(sql.Identifier("candidate", table)))
        audit.append(connection, FINISHED, noted)
        for month, fingerprint in computed.items():
            audit.insert_vouched(
                connection,
                audit.BUILD_EVENT,
                {"period": month, "fingerprint": fingerprint, "candidate_id": candidate_id},
            )


def _lineage() -> dict[str, Any]:
    """What every KPI was made of, as dbt itself knows it after the build."""
    settings = get_settings()
    return read_lineage(
        settings.home / "dbt" / "manifest.json",
        DBT_PROJECT,
        {
            "population_basis": settings.population_basis,
            "small_count_threshold": settings.small_count_threshold,
        },
    )


def _is_finished(candidate_id: str) -> bool:
    """True when the candidate schema holds this candidate and its build came to its end.

    The newest build event decides: a later build that did not finish left something else.
    """
    with connect(Role.PUBLISHER) as connection:
        row = connection.execute(
            "select kind, payload ->> 'candidate_id' from audit.event where kind in (%s, %s)"
            " order by seq desc limit 1",
            (STARTED, FINISHED),
        ).fetchone()
        exists = connection.execute("select to_regclass('candidate.release_note')").fetchone()
    return row == (FINISHED, candidate_id) and bool(exists and exists[0])


def month_fingerprints(connection: psycopg.Connection, as_of: str) -> dict[str, str]:
    """Month → hash over the code and the rows in raw that the month is computed from.

    Rows are known by the id that their acceptance gave them: a batch that was judged again has
    another one, unless it left the same rows. They are those of every period that ends with the
    month, and of the latest full year: annual figures hold until the next ones come.
    """
    rows: dict[str, list[str]] = {}
    for period, rows_id in connection.execute(
        "select period, rows_id from audit.batch_accepted order by source, dataset, period"
    ):
        rows.setdefault(period, []).append(rows_id)
    ends = {period: months_of(period)[1] for period in rows}
    code = code_fingerprint()
    prints = {}
    for month in sorted(set(ends.values())):
        if month > as_of:
            continue
        year = month[:4] if month.endswith("-12") else str(int(month[:4]) - 1)
        inputs = [
            rows_id
            for period in sorted(rows)
            if ends[period] == month or period == year
            for rows_id in rows[period]
        ]
        prints[month] = _digest(f"{code}|{','.join(inputs)}")
    return prints


def code_fingerprint() -> str:
    """Hash over models, macros and seeds, and over the settings that change a figure."""
    settings = get_settings()
    return _digest(
        f"{settings.small_count_threshold}|{settings.population_basis}|"
        f"{hash_folders(*CODE_FOLDERS)}"
    )


def hash_folders(*folders: str) -> str:
    """Hash over names and contents of the project's files in these folders."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((DBT_PROJECT / folder).rglob("*")):
            if path.suffix in CODE_SUFFIXES:
                digest.update(path.relative_to(DBT_PROJECT).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _stale(connection: psycopg.Connection, prints: dict[str, str]) -> list[str]:
    rows = connection.execute(
        "select distinct on (period) period, fingerprint from audit.kpi_build"
        " order by period, id desc"
    ).fetchall()
    built = dict(rows)
    return [month for month, value in prints.items() if built.get(month) != value]


def _releases_of(connection: psycopg.Connection, candidate_id: str) -> int:
    """How many releases were made of the same inputs."""
    row = connection.execute(
        "select count(*) from publication.release where split_part(candidate_id, '.', 1) = %s",
        (candidate_id,),
    ).fetchone()
    return row[0] if row else 0


def _published(connection: psycopg.Connection) -> tuple[str, str | None]:
    """Month and candidate that readers see now; ("", None) before the first release."""
    exists = connection.execute("select to_regclass('marts.release_note')").fetchone()
    if not exists or exists[0] is None:
        return "", None
    row = connection.execute("select as_of_period, candidate_id from marts.release_note").fetchone()
    return row or ("", None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def seed_reference() -> bool:
    """Load and test geography and programme (dbt seeds), if they are not those loaded last.

    Returns:
        True when they were loaded, False when schema reference holds them already.

    Raises:
        BuildError: a seed does not load or breaks one of its tests.
    """
    seeds = hash_folders("seeds")
    with connect(Role.PUBLISHER) as connection:
        row = connection.execute(
            "select payload ->> 'sha256' from audit.event where kind = %s"
            " order by seq desc limit 1",
            (SEEDED,),
        ).fetchone()
    if row and row[0] == seeds:
        return False
    # Cautious: tests that look at a seed and at a model belong to the model's build.
    dbt(["build", "--select", "path:seeds", "--indirect-selection", "cautious", "--full-refresh"])
    with connect(Role.PUBLISHER) as connection:
        audit.append(connection, SEEDED, {"sha256": seeds})
    return True


def build_settings(period: str, months: list[str], candidate_id: str) -> dict[str, Any]:
    """What differs from build to build: the month of the release, the months to compute."""
    return {
        "as_of_period": period,
        "periods": months,
        "candidate_id": candidate_id,
        "small_count_threshold": get_settings().small_count_threshold,
        "delivery_due_days": {
            dataset.raw_table: dataset.extension.schedule.due_day
            for contract in load_contracts()
            for dataset in contract.datasets
        },
    }


def _run_dbt(period: str, stale: list[str], candidate_id: str) -> dict[str, float]:
    """Seconds of each model."""
    seed_reference()
    drop_candidate()
    try:
        dbt(
            [
                "build",
                "--select",
                "path:models",
                "path:tests",
                "--exclude-resource-type",
                "unit_test",
            ],
            build_settings(period, stale, candidate_id),
        )
    finally:  # which models ran, and how long, is asked most when one failed
        runs = model_runs(get_settings().home / "dbt" / RESULTS)
        log_models(runs)
    return {run.name: run.seconds for run in runs}


def dbt(
    arguments: list[str], settings: dict[str, Any] | None = None, target: Path | None = None
) -> None:
    """Run dbt in a process of its own: its logging and its globals stay out of ours.

    Args:
        settings: what differs from build to build; see the macro `build_setting`.
        target: folder of dbt's own files, that of builds when left out.

    Raises:
        BuildError: naming each node that failed.
        BuildInterrupted: dbt was killed.
    """
    target = target or get_settings().home / "dbt"
    target.mkdir(parents=True, exist_ok=True)
    results = target / RESULTS
    results.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-c",
        DBT.format(parent=os.getpid()),
        *arguments,
        # It decides which models are read, so the project is parsed for it.
        "--vars",
        json.dumps({"population_basis": get_settings().population_basis}),
        "--project-dir",
        str(DBT_PROJECT),
        "--profiles-dir",
        str(DBT_PROJECT),
        "--target-path",
        str(target),
        "--log-path",
        str(get_settings().home / "logs"),
    ]
    done = subprocess.run(
        command,
        env=dbt_environment() | {"NQ42_BUILD_SETTINGS": json.dumps(settings or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode < 0:
        raise BuildInterrupted(f"dbt was ended by signal {-done.returncode}")
    if done.returncode != 0:
        raise BuildError(failure(results, done.stdout + done.stderr))


def dbt_environment() -> dict[str, str]:
    """Environment of a dbt process: the connection, no telemetry, no colours."""
    address = role_url(Role.TRANSFORMER)
    return os.environ | {
        "NQ42_DBT_HOST": address.host or "127.0.0.1",
        "NQ42_DBT_PORT": str(address.port or 5432),
        "NQ42_DBT_USER": address.username or "",
        "NQ42_DBT_PASSWORD": str(address.password or ""),
        "NQ42_DBT_DBNAME": address.database or "",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "DBT_USE_COLORS": "false",
    }


def drop_candidate() -> None:
    """Remove what an unfinished build left in the candidate schema."""
    with connect(Role.PUBLISHER) as connection:
        tables = connection.execute(
            "select tablename from pg_tables where schemaname = 'candidate' order by 1"
        ).fetchall()
        for (table,) in tables:
            connection.execute(
                sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(
                    sql.Identifier("candidate", table)
                )
            )
