"""Archives up to a release, and that they say what the database says."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from loaders import audit
from loaders.audit import Verification
from loaders.audit.archive import ExportTrail
from loaders.audit.export import export
from loaders.audit.trail import DatabaseTrail, open_snapshot
from loaders.postgres.database import Role, connect
from loaders.stages.gate.results import quarantine_digest
from loaders.stages.publish import publish

pytestmark = pytest.mark.usefixtures("warehouse")

BATCH = {"source": "health", "dataset": "staff", "period": "2025-06"}
MakeCandidate = Callable[..., str]


def test_an_archive_up_to_a_release_ends_there(
    make_candidate: MakeCandidate, tmp_path: Path
) -> None:
    make_candidate("first", [{}, {"unit_code": "21028"}])
    first = publish("first").release_id
    make_candidate("second", [{"numerator": 11}], period="2025-07")
    second = publish("second").release_id
    with connect(Role.LOADER) as connection:
        audit.append(connection, "afterwards", {})
    found = {}
    with connect(Role.AUDITOR) as connection:
        for until in (first, second, None):
            path = tmp_path / f"{until}.zip"
            index = export(DatabaseTrail(connection, until), path)
            with ExportTrail(path) as trail:
                verification = Verification(trail)
                assert list(verification.findings()) == []
                assert verification.head == index["head"]
            found[until] = (verification.counts, verification.notes)
        assert audit.verify(connection) == []
    not_there = "the marts were not compared: they cannot be read from here"
    assert [not_there in notes for _, notes in found.values()] == [True, False, False]
    counts = [(c["publication.release"], c["publication.kpi_value"]) for c, _ in found.values()]
    assert counts == [(1, 1), (2, 2), (2, 2)]
    assert found[None][0]["audit.event"] == found[second][0]["audit.event"] + 1
    with zipfile.ZipFile(tmp_path / f"{first}.zip") as archive:
        names = {name for name in archive.namelist() if name.startswith("publication/kpi_value")}
        assert names == {"publication/kpi_value/000001.csv"}


def test_an_archive_of_a_changed_warehouse_says_what_the_database_says(
    make_candidate: MakeCandidate, tmp_path: Path
) -> None:
    make_candidate("third", [{"numerator": 12}], period="2025-07")
    publish("third")
    with connect(Role.ADMIN) as connection:
        for table in ("publication.release", "publication.kpi_value", "audit.event"):
            connection.execute(f"alter table {table} disable trigger all")
        connection.execute("update publication.release set run_id = 'x' where release_seq = 1")
        connection.execute("update publication.kpi_value set value = 1 where release_seq = 1")
        connection.execute("update marts.fct_kpi_value set value = 1")
        connection.execute("update audit.event set at = now() where seq = 1")
        connection.execute("create table marts.stray (id bigint)")
        findings = audit.verify(connection)
        export(DatabaseTrail(connection), tmp_path / "x.zip")
        connection.rollback()
    begins = (
        "event 1 (",
        "publication.release 1 was changed after it was recorded: run_id: ",
        "publication.kpi_value was changed after release 2025-06.1: sha256 ",
        "marts.fct_kpi_value is not what release 2025-07.",
        "marts.stray is no part of release 2025-07.",
    )
    assert [f.what for f in findings if not f.what.startswith(begins)] == []
    assert len(findings) == len(begins)
    with ExportTrail(tmp_path / "x.zip") as trail:
        assert list(Verification(trail).findings()) == findings


def judge(batch_id: str, status: str) -> None:
    with connect(Role.LOADER) as connection:
        refused = quarantine_digest(connection, batch_id)
        audit.record_batch_result(
            connection,
            batch_id=batch_id,
            **BATCH,
            stage="gate",
            status=status,
            details={"gate_run": "none", "quarantine_sha256": refused.sha256},
        )


def test_an_archive_up_to_a_release_says_what_was_judged_again_since(
    make_candidate: MakeCandidate, tmp_path: Path
) -> None:
    with connect(Role.LOADER) as connection:
        audit.record_batch_result(
            connection, batch_id="held", **BATCH, stage="load", status="loaded"
        )
        connection.execute(
            'insert into quarantine."row" (batch_id, source, dataset, period, file_sha256,'
            " row_number, rule_id, rule_version, severity, reason_vi, reason_en)"
            " values ('held', 'health', 'staff', '2025-06', 'x', 1, 'a.b', 1, 'critical', '', '')"
        )
    judge("held", "held")
    make_candidate("fourth", [{"numerator": 13}], period="2025-07")
    release_id = publish("fourth").release_id
    path = tmp_path / "before.zip"
    with connect(Role.LOADER) as connection:
        connection.execute("delete from quarantine.\"row\" where batch_id = 'held'")
    judge("held", "accepted")
    with connect(Role.AUDITOR) as connection:
        assert audit.verify(connection) == []
        export(DatabaseTrail(connection, release_id), path)
    with ExportTrail(path) as trail:
        verification = Verification(trail)
        assert list(verification.findings()) == []
    assert any("judged again after release" in note for note in verification.notes)


def test_a_snapshot_holds_the_next_release_back(make_candidate: MakeCandidate) -> None:
    """The marts must not change under a verification."""
    with connect(Role.AUDITOR) as connection:
        open_snapshot(connection)
        with connect(Role.PUBLISHER) as other:
            other.execute("set local lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("select pg_advisory_xact_lock(%s)", (audit.PUBLISH_LOCK_KEY,))
            other.rollback()
        with pytest.raises(ValueError, match="in no transaction"):
            connection.execute("select 1")
            open_snapshot(connection)
    with connect(Role.PUBLISHER) as other:
        other.execute("set local lock_timeout = '50ms'")
        other.execute("select pg_advisory_xact_lock(%s)", (audit.PUBLISH_LOCK_KEY,))
