"""Backup and restore of a published warehouse, and everything that must not pass."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import URL

from loaders import audit
from loaders.files import sha256_of
from loaders.operations import backup as backup_module
from loaders.operations.backup import _OWNERS, back_up
from loaders.operations.manifest import (
    BackupError,
    Manifest,
    StoredFile,
    read_verified,
    write_manifest,
)
from loaders.operations.restore import EVENT, restore
from loaders.operations.rights import ROLES, compare
from loaders.postgres import programs
from loaders.postgres.database import Role, connect, conninfo
from loaders.postgres.programs import ProgramError, find_programs
from loaders.settings import PROJECT_ROOT, get_settings
from loaders.stages.installation import record_installation
from loaders.stages.intake import import_dataset
from loaders.stages.publish import publish
from tests.candidates import make_candidate
from tests.conftest import TEST_KEY, Warehouse
from tests.integration.admins import plain_admin
from tests.integration.commands import nq42
from tests.integration.members import DATASET, SOURCE, deliver, row
from tests.marts import marts_as_csv


@dataclass(frozen=True)
class Made:
    """A backup, and what the warehouse held when it was made."""

    folder: Path
    manifest: Manifest
    marts: dict[str, bytes]
    raw: list[tuple[Any, ...]]
    owners: list[tuple[Any, ...]]


def take(warehouse: Warehouse, month: str, numbers: range) -> None:
    period = f"{month[3:]}-{month[:2]}"
    deliver(warehouse, [row(n, month=month) for n in numbers], period)
    assert import_dataset(SOURCE, DATASET, period).status == "accepted"


@pytest.fixture(scope="module")
def filled(ready: Warehouse) -> Warehouse:
    """A published month, and a key on record."""
    with connect(Role.LOADER) as connection:
        record_installation(connection)
    take(ready, "06/2025", range(1, 9))
    make_candidate("2025-06-one", [{}, {"unit_code": "21028", "value": 7}])
    publish("2025-06-one")
    return ready


@pytest.fixture(scope="module")
def made(filled: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("backups") / "first"
    manifest = back_up(folder)
    return Made(folder, manifest, marts_as_csv(), raw_rows(), owners())


@pytest.fixture
def place(made: Made, empty_database: URL) -> URL:
    """An empty database and home folder to restore into; settings point to them."""
    return empty_database


def raw_rows() -> list[tuple[Any, ...]]:
    with connect(Role.TRANSFORMER) as connection:
        return connection.execute(
            f"select t::text from raw.{SOURCE}__{DATASET} as t order by 1"
        ).fetchall()


def owners() -> list[tuple[Any, ...]]:
    with connect(Role.ADMIN) as connection:
        return connection.execute(_OWNERS, (list(ROLES),)).fetchall()


def findings() -> list[str]:
    with connect(Role.AUDITOR) as connection:
        return [found.what for found in audit.verify(connection, None, get_settings().landing)]


def is_empty() -> bool:
    """Neither a schema of the warehouse nor a landed file."""
    with connect(Role.ADMIN) as connection:
        found = connection.execute(
            "select 1 from pg_namespace where nspname in ('audit', 'raw', 'marts')"
        ).fetchone()
    landing = get_settings().landing
    left = [*landing.parent.glob(f"{landing.name}*")]
    return found is None and not [path for folder in left for path in folder.rglob("*")]


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    """A backup that a test may damage."""
    return Path(shutil.copytree(made.folder, tmp_path / "copy"))


# --- there and back -----------------------------------------------------------------------------


def test_what_comes_back_is_what_was_there_and_the_next_month_goes_on(
    made: Made, place: URL
) -> None:
    held = restore(made.folder)
    assert held == made.manifest
    assert findings() == []
    assert marts_as_csv() == made.marts and made.marts
    assert raw_rows() == made.raw and len(made.raw) == 8
    assert owners() == made.owners and made.owners
    with connect(Role.ADMIN) as connection:
        assert compare(connection) == ([], [])
    with connect(Role.AUDITOR) as connection:
        last = connection.execute(
            "select kind, payload from audit.event order by seq desc limit 1"
        ).fetchone()
    assert last is not None and last[0] == EVENT
    assert last[1]["chain_head"] == made.manifest.chain_head

    take(Warehouse(get_settings(), place), "07/2025", range(3, 12))
    make_candidate("2025-07-one", [{}, {"period": "2025-07"}], period="2025-07")
    assert publish("2025-07-one").release_id == "2025-07.1"
    assert findings() == []


def test_an_admin_login_without_superuser_rights_is_enough(
    made: Made, database_server: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NQ42_HOME", str(tmp_path / "home"))
    with plain_admin(database_server):
        restore(made.folder)
        assert (findings(), owners()) == ([], made.owners)
        back_up(tmp_path / "again")
        restore(tmp_path / "again", replace=True)
        assert (findings(), marts_as_csv()) == ([], made.marts)


def test_only_the_owner_may_read_a_backup_and_the_key_is_not_in_it(made: Made) -> None:
    for path in (made.folder, *made.folder.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
        if path.is_file():
            assert TEST_KEY.encode() not in path.read_bytes()
    assert made.manifest.release_id == "2025-06.1"
    landed = [file.path for file in made.manifest.files if file.path.startswith("landing/")]
    assert len(landed) == 1


def test_the_commands_say_loudly_what_is_not_there(
    filled: Warehouse, tmp_path: Path, empty_database: URL
) -> None:
    with back_in(filled):
        done = nq42("backup", str(tmp_path / "b"))
    assert done.returncode == 0, done.stderr
    assert "The pseudonym key is NOT in the backup" in done.stdout
    assert "delete it when retention ends" in done.stdout
    back = nq42("restore", str(tmp_path / "b"))
    assert back.returncode == 0, back.stderr
    assert "release 2025-06.1" in back.stdout


def test_a_folder_that_is_there_is_not_written_over(made: Made, filled: Warehouse) -> None:
    with pytest.raises(BackupError, match="is there already"):
        back_up(made.folder)
    assert read_verified(made.folder) == made.manifest


def test_a_backup_that_fails_leaves_nothing(
    filled: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_module, "login_environment", lambda: {"PGPORT": "9"})
    with pytest.raises(BackupError, match="pg_dump failed"):
        back_up(tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


# --- one moment ---------------------------------------------------------------------------------


def test_what_lands_or_is_purged_during_the_backup_leaves_it_whole(
    filled: Warehouse, tmp_path: Path, empty_database: URL
) -> None:
    with back_in(filled) as patch:
        take(filled, "01/2025", range(1, 5))
        take(filled, "02/2025", range(2, 7))
        dump = backup_module._dump

        def meanwhile(connection: psycopg.Connection, snapshot: str, target: Path) -> None:
            take(filled, "03/2025", range(3, 8))
            _purge("2025-01")
            dump(connection, snapshot, target)

        patch.setattr(backup_module, "_dump", meanwhile)
        _purge("2025-02")
        manifest = back_up(tmp_path / "b")
    landed = {file.path.split("/")[3] for file in manifest.files if "landing/" in file.path}
    # January was purged and March came in after the snapshot; February had been purged before.
    assert landed == {"2025-06", "2025-01"}
    assert manifest.lacking == []
    restore(tmp_path / "b")
    assert findings() == []


def _purge(period: str) -> None:
    """Retention of this month's file and no other."""
    with connect(Role.LOADER) as connection:
        (path, batch_id) = connection.execute(  # type: ignore[misc]
            "select landing_path, batch_id from audit.receipt where period = %s", (period,)
        ).fetchone()
        audit.append(connection, audit.PURGE_EVENT, {"batch_id": batch_id})
    (get_settings().landing / path).unlink()


