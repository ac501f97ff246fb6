"""An export again, of an earlier release, and what happens when something fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import loaders.exports as exports
from loaders.exports import ExportError, export_newest, export_release
from loaders.exports.release import open_release
from loaders.postgres.database import Role, connect
from loaders.settings import get_settings
from tests import exported
from tests.candidate_marts import FORMULA, publish_whole, values
from tests.conftest import Warehouse
from tests.exported import VALUES
from tests.integration.commands import nq42
from tests.integration.exports import FIRST, LICENCE, SECOND, Published, bytes_of, publish_two
from tests.report_pages import cell


@pytest.fixture(scope="module")
def published(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish_two(warehouse.home, tmp_path_factory.mktemp("kept"))


def test_the_same_release_gives_the_same_bytes_also_when_it_is_an_earlier_one(
    published: Published, tmp_path: Path
) -> None:
    for release_id, kept in published.folders.items():
        again = export_release(release_id, tmp_path)
        assert again.folder == tmp_path / release_id
        assert bytes_of(again.folder) == bytes_of(kept), release_id


def test_an_earlier_release_holds_what_was_published_then(published: Published) -> None:
    rows = exported.read_csv(published.folders[FIRST] / "csv", VALUES)
    assert [(row["kpi_id"], str(row["value"])) for row in rows] == [
        ("cover", "1.0"),
        ("quote", "2"),
    ]


@pytest.fixture
def _broken_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Iterator[tuple[Path, int]]:
        raise OSError("no space left")
        yield

    monkeypatch.setitem(exports.FORMATS, "json", fail)


@pytest.mark.usefixtures("_broken_writer")
def test_a_writer_that_fails_leaves_nothing_and_the_earlier_export(
    published: Published, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="no space left"):
        export_release(SECOND, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    shutil.copytree(published.folder, tmp_path / SECOND)
    with pytest.raises(OSError, match="no space left"):
        export_release(SECOND, tmp_path)
    assert bytes_of(tmp_path / SECOND) == bytes_of(published.folder)


def test_a_release_that_does_not_come_back_is_not_exported(
    published: Published, tmp_path: Path
) -> None:
    with connect(Role.ADMIN) as connection:
        connection.execute("alter table publication.mart_row disable trigger append_only")
        connection.execute(
            'update publication.mart_row set content = content || \'{"name_vi": "khác"}\''
            " where mart = 'dim_kpi' and content ->> 'kpi_id' = 'cover'"
        )
        connection.commit()
        try:
            with pytest.raises(ExportError, match=r"marts\.dim_kpi of release 2025-07\.1"):
                export_release(SECOND, tmp_path)
        finally:
            connection.execute(
                "update publication.mart_row set content = content || %s::jsonb"
                " where mart = 'dim_kpi' and content ->> 'kpi_id' = 'cover'",
                (json.dumps({"name_vi": FORMULA}),),
            )
            connection.execute("alter table publication.mart_row enable always trigger append_only")
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    export_release(SECOND, tmp_path)


def test_a_release_that_no_event_vouches_for_is_not_exported(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.exports.release.RELEASE_EVENT", "no.such.event")
    with pytest.raises(ExportError, match=r"no audit event vouches for release 2025-07\.1"):
        export_release(SECOND, tmp_path)


def test_an_export_cannot_write_to_the_database_and_waits_for_no_release(
    published: Published,
) -> None:
    with open_release(None) as (connection, _):
        (role,) = connection.execute("select current_user").fetchone()
        assert role == Role.AUDITOR
        assert connection.execute("show transaction_read_only").fetchone() == ("on",)
        assert connection.execute("show transaction_isolation").fetchone() == ("repeatable read",)
        held = connection.execute(
            "select relation::regclass::text from pg_locks"
            " where pid = pg_backend_pid() and relation is not null"
        ).fetchall()
        assert not [name for (name,) in held if name.startswith("marts.")]


def test_the_command_exports_and_names_the_releases_that_there_are(
    published: Published, tmp_path: Path
) -> None:
    done = nq42("export", "--release", FIRST, "--out", str(tmp_path), "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / FIRST) in done.stdout
    written = bytes_of(tmp_path / FIRST)
    assert written["csv/scorecard.csv"] == bytes_of(published.folders[FIRST])["csv/scorecard.csv"]
    assert {path.split("/")[0] for path in written} == {"csv", "manifest.json", "SHA256SUMS"}
    unknown = nq42("export", "--release", "2031-01.1", "--out", str(tmp_path))
    assert unknown.returncode == 1 and "Traceback" not in unknown.stderr
    assert f"there is no release 2031-01.1; known: {FIRST}, {SECOND}" in unknown.stderr
    other = nq42("export", "--format", "dbf", "--out", str(tmp_path))
    assert other.returncode == 1
    assert "no format dbf; known: csv, parquet, xlsx, sdmx, json" in other.stderr
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [FIRST]


def test_a_candidate_that_shows_a_hidden_figure_is_not_exported(
    warehouse: Warehouse, published: Published
) -> None:
    shown = cell("cover", "1", is_suppressed=True, numerator=None)
    release_id = publish_whole("shown", "2025-07", [shown])
    with pytest.raises(ExportError, match="fct_kpi_value shows the figures of 1 hidden cells"):
        export_release()
    assert not (warehouse.home / "exports" / release_id).exists()
    publish_whole("healed", "2025-07", values())


@pytest.mark.parametrize(("given", "written"), [("CC BY 4.0", "CC BY 4.0"), (" ", LICENCE)])
def test_the_licence_is_a_setting(
    published: Published,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str,
    written: str,
) -> None:
    monkeypatch.setenv("NQ42_LICENCE_NOTE", given)
    get_settings.cache_clear()
    folder = export_release(SECOND, tmp_path, ["json"]).folder
    assert exported.read_json(folder / "json" / "index.json")["licence_note"] == written
    get_settings.cache_clear()


def test_exports_of_the_newest_releases_stay(
    warehouse: Warehouse, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the moment of publication, not by name; what is no export is nobody's to delete."""
    exports = warehouse.home / "exports"
    export_release(FIRST)
    export_release(SECOND)
    (exports / "notes").mkdir()
    newest = export_newest().release_id
    assert {FIRST, SECOND, newest} <= {path.name for path in exports.iterdir()}
    monkeypatch.setenv("NQ42_EXPORTS_KEPT", "1")
    get_settings.cache_clear()
    assert export_newest().release_id == newest
    assert sorted(path.name for path in exports.iterdir() if path.is_dir()) == [newest, "notes"]
    get_settings.cache_clear()
