"""What must stand before the first delivery: schemas, raw tables, geography and programme."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from loaders import audit
from loaders.contracts.model import Dataset, load_contracts
from loaders.postgres.database import Role, connect
from loaders.postgres.migrate import migrate
from loaders.settings import get_settings
from loaders.stages.build import seed_reference
from loaders.stages.gate import ensure_raw_tables
from loaders.stages.installation import record_installation


def prepare_warehouse() -> None:
    """Migrate, create the raw tables of the contracts, record when they are due, load the seeds.

    Safe to repeat.

    Raises:
        SettingsError: the pseudonym key is missing, or is not the one that this warehouse was
            filled with: better now than with the first file.
        BuildError: a seed does not load.
    """
    get_settings().require_pseudonym_key()
    migrate()
    datasets = [dataset for contract in load_contracts() for dataset in contract.datasets]
    with connect(Role.LOADER) as connection:
        record_installation(connection)
        ensure_raw_tables(connection, datasets)
        record_schedule(connection, datasets)
    seed_reference()


def record_schedule(connection: psycopg.Connection, datasets: Iterable[Dataset]) -> int:
    """Record when each dataset is due, where that is not recorded yet; the number of new rows.

    Whether a delivery was late is judged by it, so a change is an event of the audit trail.
    """
    audit.lock(connection)  # so that two setups at once record it once
    known = {
        (source, dataset): tuple(rest)
        for source, dataset, *rest in connection.execute(
            """
            select distinct on (source, dataset)
                source, dataset, title_vi, title_en, frequency, due_day, first_period,
                contract_version
            from audit.delivery_schedule
            order by source, dataset, id desc
            """
        )
    }
    recorded = 0
    for dataset in datasets:
        schedule = dataset.extension.schedule
        values = {
            "title_vi": dataset.title_vi,
            "title_en": dataset.title_en,
            "frequency": schedule.frequency,
            "due_day": schedule.due_day,
            "first_period": schedule.first_period,
            "contract_version": dataset.contract_version,
        }
        if known.get((dataset.source, dataset.name)) == tuple(values.values()):
            continue
        row = {"source": dataset.source, "dataset": dataset.name, **values}
        audit.insert_vouched(connection, audit.SCHEDULE_EVENT, row)
        recorded += 1
    return recorded