def test_a_landed_file_that_is_gone_or_changed_is_named(filled: Warehouse, tmp_path: Path) -> None:
    (path,) = [p for p in filled.settings.landing.rglob("2025-06/*") if p.is_file()]
    content = path.read_bytes()
    name = path.relative_to(filled.settings.landing).as_posix()
    try:
        path.write_bytes(content + b"x")
        assert back_up(tmp_path / "changed").lacking == [name]
        path.unlink()
        done = nq42("backup", str(tmp_path / "gone"))
    finally:
        path.write_bytes(content)
        path.chmod(0o600)
    assert done.returncode == 1
    assert name in done.stderr
    assert read_verified(tmp_path / "gone").lacking == [name]


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["warehouse.dump", "manifest.json", "manifest.sha256", "landing"])
def test_one_changed_byte_is_refused_by_name(copy: Path, place: URL, name: str) -> None:
    path = copy / name
    if path.is_dir():
        (path,) = [found for found in path.rglob("*") if found.is_file()]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BackupError, match=f"damaged.*{path.name if name == 'landing' else name}"):
        restore(copy)
    assert is_empty()


def test_a_file_that_is_gone_is_named(copy: Path, place: URL) -> None:
    (copy / "warehouse.dump").unlink()
    with pytest.raises(BackupError, match=r"damaged.*warehouse\.dump"):
        restore(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(BackupError, match="is no backup"):
        restore(copy)


def test_another_key_is_refused(made: Made, place: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NQ42_PSEUDONYM_KEY", "another key, as long as it needs to be")
    get_settings.cache_clear()
    with pytest.raises(BackupError, match="is not the key of this backup"):
        restore(made.folder)
    assert is_empty()


def test_an_older_server_is_refused(copy: Path, place: URL) -> None:
    newer = replace(read_verified(copy), server_major=99)
    _rewrite(copy, newer)
    with pytest.raises(BackupError, match="of PostgreSQL 99"):
        restore(copy)


def test_other_sessions_are_in_the_way(made: Made, place: URL) -> None:
    with psycopg.connect(conninfo(place)), pytest.raises(BackupError, match="1 other sessions"):
        restore(made.folder)
    assert is_empty()


def test_a_login_that_holds_rights_must_exist_first(
    filled: Warehouse, tmp_path: Path, empty_database: URL
) -> None:
    role = "nq42test_reader"
    with back_in(filled):
        with connect(Role.ADMIN) as connection:
            connection.execute(f"create role {role}")
            connection.execute(f"grant select on marts.fct_kpi_value to {role}")
        try:
            assert back_up(tmp_path / "b").other_roles == [role]
        finally:
            with connect(Role.ADMIN) as connection:
                connection.execute(f"drop owned by {role}")
                connection.execute(f"drop role {role}")
    with pytest.raises(BackupError, match=role):
        restore(tmp_path / "b")


def test_a_full_place_is_replaced_only_when_told(made: Made, place: URL) -> None:
    restore(made.folder)
    take(Warehouse(get_settings(), place), "07/2025", range(3, 12))
    with pytest.raises(BackupError, match="the warehouse is not empty"):
        restore(made.folder)
    restore(made.folder, replace=True)
    assert findings() == []
    assert raw_rows() == made.raw
    home = get_settings().home
    (aside,) = home.glob("landing.before-*")
    assert list(aside.rglob("2025-07/*"))


def test_a_landing_store_of_others_is_not_mixed_with(made: Made, place: URL) -> None:
    stranger = get_settings().landing / "x"
    stranger.parent.mkdir()
    stranger.touch()
    with pytest.raises(BackupError, match="landing store is not empty"):
        restore(made.folder)
    assert stranger.exists()


# --- interrupted --------------------------------------------------------------------------------


def test_a_dump_that_breaks_off_leaves_nothing(copy: Path, place: URL) -> None:
    dump = copy / "warehouse.dump"
    dump.write_bytes(dump.read_bytes()[: dump.stat().st_size * 2 // 3])
    manifest = read_json(copy)
    files = [
        StoredFile(f.path, sha256_of(copy / f.path), (copy / f.path).stat().st_size)
        for f in manifest.files
    ]
    _rewrite(copy, replace(manifest, files=files))
    with pytest.raises(BackupError, match="nothing was restored"):
        restore(copy)
    assert is_empty()


def test_a_statement_that_fails_leaves_nothing_and_a_replaced_warehouse_stays(
    made: Made, copy: Path, place: URL
) -> None:
    manifest = read_verified(copy)
    _rewrite(copy, replace(manifest, owners=[["table", "raw.nowhere", "nq42_loader"]]))
    with pytest.raises(BackupError, match="nowhere"):
        restore(copy)
    assert is_empty()
    restore(made.folder)
    with pytest.raises(BackupError, match="nowhere"):
        restore(copy, replace=True)
    assert findings() == []
    assert raw_rows() == made.raw


#: Runs in the child: says so when everything but the commit is done, and waits to be killed.
KILLED = """
import sys, time
from pathlib import Path
from loaders.operations import restore as module

def wait(self):
    Path(sys.argv[2]).touch()
    time.sleep(600)

module._Place.__call__ = wait
module.restore(Path(sys.argv[1]))
"""


def test_a_killed_restore_leaves_an_empty_warehouse_and_can_be_repeated(
    made: Made, place: URL, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(made.folder), str(mark)], cwd=PROJECT_ROOT
    )
    try:
        deadline = time.monotonic() + 60
        while not mark.exists():
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    while _sessions(place):
        assert time.monotonic() < deadline, "psql stays although nobody speaks to it"
        time.sleep(0.05)
    with connect(Role.ADMIN) as connection:
        assert connection.execute("select to_regclass('audit.event')").fetchone() == (None,)
    restore(made.folder)
    assert findings() == []
    assert not list(get_settings().home.glob("landing.*"))


def _sessions(place: URL) -> int:
    with connect(Role.ADMIN) as connection:
        row = connection.execute(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return row[0]


# --- PostgreSQL's programs ----------------------------------------------------------------------


def test_programs_of_another_version_are_not_taken(
    filled: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(Role.ADMIN) as connection:
        major = connection.info.server_version // 10_000
    assert (find_programs(major) / "pg_restore").exists()
    with pytest.raises(ProgramError, match=rf"pg_dump 99 is not here \(found: .*{major}"):
        find_programs(99)
    monkeypatch.setattr(programs.embedded, "program_folders", list)
    monkeypatch.setattr(programs, "SYSTEM_FOLDER", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramError, match="found: none"):
        find_programs(major)


def test_the_password_is_in_the_environment_and_not_on_the_command_line(
    filled: Warehouse,
) -> None:
    environment = programs.login_environment()
    assert environment["PGPASSWORD"] == filled.url.password
    assert environment["PGDATABASE"] == filled.url.database


@contextmanager
def back_in(warehouse: Warehouse) -> Iterator[pytest.MonkeyPatch]:
    """Settings point to this warehouse again, though the test has an empty one too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NQ42_DATABASE_URL", warehouse.url.render_as_string(hide_password=False))
        patch.setenv("NQ42_HOME", str(warehouse.home))
        get_settings.cache_clear()
        yield patch
    get_settings.cache_clear()


@pytest.fixture(autouse=True)
def _settings_are_read_again() -> Iterator[None]:
    yield
    get_settings.cache_clear()


def read_json(folder: Path) -> Manifest:
    document = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    files = [StoredFile(**file) for file in document.pop("files")]
    return Manifest(**document, files=files)


def _rewrite(folder: Path, manifest: Manifest) -> None:
    for name in ("manifest.json", "manifest.sha256"):
        (folder / name).unlink()
    write_manifest(folder, manifest)
