"""`nq42 backup`: warehouse and landing store, as they were at one moment.

The database counts: of the landing store is copied what the receipts of the dumped snapshot name.
Files are copied before the snapshot and once more after it. So a file that came in meanwhile is
there if its receipt is, and one that retention purged meanwhile is there unless the snapshot knows
of the purge. The pseudonym key is not in the backup.
"""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import psycopg

from loaders import audit
from loaders.files import sha256_of
from loaders.log import get_logger
from loaders.operations.manifest import (
    DUMP,
    LANDING,
    BackupError,
    Manifest,
    StoredFile,
    copy_private,
    make_private_folder,
    write_manifest,
)
from loaders.operations.rights import ROLES
from loaders.postgres.database import Role, connect
from loaders.postgres.programs import find_programs, login_environment
from loaders.settings import get_settings
from loaders.stages.installation import read_recorded


def back_up(folder: Path) -> Manifest:
    """Write a backup into a new folder, whole or not at all; what it holds.

    Raises:
        BackupError: the folder is there already, or pg_dump failed.
        ProgramError: there is no pg_dump of the server's version.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(f"{folder} is there already; name a folder that is new or empty")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a backup that was killed
    make_private_folder(partial)
    try:
        manifest = _write(partial)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    get_logger().info("backup", files=len(manifest.files), chain_head=manifest.chain_head)
    return manifest


def _write(folder: Path) -> Manifest:
    store, copied = get_settings().landing, folder / LANDING
    assert store is not None
    make_private_folder(copied)
    with connect(Role.ADMIN) as connection:
        before = _Receipts(connection)
    _copy(store, copied, before)
    with _snapshot() as (connection, snapshot):
        receipts = _Receipts(connection)
        _dump(connection, snapshot, folder / DUMP)
        lacking = _copy(store, copied, receipts)
        _forget_purged(copied, receipts)
        major = connection.info.server_version // 10_000
        seq, head = connection.execute(
            "select coalesce(max(seq), 0), coalesce((array_agg(hash order by seq desc))[1], '')"
            " from audit.event"
        ).fetchone()  # type: ignore[misc]
        migrations = connection.execute("select migration_id from _yoyo_migration order by 1")
        release = connection.execute(
            "select release_id from publication.release order by release_seq desc limit 1"
        ).fetchone()
        roles = list(ROLES)
        owners = connection.execute(_OWNERS, (roles,)).fetchall()
        others = connection.execute(_OTHER_ROLES, (roles,)).fetchall()
        manifest = Manifest(
            created_at=dt.datetime.now(dt.UTC).isoformat(),
            server_major=major,
            migrations=[name for (name,) in migrations.fetchall()],
            chain_seq=seq,
            chain_head=head,
            release_id=release[0] if release else None,
            key_fingerprint=read_recorded(connection).key_fingerprint,
            owners=[list(owner) for owner in owners],
            other_roles=[name for (name,) in others],
            lacking=lacking,
            files=_files(folder),
        )
    write_manifest(folder, manifest)
    return manifest


@contextmanager
def _snapshot() -> Iterator[tuple[psycopg.Connection, str]]:
    """A transaction that sees one moment, and the name by which pg_dump sees the same."""
    with connect(Role.ADMIN) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        row = connection.execute("select pg_export_snapshot()").fetchone()
        assert row is not None
        yield connection, row[0]


def _dump(connection: psycopg.Connection, snapshot: str, target: Path) -> None:
    programs = find_programs(connection.info.server_version // 10_000)
    # Owners are in the manifest: the admin login may have another name where it is restored.
    arguments = ["--format=custom", "--no-owner", f"--snapshot={snapshot}", f"--file={target}"]
    done = subprocess.run(
        [str(programs / "pg_dump"), "--compress=1", *arguments],
        env=login_environment(),
        capture_output=True,
        text=True,
        check=False,
        umask=0o077,
    )
    if done.returncode:
        raise BackupError(f"pg_dump failed: {done.stderr.strip()}")


class _Receipts:
    """The landed files that the receipts of one moment name.

    Attributes:
        hashes: path in the store → sha256.
        purged: paths of which a batch was purged: they may be gone.
        forgotten: paths of which every batch was purged: they may not be kept.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self.hashes: dict[str, str] = {}
        batches: dict[str, set[bool]] = defaultdict(set)
        for is_purged, *pairs in connection.execute(
            _RECEIPTS, {"purged": audit.PURGE_EVENT, "restored": audit.RESTORE_EVENT}
        ):
            for path, sha256 in zip(pairs[::2], pairs[1::2], strict=True):
                if path is not None:
                    _refuse_outside(path)
                    self.hashes[path] = sha256
                    batches[path].add(is_purged)
        self.purged = {path for path, states in batches.items() if True in states}
        self.forgotten = {path for path, states in batches.items() if states == {True}}


