"""`nq42 doctor`: every check is made to fail on what it looks at."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml

from loaders import processes
from loaders.airflow_parts import PARTS
from loaders.operations import local_checks as local
from loaders.operations import server_checks as server
from loaders.operations.checks import Check, guarded
from loaders.operations.doctor import check_connection, examine
from loaders.operations.rights import (
    MART_READERS,
    Right,
    check_rights,
    compare,
    read_expected,
    read_rights,
)
from loaders.postgres.database import Role, admin_url, connect, conninfo
from loaders.settings import PROJECT_ROOT, Settings, SettingsError, get_settings
from loaders.stages import installation
from loaders.stages.installation import read_recorded, record_installation
from tests.conftest import Warehouse
from tests.integration.commands import nq42
from tests.redis_server import redis_server

ZONE = "Asia/Ho_Chi_Minh"


@pytest.fixture(scope="module")
def known(warehouse: Warehouse) -> Warehouse:
    """A warehouse that knows its key and its migrations."""
    with connect(Role.LOADER) as connection:
        assert record_installation(connection)
        assert not record_installation(connection)  # once
    return warehouse


def broken(check: Check, *words: str) -> None:
    assert check.status == "error", check
    assert check.fix
    for word in words:
        assert word in check.found + check.fix, check


# --- this machine -------------------------------------------------------------------------------


def test_a_package_of_another_version_and_a_missing_one_are_named(tmp_path: Path) -> None:
    assert local.check_packages().status == "ok"
    for name in ("requirements.lock", "pyproject.toml"):
        text = (PROJECT_ROOT / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("httpx==", "httpx==9."), encoding="utf-8")
    found = local.check_packages(tmp_path)
    assert found.status == "warning"
    assert "httpx" in found.found and "locked 9." in found.found
    project = tmp_path / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    project.write_text(text.replace('"httpx>=', '"no-such-package-here>='), encoding="utf-8")
    broken(local.check_packages(tmp_path), "no-such-package-here", "requirements.lock")


@pytest.mark.parametrize(("key", "word"), [(None, "not set"), ("ab" * 20, "2 different")])
def test_a_key_that_is_missing_or_weak(key: str | None, word: str) -> None:
    broken(local.check_key(Settings(pseudonym_key=key)), word)
    assert (
        local.check_key(Settings(pseudonym_key="k3y of Many Different-chars_0192")).status == "ok"
    )


def test_files_that_others_may_read_are_named(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, secrets_dir=tmp_path / "secrets")
    paths = [tmp_path / "landing" / "health" / "abc", tmp_path / "secrets" / "sftp"]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.touch(mode=0o600)
    for folder in ("landing", "landing/health", "secrets"):
        (tmp_path / folder).chmod(0o700)
    assert local.check_private_files(settings).status == "ok"
    for path in (*paths, tmp_path / "landing"):
        mode = path.stat().st_mode
        path.chmod(mode | 0o040)
        broken(local.check_private_files(settings), str(path), "chmod")
        path.chmod(mode)


def test_env_file_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.touch(mode=0o644)
    monkeypatch.setitem(Settings.model_config, "env_file", file)
    broken(local.check_private_files(Settings(home=tmp_path)), ".env")


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    assert local.check_folders(Settings(home=tmp_path)).status == "ok"
    (tmp_path / "inbox").touch()
    broken(local.check_folders(Settings(home=tmp_path)), "inbox")


def test_too_little_disk(tmp_path: Path) -> None:
    fine = local.check_disk(Settings(disk_free_min_gb=0), tmp_path, "x")
    assert (fine.status, fine.fix) == ("ok", "")
    broken(local.check_disk(Settings(disk_free_min_gb=10**6), tmp_path / "later", "x"), "disk_full")
    free = float(fine.found.split()[0])
    nearly = local.check_disk(Settings(disk_free_min_gb=free * 0.7), tmp_path, "x")
    assert nearly.status == "warning"


def test_an_unknown_time_zone() -> None:
    assert local.check_time_zone(ZONE).status == "ok"
    broken(local.check_time_zone("Asia/Nowhere"), "tzdata")


def test_a_dead_airflow_process(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert local.check_airflow(settings).status == "warning"  # never started
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "airflow").mkdir()
    processes = {"scheduler": {"pid": ended.pid, "started": "1"}}
    document = json.dumps({"url": "http://127.0.0.1:1", "processes": processes})
    (tmp_path / "airflow" / "service.json").write_text(document, encoding="utf-8")
    broken(local.check_airflow(settings), "scheduler", "nq42 up")


def _started(home: Path, url: str, *parts: str) -> None:
    """This process as these parts of Airflow."""
    own = {"pid": os.getpid(), "started": processes.start_mark(os.getpid())}
    document = {"url": url, "processes": dict.fromkeys(parts, own)}
    (home / "airflow").mkdir(exist_ok=True)
    (home / "airflow" / "service.json").write_text(json.dumps(document), encoding="utf-8")


def test_airflow_of_other_settings_and_one_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _started(tmp_path, "http://127.0.0.1:9", *PARTS)
    broken(local.check_airflow(Settings(home=tmp_path)), "do not report: api-server")
    well = {"status": "healthy"}
    health = {
        "metadatabase": well,
        "scheduler": well | {"latest_scheduler_heartbeat": "2025-08-01T00:00:00+00:00"},
        "dag_processor": well | {"latest_dag_processor_heartbeat": "2025-08-01T00:00:00+00:00"},
        "triggerer": {"status": "unhealthy", "latest_triggerer_heartbeat": "2025-07-01T00:00:00Z"},
    }
    monkeypatch.setattr("httpx.get", lambda *_, **__: httpx.Response(200, json=health))
    broken(local.check_airflow(Settings(home=tmp_path)), "do not report: triggerer", "nq42 down")
    health["triggerer"]["status"] = "healthy"
    assert "triggerer" in local.check_airflow(Settings(home=tmp_path)).found
    assert local.check_airflow(Settings(home=tmp_path)).status == "ok"
    _started(tmp_path, "http://127.0.0.1:9", *PARTS, "worker-1")
    found = local.check_airflow(Settings(home=tmp_path))
    assert (found.status, "worker-1" in found.found) == ("warning", True)


def test_redis_that_is_away_and_workers_that_do_not_answer(tmp_path: Path) -> None:
    assert local.check_workers(Settings()).status == "ok"
    with redis_server(tmp_path) as url:
        settings = Settings(home=tmp_path, executor="celery", redis_url=url)
        broken(local.check_workers(settings), "no worker answers", "nq42 airflow worker")
        with _worker(url, "worker-1"):
            assert local.check_workers(settings) == Check(
                "Redis và tiến trình thực thi / Redis and workers", "ok", "worker-1"
            )
            _started(tmp_path, "http://127.0.0.1:9", *PARTS, "worker-1")
            assert local.check_workers(settings).status == "ok"
            _started(tmp_path, "http://127.0.0.1:9", *PARTS, "worker-1", "worker-2")
            broken(local.check_workers(settings), "no answer from worker-2")
    away = local.check_workers(settings)
    broken(away, "NQ42_REDIS_URL", "cannot be used")
    assert url.split(":")[2].split("@")[0] not in away.found  # its password


@contextmanager
def _worker(url: str, name: str) -> Iterator[None]:
    """A Celery worker, until it is ready and then to the end of the block."""
    arguments = [
        "--broker",
        url,
        "worker",
        "--hostname",
        f"celery@{name}",
        "--pool",
        "solo",
        "-l",
        "INFO",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", *arguments], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        assert any(f"celery@{name} ready" in line for line in process.stderr)
        yield
    finally:
        process.kill()
        process.communicate()


def test_that_nobody_is_told_of_failures() -> None:
    assert local.check_notices(Settings()).status == "warning"
    mail = "smtp://127.0.0.1"
    broken(local.check_notices(Settings(notice_smtp_url=mail)), "NQ42_NOTICE_TO")
    both = Settings(notice_smtp_url=mail, notice_to="a@example.invalid", notice_webhook_url="x")
    assert local.check_notices(both).found == "mail and webhook"


def test_a_check_that_breaks_is_an_error_and_stops_no_other() -> None:
    def breaks() -> Check:
        raise RuntimeError("unexpected")

    broken(guarded("x", breaks), "RuntimeError: unexpected")


# --- PostgreSQL ---------------------------------------------------------------------------------


def test_a_server_that_is_away(known: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_connection(known.settings).status == "ok"
    away = known.url.set(port=9).render_as_string(hide_password=False)
    monkeypatch.setenv("NQ42_DATABASE_URL", away)
    get_settings.cache_clear()
    try:
        checks = examine(get_settings())
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    broken(checks[-1], "database_away")
    assert {check.name for check in checks}.isdisjoint({"quyền của vai trò / rights of the roles"})


def test_an_embedded_server_that_does_not_run_is_not_started(tmp_path: Path) -> None:
    broken(check_connection(Settings(home=tmp_path, database_url="")), "nq42 postgres start")
    assert not (tmp_path / "postgres").exists()


def test_another_server_version(known: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(Role.ADMIN) as connection:
        assert server.check_version(connection).status == "ok"
        monkeypatch.setattr(server, "VERSIONS", range(8, 10))
        broken(server.check_version(connection), "8 to 9")


def test_a_role_that_cannot_connect(known: Warehouse) -> None:
    assert server.check_connections().status == "ok"
    login = "nq42_test_limited"
    with connect(Role.ADMIN) as connection:
        connection.execute(f"create role {login} login password 'limited-login'")
        connection.execute(f"grant nq42_loader, nq42_transformer, nq42_bi to {login}")
        connection.execute(
            f'grant connect on database "{known.url.database}" to {login}'  # as a plain login
        )
    limited = known.url.set(username=login, password="limited-login")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NQ42_DATABASE_URL", limited.render_as_string(hide_password=False))
        get_settings.cache_clear()
        found = server.check_connections()
    get_settings.cache_clear()
    with connect(Role.ADMIN) as connection:
        connection.execute(f"drop owned by {login}")
        connection.execute(f"drop role {login}")
    broken(found, "nq42_publisher", "nq42_auditor", "nq42 setup")
    assert "nq42_loader" not in found.found


@pytest.mark.parametrize(("seconds", "status"), [(10, "warning"), (-3600, "error")])
def test_a_clock_that_is_off(known: Warehouse, seconds: int, status: str) -> None:
    off = dt.timedelta(seconds=seconds)
    with connect(Role.ADMIN) as connection:
        assert server.check_clock(connection, ZONE).status == "ok"
        found = server.check_clock(connection, ZONE, lambda: server.utc_now() + off)
        assert (found.status, bool(found.fix)) == (status, True)
        broken(server.check_clock(connection, "Asia/Nowhere"), "tzdata")


def test_migrations_that_are_pending_unknown_or_changed(known: Warehouse) -> None:
    with connect(Role.ADMIN) as connection:
        assert server.check_migrations(connection).status == "ok"
        connection.execute("update _yoyo_migration set migration_id = '0002_old' "
                           "where migration_id = '0002_audit'")  # fmt: skip
        broken(server.check_migrations(connection), "not applied: 0002_audit", "nq42 setup")
        connection.rollback()
        connection.execute("insert into _yoyo_migration (migration_hash, migration_id)"
                           " values ('x', '0099_future')")  # fmt: skip
        broken(server.check_migrations(connection), "0099_future", "newer")
        connection.rollback()
        connection.execute("drop table _yoyo_migration")
        broken(server.check_migrations(connection), "0001_schemas")
        connection.rollback()


def test_a_migration_whose_text_was_changed(
    known: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in installation.SQL_FOLDER.glob("[0-9]*.sql"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(installation, "SQL_FOLDER", tmp_path)
    with connect(Role.ADMIN) as connection:
        assert server.check_migrations(connection).status == "ok"
        with (tmp_path / "0002_audit.sql").open("a", encoding="utf-8") as file:
            file.write("-- one more line\n")
        broken(server.check_migrations(connection), "changed", "0002_audit")


def test_another_key_is_found_and_setup_refuses_it(
    known: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(Role.ADMIN) as connection:
        assert server.check_same_key(connection, known.settings).status == "ok"
        fingerprint = read_recorded(connection).key_fingerprint
        assert fingerprint is not None and len(fingerprint) == 32
        monkeypatch.setenv("NQ42_PSEUDONYM_KEY", "another key, as long as it needs to be")
        get_settings.cache_clear()
        other = get_settings()
        broken(server.check_same_key(connection, other), "another key", fingerprint[:8])
    with pytest.raises(SettingsError, match=fingerprint[:8]), connect(Role.LOADER) as connection:
        record_installation(connection)
    monkeypatch.undo()
    get_settings.cache_clear()
    with connect(Role.ADMIN) as connection:
        broken(server.check_same_key(connection, Settings(pseudonym_key=None)), "no key")


def test_the_servers_disk(known: Warehouse) -> None:
    with connect(Role.ADMIN) as connection:
        assert server.check_server_disk(connection, Settings(disk_free_min_gb=0)).status == "ok"
        full = server.check_server_disk(connection, Settings(disk_free_min_gb=10**6))
        broken(full, "PostgreSQL", "disk_full")


def test_airflow_metadata_missing_or_empty(known: Warehouse) -> None:
    assert server.check_metadata().status == "warning"
    name = f"{known.url.database}_airflow"
    with psycopg.connect(conninfo(admin_url()), autocommit=True) as connection:
        connection.execute(f'create database "{name}" template template0')
        try:
            broken(server.check_metadata(), name)
            with psycopg.connect(conninfo(admin_url(name))) as metadata:
                metadata.execute("create table alembic_version (version_num text)")
            assert server.check_metadata().status == "ok"
        finally:
            connection.execute(f'drop database "{name}" with (force)')


# --- rights -------------------------------------------------------------------------------------


def test_the_expected_rights_are_those_that_the_migrations_give(warehouse: Warehouse) -> None:
    """After a migration that grants something: python -m loaders.operations.rights."""
    with connect(Role.ADMIN) as connection:
        assert read_rights(connection) == read_expected()


#: A change that nobody made by a migration, and what is said of it.
CHANGES = (
    ("grant select on audit.event to nq42_bi", "nq42_bi reads outside marts: audit.event"),
    ("grant select (hash) on audit.event to nq42_bi", "reads outside marts: audit.event.hash"),
    ("grant usage on schema raw to nq42_bi", "gained: schema raw nq42_bi usage"),
    ("grant usage on schema marts to public", "gained: schema marts public usage"),
    ("grant update on audit.receipt to nq42_loader", "gained: table audit.receipt nq42_loader"),
    ("grant select on audit.event to public", "gained: table audit.event public select"),
    ("revoke insert on audit.event from nq42_loader", "lost: table audit.event nq42_loader insert"),
    ("revoke usage on schema audit from nq42_auditor", "lost: schema audit nq42_auditor usage"),
    ("grant nq42_loader to nq42_bi", "gained: member nq42_loader nq42_bi member"),
    ("revoke nq42_bi from nq42_auditor", "lost: member nq42_bi nq42_auditor member"),
    ("alter role nq42_publisher createdb", "gained: attribute * nq42_publisher createdb"),
    ("alter role nq42_bi reset statement_timeout", "lost: setting * nq42_bi statement_timeout=30s"),
    ("alter table audit.receipt owner to nq42_loader", "gained: owner audit.receipt nq42_loader"),
    ("alter table audit.event disable trigger append_only", "lost: guard audit.event append_only"),
    (
        "create table raw.x (n int); grant select on raw.x to nq42_transformer, nq42_bi",
        "nq42_bi reads outside marts: raw.x",
    ),
    ("create table marts.x (n int)", "lost: table marts.x nq42_bi select"),
    (
        "alter default privileges for role nq42_loader in schema stage"
        " grant select on tables to nq42_bi",
        "gained: default stage,nq42_loader nq42_bi select",
    ),
)


@pytest.mark.parametrize(("change", "words"), CHANGES)
def test_a_changed_right_is_named_and_its_fix_puts_it_right(
    warehouse: Warehouse, change: str, words: str
) -> None:
    with connect(Role.ADMIN) as connection:
        assert check_rights(connection).status == "ok"
        connection.execute(change)  # type: ignore[arg-type]
        found = check_rights(connection)
        broken(found, words)
        if found.fix.startswith(("grant", "revoke")):
            connection.execute(found.fix)  # type: ignore[arg-type]
            assert compare(connection) == ([], [])
        connection.rollback()


def test_what_dbt_and_publish_grant_on_a_mart_is_usual(warehouse: Warehouse) -> None:
    project = yaml.safe_load((PROJECT_ROOT / "dbt_project" / "dbt_project.yml").read_text("utf-8"))
    granted = project["models"]["nq42"]["marts"]["+grants"]["select"]
    assert set(granted) == {role.value for role in MART_READERS}
    with connect(Role.ADMIN) as connection:
        connection.execute("create table candidate.x (n int)")
        connection.execute("alter table candidate.x owner to nq42_transformer")
        connection.execute(f"grant select on candidate.x to {', '.join(granted)}")
        assert compare(connection) == ([], [])
        connection.execute("alter table candidate.x set schema marts")
        assert compare(connection)[1] == [Right("owner", "marts.x", "nq42_transformer", "all")]
        connection.execute("alter table marts.x owner to nq42_publisher")
        assert compare(connection) == ([], [])
        connection.rollback()


def test_what_is_not_a_statement_is_said_in_words() -> None:
    right = Right("guard", "audit.event", "append_only", "A")
    assert right.statement("grant") == "put back: guard audit.event append_only A"


# --- the command --------------------------------------------------------------------------------


def test_the_command_ends_with_1_on_an_error_and_speaks_json(known: Warehouse) -> None:
    fine = nq42("doctor", "--json", NQ42_DISK_FREE_MIN_GB="0")
    checks = json.loads(fine.stdout)
    assert {"name", "status", "found", "fix"} == set(checks[0])
    assert [c for c in checks if c["status"] == "error"] == [], checks
    assert fine.returncode == 0
    bad = nq42("doctor", NQ42_DISK_FREE_MIN_GB="1000000")
    assert bad.returncode == 1
    assert "lỗi / error" in bad.stdout and "disk_full" in bad.stdout


def test_the_command_says_plainly_that_a_setting_is_wrong() -> None:
    found = nq42("doctor", NQ42_PSEUDONYM_KEY="short")
    assert found.returncode == 1
    assert "NQ42_PSEUDONYM_KEY must have at least 32" in found.stderr
    assert "Traceback" not in found.stderr
