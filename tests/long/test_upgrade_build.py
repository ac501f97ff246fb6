"""From the first version's warehouse to a release that today's models compute."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL

from loaders import audit
from loaders.contracts.model import load_contracts
from loaders.operations.restore import restore
from loaders.postgres.database import Role, connect
from loaders.sample import generate
from loaders.settings import PROJECT_ROOT, get_settings
from loaders.stages.approve import approve
from loaders.stages.build import build
from loaders.stages.gate import gate_release
from loaders.stages.intake import import_source
from loaders.stages.publish import publish
from loaders.stages.setup import prepare_warehouse

MONTH = "2025-08"


def test_the_first_versions_warehouse_gets_a_release_of_todays_models(
    empty_database: URL, tmp_path: Path
) -> None:
    restore(PROJECT_ROOT / "tests" / "data" / "upgrade" / "4")
    with connect(Role.TRANSFORMER) as connection:
        # The seed of one commune was made by hand.
        connection.execute("drop table reference.geo_unit")
    prepare_warehouse()
    generate([MONTH], 0.01, 7, get_settings().inbox, tmp_path / "truth")
    for contract in load_contracts():
        for taken in import_source(contract.source, MONTH):
            assert taken.status == "accepted", taken
    built = build(MONTH)
    assert built.candidate_id is not None
    judged = gate_release(built.candidate_id)
    assert judged.status in ("accepted", "waiting"), judged.reason
    if judged.status == "waiting":
        approve(
            built.candidate_id,
            by="Nguyễn Thị Lan",
            reason="the first release of the upgraded warehouse",
            account="test",
        )
    assert publish(built.candidate_id).release_id == f"{MONTH}.1"
    with connect(Role.AUDITOR) as connection:
        found = [f.what for f in audit.verify(connection, None, get_settings().landing)]
        row = connection.execute("select count(*) from marts.scorecard").fetchone()
    assert row is not None and row[0] > 0
    # What the first version never hashed is named; see tests/integration/test_upgrade.py.
    assert all(": no hash in the chain for its" in what for what in found) and len(found) == 3
