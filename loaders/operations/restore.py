"""`nq42 restore`: a backup back into an empty warehouse and landing store, whole or not at all.

The database is filled in one transaction. The landing store is made beside its place and takes it
just before that transaction is committed. After a kill the same command is run again.
"""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psycopg

from loaders import audit
from loaders.files import sha256_of
from loaders.log import get_logger
from loaders.operations.manifest import (
    DUMP,
    LANDING,
    BackupError,
    Manifest,
    copy_private,
    make_private_folder,
    read_verified,
)
from loaders.operations.rights import SCHEMAS
from loaders.postgres.database import Role, connect
from loaders.postgres.migrate import migrate, prepare_roles
from loaders.postgres.programs import find_programs, login_environment
from loaders.settings import get_settings
from loaders.stages.installation import key_fingerprint

EVENT = "warehouse.restored"
READY = "nq42 ready to commit"
#: What migrating leaves outside the schemas of the warehouse.
MIGRATION_TABLES = ("_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock")


def restore(folder: Path, *, replace: bool = False) -> Manifest:
    """Bring a backup back, and the warehouse to this program's version; what the backup held.

    Args:
        replace: take the place of a warehouse that is there; its landing store is moved aside.

    Raises:
        BackupError: the backup is damaged, the place is not empty, in use or of an older version,
            or the key is not the backup's; nothing was changed.
        ProgramError: there is no pg_restore of the server's version.
    """
    manifest = read_verified(folder)
    _check_key(manifest)
    with connect(Role.ADMIN) as connection:
        connection.autocommit = True
        _check_server(connection, manifest)
        if not replace:
            _refuse_what_is_there(connection, manifest)
        prepare_roles(connection)
        programs = find_programs(connection.info.server_version // 10_000)
    landing = get_settings().landing
    assert landing is not None
    with _staged_landing(folder, manifest, landing) as take_place:
        _fill(programs, folder / DUMP, manifest, replace, take_place)
    migrate()
    with connect(Role.LOADER) as connection:
        noted = {"chain_seq": manifest.chain_seq, "chain_head": manifest.chain_head}
        audit.append(connection, EVENT, {**noted, "created_at": manifest.created_at})
    with connect(Role.ADMIN) as connection:
        connection.autocommit = True
        connection.execute("analyze")
    get_logger().info("restore", files=len(manifest.files), chain_head=manifest.chain_head)
    return manifest


# --- may it be done -----------------------------------------------------------------------------


def _check_key(manifest: Manifest) -> None:
    key = get_settings().require_pseudonym_key()
    if manifest.key_fingerprint not in (None, key_fingerprint(key)):
        raise BackupError(
            "NQ42_PSEUDONYM_KEY is not the key of this backup (its fingerprint begins with "
            f"{manifest.key_fingerprint[:8]}). The key is in no backup: put your copy into .env"
        )


def _check_server(connection: psycopg.Connection, manifest: Manifest) -> None:
    major = connection.info.server_version // 10_000
    if major < manifest.server_major:
        raise BackupError(
            f"the backup is of PostgreSQL {manifest.server_major}, this server is {major}: restore "
            "into the same version or a newer one"
        )
    missing = connection.execute(
        "select name from unnest(%s::text[]) as name"
        " where name not in (select rolname from pg_roles)",
        (manifest.other_roles,),
    ).fetchall()
    if missing:
        names = ", ".join(name for (name,) in missing)
        raise BackupError(f"roles that hold rights in the backup are not here, make them: {names}")
    others = connection.execute(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and pid <> pg_backend_pid() and backend_type = 'client backend'"
    ).fetchone()
    assert others is not None
    if others[0]:
        raise BackupError(
            f"{others[0]} other sessions are connected to the warehouse: stop them (Airflow: "
            "nq42 down, then nq42 postgres start)"
        )


def _refuse_what_is_there(connection: psycopg.Connection, manifest: Manifest) -> None:
    there = connection.execute(
        "select nspname::text from pg_namespace where nspname = any(%s)"
        " union all select relname::text from pg_class"
        " where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v')",
        (list(SCHEMAS),),
    ).fetchall()
    if there:
        raise BackupError(
            f"the warehouse is not empty (it has {there[0][0]}): name an empty database, or say "
            "--replace to put the backup in its place"
        )
    landing = get_settings().landing
    assert landing is not None
    known = {file.path: file.sha256 for file in manifest.files}
    for path in landing.rglob("*") if landing.is_dir() else ():
        name = f"{LANDING}/{path.relative_to(landing).as_posix()}"
        # Files of the backup itself were left by a restore that was killed.
        if path.is_file() and known.get(name) != sha256_of(path):
            raise BackupError(
                f"the landing store is not empty ({path}): set NQ42_LANDING to an empty folder, or "
                "say --replace to move what is there aside"
            )


# --- landing store ------------------------------------------------------------------------------


class _Place:
    """The landing store made beside its place; called, it takes that place."""

    def __init__(self, made: Path, landing: Path) -> None:
        self.made, self.landing = made, landing
        self.aside: Path | None = None
        self.is_taken = False

    def __call__(self) -> None:
        if self.landing.exists():
            if any(self.landing.iterdir()):
                mark = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
                self.aside = self.landing.with_name(f"{self.landing.name}.before-{mark}")
                self.landing.rename(self.aside)
            else:
                self.landing.rmdir()
        self.made.rename(self.landing)
        self.is_taken = True

    def undo(self) -> None:
        shutil.rmtree(self.landing if self.is_taken else self.made, ignore_errors=True)
        if self.aside is not None:
            self.aside.rename(self.landing)


@contextmanager
def _staged_landing(folder: Path, manifest: Manifest, landing: Path) -> Iterator[_Place]:
    made = landing.with_name(f"{landing.name}.restoring")
    shutil.rmtree(made, ignore_errors=True)  # of a restore that was killed
    place = _Place(made, landing)
    try:
        make_private_folder(made)
        for file in manifest.files:
            if file.path.startswith(f"{LANDING}/"):
                copy = copy_private(
                    folder / file.path, made / file.path.removeprefix(f"{LANDING}/")
                )
                if copy.sha256 != file.sha256:
                    raise BackupError(f"damaged while it was read: {folder / file.path}")
        yield place
    except BaseException:
        place.undo()
        raise


# --- database -----------------------------------------------------------------------------------


def _fill(
    programs: Path, dump: Path, manifest: Manifest, replace: bool, take_place: _Place
) -> None:
    """All of the dump in one transaction. It ends with psql, so a kill of ours rolls it back."""
    with tempfile.TemporaryFile("w+") as errors:
        psql = subprocess.Popen(
            [str(programs / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            env=login_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        assert psql.stdin is not None and psql.stdout is not None
        try:
            _send(psql.stdin, "begin;", *(_removal() if replace else ()))
            _pump(programs, dump, psql.stdin)
            _send(psql.stdin, *_owners(manifest), f"select '{READY}';")
            if not any(line.decode().strip() == READY for line in psql.stdout):
                raise BrokenPipeError
            take_place()
            _send(psql.stdin, "commit;")
            psql.stdin.close()
            if psql.wait() != 0:
                raise BrokenPipeError
        except BrokenPipeError:
            psql.wait()
            errors.seek(0)
            message = errors.read().strip() or "the connection was lost"
            raise BackupError(f"nothing was restored: {message}") from None
        finally:
            psql.kill()  # before the commit this rolls everything back
            psql.wait()
            psql.stdout.close()
            with suppress(BrokenPipeError):
                psql.stdin.close()


def _send(stdin: IO[bytes], *statements: str) -> None:
    for statement in statements:
        stdin.write(f"{statement}\n".encode())
    stdin.flush()


def _pump(programs: Path, dump: Path, stdin: IO[bytes]) -> None:
    restoring = subprocess.Popen(
        [str(programs / "pg_restore"), "--no-owner", "--file=-", str(dump)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert restoring.stdout is not None and restoring.stderr is not None
    try:
        shutil.copyfileobj(restoring.stdout, stdin)
        message = restoring.stderr.read().decode(errors="replace").strip()
        if restoring.wait() != 0:
            raise BackupError(f"nothing was restored: pg_restore failed: {message}")
    finally:
        restoring.kill()
        restoring.communicate()


def _removal() -> Iterator[str]:
    yield f"drop schema if exists {', '.join(SCHEMAS)} cascade;"
    tables = ", ".join(f"public.{name}" for name in MIGRATION_TABLES)
    yield f"drop table if exists {tables} cascade;"


def _owners(manifest: Manifest) -> Iterator[str]:
    """Everything belongs again to the role that owned it."""
    for kind, name, role in manifest.owners:
        yield f"alter {kind} {name} owner to {role};"
