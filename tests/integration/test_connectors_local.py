"""The local connector: inbox and share, files that are not whole, and ways out of the folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from loaders.settings import SettingsError, get_settings
from loaders.stages.land import PARTIAL_PREFIX, purge_expired
from tests.conftest import Warehouse
from tests.integration.landing import CONTENT, SOURCE, Landing, landed, partial_files, recorded


@pytest.fixture
def inbox(warehouse: Warehouse) -> Path:
    """The inbox of the source; each test takes months of its own."""
    return warehouse.inbox / SOURCE


def put(folder: Path, name: str, content: bytes = CONTENT) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_pattern_finds_a_name_that_changes(landing: Landing, inbox: Path) -> None:
    put(inbox, "2024-01/DS_202401_v7 (chốt).csv")
    put(inbox, "2024-01/DS_202401_v7 (chốt).csv.delivery.json", b'{"maturity": "final"}')
    result = landing("2024-01", "local", pattern="DS_{yyyymm}*.csv*")
    assert landed(result) == CONTENT
    assert result.file_name == "DS_202401_v7 (chốt).csv"


def test_two_files_that_match_are_refused_by_name(landing: Landing, inbox: Path) -> None:
    put(inbox, "2024-02/a_1.csv")
    put(inbox, "2024-02/a_2.csv")
    result = landing("2024-02", "local", pattern="a_*.csv")
    assert result.status == "refused"
    assert "2 files match a_*.csv" in (result.reason or "")
    assert "a_1.csv, a_2.csv; leave one there" in (result.reason or "")


@pytest.mark.parametrize("pattern", ["out.csv", "o*.csv"])
def test_a_link_out_of_the_folder_is_refused(
    landing: Landing, inbox: Path, tmp_path: Path, pattern: str
) -> None:
    secret = put(tmp_path, "passwd", b"root:x")
    folder = inbox / "2024-03"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "out.csv"
    link.unlink(missing_ok=True)
    link.symlink_to(secret)
    result = landing("2024-03", "local", pattern=pattern)
    assert result.status == "refused"
    assert "out.csv is a link that leads out of" in (result.reason or "")


def test_a_folder_that_leads_out_is_refused(landing: Landing, inbox: Path, tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/x.csv")
    folder = inbox / "2024-04"
    folder.mkdir(parents=True)
    (folder / "sub").symlink_to(tmp_path / "elsewhere")
    assert landing("2024-04", "local", pattern="sub/x.csv").status == "refused"


def test_a_file_that_is_still_being_written_waits(landing: Landing, inbox: Path) -> None:
    path = put(inbox, "2024-05/slow.csv", b"a;b\n")
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.02):
            with path.open("ab") as file:
                file.write(b"1;2\n")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        result = landing("2024-05", "local", pattern="slow.csv", stable_seconds=0.2)
    finally:
        stop.set()
        writer.join()
    assert (result.status, result.is_unreachable) == ("missing", True)
    assert "slow.csv is still being written" in (recorded("2024-05")["reason"] or "")
    assert landed(landing("2024-05", "local", pattern="slow.csv", stable_seconds=0.05))


def test_more_bytes_than_the_limit_are_refused(landing: Landing, inbox: Path) -> None:
    put(inbox, "2024-06/big.csv")
    result = landing("2024-06", "local", pattern="big.csv", max_bytes=1000)
    assert result.status == "refused"
    assert f"the file has {len(CONTENT)} bytes or more" in (result.reason or "")


def test_a_share_is_named_by_a_setting(
    landing: Landing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"pattern": "x.csv", "folder": "$NQ42_SHARE_TEST/out/{period}", "maturity": "final"}
    with pytest.raises(SettingsError, match="NQ42_SHARE_TEST is not set"):
        landing("2024-07", "local", **options)
    monkeypatch.setenv("NQ42_SHARE_TEST", str(tmp_path))
    away = landing("2024-07", "local", **options)
    assert (away.status, away.is_unreachable) == ("missing", True)
    assert "is the share mounted?" in (away.reason or "")
    (tmp_path / "out").mkdir()
    early = landing("2024-07", "local", **options)
    assert (early.status, early.is_unreachable) == ("missing", False)
    put(tmp_path, "out/2024-07/x.csv")
    assert landed(landing("2024-07", "local", **options)) == CONTENT


@pytest.mark.parametrize("note", [b"\xff\xfe", b"[", b"{}" + b" " * 2**20])
def test_a_side_car_of_any_bytes_is_refused_with_its_name(
    landing: Landing, inbox: Path, note: bytes
) -> None:
    put(inbox, "2024-08/x.csv")
    put(inbox, "2024-08/x.csv.delivery.json", note)
    result = landing("2024-08", "local", pattern="x.csv")
    assert result.status == "refused"
    assert "x.csv.delivery.json" in (result.reason or "")


def test_what_a_killed_process_left_is_purged(warehouse: Warehouse) -> None:
    store = get_settings().landing
    store.mkdir(exist_ok=True)
    old, young = store / f"{PARTIAL_PREFIX}old", store / f"{PARTIAL_PREFIX}young"
    for path in (old, young):
        path.write_bytes(b"051185000123")
    os.utime(old, (0, 0))
    purge_expired(get_settings().landing_retention_days)
    assert partial_files() == [young]
    young.unlink()
