"""What `nq42 doctor` looks at in PostgreSQL: version, logins, clock, migrations, key, metadata."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import psycopg

from loaders.airflow_config import metadata_database
from loaders.operations.checks import Check
from loaders.operations.local_checks import check_disk
from loaders.postgres.database import Role, admin_url, connect, conninfo
from loaders.settings import Settings
from loaders.stages.installation import key_fingerprint, migration_files, read_recorded

VERSIONS = range(15, 19)
CLOCK_WARNING_SECONDS, CLOCK_ERROR_SECONDS = 5, 60

Clock = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def check_version(connection: psycopg.Connection) -> Check:
    """The server's major version."""
    major = connection.info.server_version // 10_000
    found = f"PostgreSQL {major}"
    if major in VERSIONS:
        return Check("phiên bản PostgreSQL / PostgreSQL version", "ok", found)
    fix = f"use a server of version {VERSIONS[0]} to {VERSIONS[-1]} (NQ42_DATABASE_URL)"
    return Check("phiên bản PostgreSQL / PostgreSQL version", "error", found, fix)


def check_connections() -> Check:
    """A connection in each role."""
    name = "đăng nhập theo vai trò / connections of the roles"
    wrong = []
    for role in Role:
        try:
            with connect(role) as connection:
                connection.execute("select 1")
        except psycopg.Error as error:
            wrong.append(f"{role}: {str(error).strip().splitlines()[-1]}")
    if wrong:
        fix = "nq42 setup: it makes the roles and lets the admin login take them"
        return Check(name, "error", "; ".join(wrong), fix)
    return Check(name, "ok", f"{len(Role)} roles")


def check_clock(connection: psycopg.Connection, zone: str, now: Clock = utc_now) -> Check:
    """The server's clock and time zone data against ours."""
    name = "đồng hồ máy chủ / server clock"
    known = connection.execute("select 1 from pg_timezone_names where name = %s", (zone,))
    if known.fetchone() is None:
        fix = "install time zone data where PostgreSQL runs: apt-get install tzdata"
        return Check(name, "error", f"the server does not know {zone}", fix)
    before = now()
    row = connection.execute("select clock_timestamp()").fetchone()
    assert row is not None
    middle = before + (now() - before) / 2
    apart = abs((row[0] - middle).total_seconds())
    found = f"{apart:.1f} s apart"
    if apart < CLOCK_WARNING_SECONDS:
        return Check(name, "ok", found)
    status = "error" if apart >= CLOCK_ERROR_SECONDS else "warning"
    fix = "switch time synchronisation on, on both machines: timedatectl set-ntp true"
    return Check(name, status, found, fix)  # type: ignore[arg-type]


def check_migrations(connection: psycopg.Connection) -> Check:
    """Applied migrations against the files of this version."""
    name = "phiên bản lược đồ / migrations"
    files = migration_files()
    there = connection.execute("select to_regclass('_yoyo_migration')").fetchone()
    applied = set()
    if there and there[0]:
        rows = connection.execute("select migration_id from _yoyo_migration").fetchall()
        applied = {migration_id for (migration_id,) in rows}
    pending = [migration for migration in files if migration not in applied]
    if pending:
        return Check(name, "error", f"not applied: {', '.join(pending)}", "nq42 setup")
    unknown = sorted(applied - files.keys())
    if unknown:
        fix = "the warehouse is newer than this program: install the newer version again"
        return Check(name, "error", f"unknown here: {', '.join(unknown)}", fix)
    recorded = read_recorded(connection).migrations
    changed = [m for m, sha256 in files.items() if recorded.get(m, sha256) != sha256]
    if changed:
        fix = "put the old text back: a change of the schema is a new migration, never an old one"
        found = f"changed after they were applied: {', '.join(changed)}"
        return Check(name, "error", found, fix)
    return Check(name, "ok", f"{len(files)} applied")


def check_same_key(connection: psycopg.Connection, settings: Settings) -> Check:
    """The pseudonym key against the one that the warehouse was filled with."""
    name = "khoá định danh của kho / key of this warehouse"
    fingerprint = read_recorded(connection).key_fingerprint
    if fingerprint is None:
        return Check(name, "warning", "not recorded yet", "nq42 setup records its fingerprint")
    if settings.pseudonym_key is None:
        return Check(name, "error", "there is no key to compare", "put the key back into .env")
    if key_fingerprint(settings.require_pseudonym_key()) != fingerprint:
        fix = (
            f"put the old key back (its fingerprint begins with {fingerprint[:8]}) and import "
            "nothing before: with another key the same person gets another pseudonym"
        )
        return Check(name, "error", "NQ42_PSEUDONYM_KEY is another key", fix)
    return Check(name, "ok", f"fingerprint {fingerprint[:8]}…")


def check_server_disk(connection: psycopg.Connection, settings: Settings) -> Check:
    """Free space where the server keeps its data, if that is on this machine."""
    row = connection.execute(
        "select setting from pg_settings where name = 'data_directory'"
    ).fetchone()
    host = connection.info.host
    is_here = host.startswith("/") or host in ("127.0.0.1", "::1", "localhost")
    if row is None or not is_here:
        found = f"the data folder of {host} cannot be seen from here: watch its disk there"
        return Check("dung lượng đĩa / disk", "ok", found)
    return check_disk(settings, Path(row[0]), "PostgreSQL's data")


def check_metadata() -> Check:
    """Airflow's own database beside the warehouse."""
    name = "cơ sở dữ liệu Airflow / Airflow metadata"
    database = metadata_database()
    try:
        address = conninfo(admin_url(database))
        with psycopg.connect(address, connect_timeout=10) as connection:
            there = connection.execute("select to_regclass('alembic_version')").fetchone()
    except psycopg.OperationalError as error:
        last = str(error).strip().splitlines()[-1]
        fix = "nq42 up makes it; without Airflow the stages work all the same"
        return Check(name, "warning", last, fix)
    if not (there and there[0]):
        return Check(name, "error", f"{database} holds no Airflow metadata", "nq42 down, nq42 up")
    return Check(name, "ok", database)
