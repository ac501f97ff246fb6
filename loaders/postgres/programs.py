"""PostgreSQL's own programs (pg_dump, pg_restore, psql), of the server's major version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from loaders.postgres import embedded
from loaders.postgres.database import admin_url, conninfo

#: Where Debian and Ubuntu keep the programs of each version.
SYSTEM_FOLDER = Path("/usr/lib/postgresql")
#: libpq reads these; a password on the command line would be seen by everybody on the machine.
VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "options": "PGOPTIONS",
}


class ProgramError(ValueError):
    """PostgreSQL's programs of the server's version are not here; the message says what to do."""


def find_programs(major: int) -> Path:
    """The folder with pg_dump, pg_restore and psql of this major version.

    An older pg_dump refuses the server, and what a newer one writes may not load into it.

    Raises:
        ProgramError: no folder holds that version; the message names those that were found.
    """
    on_path = shutil.which("pg_dump")
    folders = [
        *embedded.program_folders(),
        *([Path(on_path).parent] if on_path else []),
        SYSTEM_FOLDER / str(major) / "bin",
    ]
    found = {folder: version for folder in folders if (version := _version(folder)) is not None}
    for folder, version in found.items():
        if version == major:
            return folder
    versions = ", ".join(map(str, sorted(set(found.values())))) or "none"
    raise ProgramError(
        f"the server is PostgreSQL {major}, and pg_dump {major} is not here (found: {versions}). "
        f"Install its programs (Debian: apt-get install postgresql-client-{major}) or put their "
        "folder first in PATH"
    )


def _version(folder: Path) -> int | None:
    if not (folder / "pg_dump").exists():
        return None
    done = subprocess.run(
        [str(folder / "pg_dump"), "--version"], capture_output=True, text=True, check=False
    )
    number = re.search(r"\) (\d+)", done.stdout)
    return int(number[1]) if number else None


def login_environment() -> dict[str, str]:
    """The environment in which libpq's programs reach the warehouse as the admin login."""
    given = conninfo_to_dict(conninfo(admin_url()))
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    named = {VARIABLES[key]: str(value) for key, value in given.items() if key in VARIABLES}
    return {**inherited, **named, "PGAPPNAME": "nq42_admin"}
