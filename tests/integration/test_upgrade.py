"""Warehouses that older versions filled are brought to today's, and work goes on in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from loaders import audit
from loaders.operations.backup import back_up
from loaders.operations.manifest import read_verified
from loaders.operations.restore import restore
from loaders.operations.rights import compare
from loaders.operations.server_checks import check_migrations
from loaders.postgres.database import Role, connect
from loaders.postgres.migrate import migrate
from loaders.settings import PROJECT_ROOT, get_settings
from loaders.stages.installation import migration_files, record_installation
from loaders.stages.intake import import_dataset
from loaders.stages.publish import publish
from loaders.stages.setup import record_schedule
from tests.candidates import make_candidate
from tests.conftest import Warehouse
from tests.integration.members import DATASET, SOURCE, deliver, prepare_raw, row

FOLDER = PROJECT_ROOT / "tests" / "data" / "upgrade"
VERSIONS = sorted((path for path in FOLDER.iterdir() if path.is_dir()), key=lambda p: int(p.name))


def findings() -> list[str]:
    with connect(Role.AUDITOR) as connection:
        return [found.what for found in audit.verify(connection, None, get_settings().landing)]


#: Rule results and refused rows have a hash in the chain since this version. Of older ones nobody
#: can say later that they are unchanged, and the verification goes on to name them.
SETS_ARE_HASHED = 7
WITHOUT_HASH = re.compile(r"^(audit\.rule_result|quarantine\.judged_row) .*: no hash in the chain")


def new_findings(version: Path) -> list[str]:
    """What the verification says beyond what the version never recorded."""
    found = findings()
    known = [what for what in found if WITHOUT_HASH.match(what)]
    assert len(known) == (3 if int(version.name) < SETS_ARE_HASHED else 0), known
    return [what for what in found if what not in known]


def rows_of(month: str) -> int:
    with connect(Role.TRANSFORMER) as connection:
        found = connection.execute(
            f"select count(*) from raw.{SOURCE}__{DATASET} where _period = %s", (month,)
        ).fetchone()
    assert found is not None
    return found[0]


def test_every_version_that_ran_with_data_is_here() -> None:
    assert [int(path.name) for path in VERSIONS][:4] == [4, 5, 7, 10]
    for path in VERSIONS:
        migrations = read_verified(path).migrations
        assert len(migrations) == int(path.name)
        assert migrations == list(migration_files())[: len(migrations)]
    listed = re.findall(r"^\| (\d+) \|", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE)
    assert listed == [path.name for path in VERSIONS]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: f"from-{path.name}")
def test_an_older_warehouse_is_brought_to_today_and_goes_on(
    version: Path, empty_database: URL, tmp_path: Path
) -> None:
    held = restore(version)  # migrates
    assert migrate() == []
    with connect(Role.LOADER) as connection:
        datasets = prepare_raw(connection)
        assert record_installation(connection)
        assert record_schedule(connection, datasets) == len(datasets)
    with connect(Role.ADMIN) as connection:
        assert check_migrations(connection).status == "ok"
        assert compare(connection) == ([], [])
    assert new_findings(version) == []
    assert rows_of("2025-06") == (119 if len(held.migrations) >= 7 else 118)
    assert rows_of("2025-07") == 120

    here = Warehouse(get_settings(), empty_database)
    deliver(here, [row(n, month="08/2025") for n in range(2, 123)], "2025-08")
    assert import_dataset(SOURCE, DATASET, "2025-08").status == "accepted"
    assert rows_of("2025-08") == 121
    months = [{"period": month} for month in ("2025-06", "2025-07", "2025-08")]
    make_candidate("2025-08-one", months, period="2025-08")
    assert publish("2025-08-one").release_id == "2025-08.1"
    assert new_findings(version) == []
    assert back_up(tmp_path / "b").lacking == []
