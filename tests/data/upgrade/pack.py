"""Make a backup of a warehouse that an older version filled; run with today's code.

`python pack.py FOLDER`. `nq42 backup` itself reads columns that older versions did not have.
"""

from __future__ import annotations

import sys
from pathlib import Path

from loaders.operations.backup import _OWNERS, _dump, _files, _snapshot
from loaders.operations.manifest import DUMP, LANDING, Manifest, copy_private, write_manifest
from loaders.operations.rights import ROLES
from loaders.postgres.database import Role, connect
from loaders.settings import get_settings


def pack(folder: Path) -> None:
    """Dump, landing store and manifest."""
    landing = get_settings().landing
    for path in landing.rglob("*"):
        if path.is_file():
            copy_private(path, folder / LANDING / path.relative_to(landing))
    with connect(Role.ADMIN) as connection:
        connection.execute("delete from _yoyo_log")  # it names the machine and its user
    with _snapshot() as (connection, snapshot):
        _dump(connection, snapshot, folder / DUMP)
        seq, head = connection.execute(
            "select seq, hash from audit.event order by seq desc limit 1"
        ).fetchone()
        migrations = connection.execute("select migration_id from _yoyo_migration order by 1")
        manifest = Manifest(
            created_at="2025-08-06T00:00:00+00:00",
            server_major=connection.info.server_version // 10_000,
            migrations=[name for (name,) in migrations.fetchall()],
            chain_seq=seq,
            chain_head=head,
            release_id="2025-07.1",
            key_fingerprint=None,
            owners=[list(row) for row in connection.execute(_OWNERS, (list(ROLES),))],
            other_roles=[],
            lacking=[],
            files=_files(folder),
        )
    write_manifest(folder, manifest)


if __name__ == "__main__":
    pack(Path(sys.argv[1]))
