"""What an installation is bound to: its pseudonym key and the text of its migrations.

Both are recorded once, as an event of the audit chain, so that another key and a migration that was
changed after it ran are found.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

import psycopg

from loaders import audit
from loaders.postgres.migrate import SQL_FOLDER
from loaders.settings import SettingsError, get_settings

EVENT = "installation.recorded"
FINGERPRINT_MESSAGE = b"nq42 fingerprint"


@dataclass(frozen=True)
class Recorded:
    """What the audit chain says.

    Attributes:
        key_fingerprint: of the key that made the pseudonyms; None before the first setup.
        migrations: id → sha256 of its file when it was first seen applied.
    """

    key_fingerprint: str | None = None
    migrations: dict[str, str] = field(default_factory=dict)


def key_fingerprint(key: bytes) -> str:
    """32 hexadecimal digits that tell keys apart; the key cannot be computed from them."""
    return hmac.new(key, FINGERPRINT_MESSAGE, hashlib.sha256).hexdigest()[:32]


def migration_files() -> dict[str, str]:
    """Id → sha256 of every migration of this version, in order."""
    return {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(SQL_FOLDER.glob("[0-9]*.sql"))
    }


def read_recorded(connection: psycopg.Connection) -> Recorded:
    """The first word on each thing holds: a later one does not take its place."""
    rows = connection.execute(
        "select payload from audit.event where kind = %s order by seq", (EVENT,)
    ).fetchall()
    found = Recorded()
    for (payload,) in rows:
        found = Recorded(
            found.key_fingerprint or payload.get("key_fingerprint"),
            payload["migrations"] | found.migrations,
        )
    return found


def record_installation(connection: psycopg.Connection) -> bool:
    """Record what is new; whether anything was. Needs a role that may append to the chain.

    Raises:
        SettingsError: the key is not the one that made the pseudonyms of this warehouse.
    """
    fingerprint = key_fingerprint(get_settings().require_pseudonym_key())
    audit.lock(connection)  # so that two setups at once record it once
    known = read_recorded(connection)
    if known.key_fingerprint not in (None, fingerprint):
        raise SettingsError(
            "NQ42_PSEUDONYM_KEY is not the key that made the pseudonyms of this warehouse: with "
            "this one the same person gets another pseudonym and months no longer join. Put the "
            "old key back; its fingerprint begins with " + known.key_fingerprint[:8]
        )
    new = {name: sha for name, sha in migration_files().items() if name not in known.migrations}
    if known.key_fingerprint and not new:
        return False
    payload = {"key_fingerprint": fingerprint, "migrations": new}
    audit.append(connection, EVENT, payload)
    return True
