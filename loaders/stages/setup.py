"""What must stand before the first delivery: schemas, raw tables, geography and programme."""

from __future__ import annotations

from loaders.contracts.model import load_contracts
from loaders.postgres.database import Role, connect
from loaders.postgres.migrate import migrate
from loaders.settings import get_settings
from loaders.stages.build import seed_reference
from loaders.stages.gate import ensure_raw_tables


def prepare_warehouse() -> None:
    """Migrate, create the raw tables of the contracts, load the seeds; safe to repeat.

    Raises:
        SettingsError: the pseudonym key is missing: better now than with the first file.
        BuildError: a seed does not load.
    """
    get_settings().require_pseudonym_key()
    migrate()
    with connect(Role.LOADER) as connection:
        ensure_raw_tables(connection, [d for c in load_contracts() for d in c.datasets])
    seed_reference()