def _refuse_outside(path: str) -> None:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts:
        raise BackupError(f"a receipt names {path}, outside the landing store: nq42 audit verify")


def _copy(store: Path, target: Path, receipts: _Receipts) -> list[str]:
    """Copy what is not there yet; the files that the store lacks or holds changed."""
    lacking = []
    for path, sha256 in sorted(receipts.hashes.items()):
        copy = target / path
        if path in receipts.forgotten or copy.exists():
            continue
        try:
            is_same = copy_private(store / path, copy).sha256 == sha256
        except FileNotFoundError:
            copy.unlink(missing_ok=True)
            if path not in receipts.purged:
                lacking.append(path)
            continue
        if not is_same:
            copy.unlink()
            lacking.append(path)
    return lacking


def _forget_purged(copied: Path, receipts: _Receipts) -> None:
    for path in receipts.forgotten:
        (copied / path).unlink(missing_ok=True)


def _files(folder: Path) -> list[StoredFile]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        StoredFile(path.relative_to(folder).as_posix(), sha256_of(path), path.stat().st_size)
        for path in paths
    ]


_RECEIPTS = """
select
    coalesce(latest.kind = %(purged)s, false),
    receipt.landing_path, receipt.sha256,
    receipt.corrections_path, receipt.corrections_sha256
from audit.receipt as receipt
left join (
    select distinct on (payload ->> 'batch_id') payload ->> 'batch_id' as batch_id, kind
    from audit.event
    where kind in (%(purged)s, %(restored)s)
    order by payload ->> 'batch_id', seq desc
) as latest on receipt.batch_id = latest.batch_id
"""

_OWNERS = """
with roles as (select oid, rolname from pg_roles where rolname = any(%s))
select
    case relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end,
    relnamespace::regnamespace || '.' || quote_ident(relname), rolname::text
from pg_class inner join roles on relowner = roles.oid
where relkind in ('r', 'p', 'v', 'm') and relpersistence <> 't'
union all
select 'function', proc.oid::regprocedure::text, rolname::text
from pg_proc as proc inner join roles on proowner = roles.oid
union all
select 'schema', quote_ident(nspname), rolname::text
from pg_namespace inner join roles on nspowner = roles.oid
where nspname !~ '^pg_'
order by 1, 2
"""

_OTHER_ROLES = """
select distinct rolname::text
from (
    select nspowner as owner, (aclexplode(nspacl)).grantee from pg_namespace
    union all
    select relowner, (aclexplode(relacl)).grantee from pg_class
    union all
    select c.relowner, (aclexplode(attacl)).grantee
    from pg_attribute inner join pg_class as c on attrelid = c.oid
    union all
    select defaclrole, (aclexplode(defaclacl)).grantee from pg_default_acl
) as given
inner join pg_roles on given.grantee = pg_roles.oid
where given.grantee <> given.owner and rolname <> all(%s) and rolname !~ '^pg_'
order by 1
"""
