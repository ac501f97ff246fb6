"""A packed delivery gives its one file, and nothing an archive can hold does harm."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loaders.contracts.model import Reader, get_dataset
from loaders.readers import Limits, ReaderError
from loaders.readers.unpack import Unpack, said_by, unpacked
from loaders.stages import load

ROWS = b"A,B\n1,2\n"


def archive(path: Path, files: dict[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content, zipfile.ZIP_DEFLATED)
    return path


def content(path: Path, unpack: Unpack | None, limits: Limits | None = None) -> bytes:
    work = path.parent / "work"
    try:
        with unpacked(path, unpack, limits or Limits(), work) as file:
            if file != path:
                assert stat.S_IMODE(file.stat().st_mode) == 0o600
                assert stat.S_IMODE(work.stat().st_mode) == 0o700
            return file.read_bytes()
    finally:
        assert not work.exists() or list(work.iterdir()) == []


ZIP, GZIP = Unpack(format="zip"), Unpack(format="gzip")


def test_a_file_that_is_not_packed_stays_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(ROWS)
    assert content(tmp_path / "a", None) == ROWS
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("member", [None, "*.csv", "DS_*.CSV", "2025/ds_06.csv"])
def test_zip_gives_its_one_member(tmp_path: Path, member: str | None) -> None:
    files = {"2025/": b"", "2025/ds_06.csv": ROWS, "__MACOSX/2025/._ds_06.csv": b"x"}
    path = archive(tmp_path / "a", files | ({"readme.txt": b"x"} if member else {}))
    assert content(path, Unpack(format="zip", member=member)) == ROWS


def test_names_in_an_old_code_page_do_no_harm(tmp_path: Path) -> None:
    path = archive(tmp_path / "a", {"DSXXX.csv": ROWS})
    old = "Bảng".encode("cp1258", "replace")[:3]
    path.write_bytes(path.read_bytes().replace(b"XXX", old))
    assert content(path, ZIP) == ROWS
    assert content(path, Unpack(format="zip", member="ds*.csv")) == ROWS
    # A name that says it is UTF-8 and is not.
    info = zipfile.ZipInfo("é.csv")
    path = archive(tmp_path / "b", {info: ROWS})
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xe9\xe9"))
    with pytest.raises(ReaderError, match="not a readable ZIP archive"):
        content(path, ZIP)


def test_gzip_of_one_or_several_streams(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(ROWS))
    assert content(path, GZIP) == ROWS
    path.write_bytes(gzip.compress(ROWS) + gzip.compress(b"3,4\n"))
    assert content(path, GZIP) == ROWS + b"3,4\n"


def test_a_workbook_is_no_archive_inside(tmp_path: Path) -> None:
    book = archive(tmp_path / "book", {"[Content_Types].xml": b"<x/>", "xl/a.xml": b"<x/>"})
    path = archive(tmp_path / "a", {"a.xlsx": book.read_bytes()})
    assert content(path, ZIP) == book.read_bytes()


@pytest.mark.parametrize(
    ("files", "member", "reason"),
    [
        ({"a.csv": ROWS, "b.csv": ROWS}, None, r"2 files in the archive.*'a.csv', 'b.csv'"),
        ({"a.csv": ROWS, "b.csv": ROWS}, "*.csv", r"2 files that fit '\*.csv' in the archive"),
        ({"a.txt": ROWS}, "*.csv", r"no file '\*.csv' in the archive.*'a.txt'"),
        ({}, None, r"no file in the archive"),
        ({"../a.csv": ROWS}, None, "leads out of the archive"),
        ({"/etc/a.csv": ROWS}, None, "leads out of the archive"),
        ({"C:\\a.csv": ROWS}, None, "leads out of the archive"),
        ({"b\\..\\..\\a.csv": ROWS}, None, "leads out of the archive"),
        ({"a.csv": b""}, None, r"empty \(0 bytes\)"),
        ({"a.csv": gzip.compress(ROWS)}, None, "an archive inside the archive"),
        ({"a.csv": b"\0" * 257 + b"ustar"}, None, "an archive inside the archive"),
        ({"a.csv": ROWS, "A.CSV": ROWS}, None, "stands twice"),
    ],
)
def test_archives_that_are_refused(
    tmp_path: Path, files: dict[str | zipfile.ZipInfo, bytes], member: str | None, reason: str
) -> None:
    path = archive(tmp_path / "a", files)
    with pytest.raises(ReaderError, match=reason):
        content(path, Unpack(format="zip", member=member))


def test_archive_inside_the_archive_is_refused(tmp_path: Path) -> None:
    inner = archive(tmp_path / "inner", {"a.csv": ROWS}).read_bytes()
    with pytest.raises(ReaderError, match=r"'a\.zip' is an archive inside the archive"):
        content(archive(tmp_path / "a", {"a.zip": inner}), ZIP)
    (tmp_path / "b").write_bytes(gzip.compress(inner))
    with pytest.raises(ReaderError, match="an archive inside the archive"):
        content(tmp_path / "b", GZIP)


def test_a_name_that_holds_a_personal_number_is_not_shown(tmp_path: Path) -> None:
    path = archive(tmp_path / "a", {"051088001234.csv": ROWS, "../051088001234.csv": ROWS})
    with pytest.raises(ReaderError) as caught:
        content(path, ZIP)
    assert "'../#.csv'" in str(caught.value)
    path = archive(tmp_path / "a", {"051088001234.csv": ROWS, "2025-06.csv": ROWS})
    with pytest.raises(ReaderError) as caught:
        content(path, ZIP)
    assert "['#.csv', '2025-06.csv']" in str(caught.value)


def test_load_reads_what_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = get_dataset("poverty_review", "poor_households")
    reader = Reader(name="csv", options={"delimiter": ";"}, unpack=GZIP)
    extension = dataset.extension.model_copy(update={"reader": reader})
    headers = ";".join(dataset.headers("2025-06"))
    (tmp_path / "landed").write_bytes(gzip.compress(f"{headers}\n".encode()))
    monkeypatch.setattr(load, "get_settings", lambda: SimpleNamespace(landing=tmp_path))
    batch = load.Batch(
        "b", replace(dataset, extension=extension), "2025-06", "s", "landed", "f", "real", {}
    )
    with load._open(batch) as table:
        assert table.headers == dataset.headers("2025-06")
        assert len(list((tmp_path / ".work").iterdir())) == 1
    assert list((tmp_path / ".work").iterdir()) == []


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.csv")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ReaderError, match="is a link"):
        content(archive(tmp_path / "a", {link: b"/etc/passwd"}), ZIP)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    raw = bytearray(archive(tmp_path / "a", {"a.csv": ROWS}).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + offset] |= 1
    (tmp_path / "a").write_bytes(raw)
    with pytest.raises(ReaderError, match="encrypted; ask for the file without a password"):
        content(tmp_path / "a", ZIP)


def test_an_unusual_method_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w", zipfile.ZIP_LZMA) as file:
        file.writestr("a.csv", ROWS)
    with pytest.raises(ReaderError, match="packed by method 14; ask for an ordinary ZIP"):
        content(tmp_path / "a", ZIP)


@pytest.mark.parametrize("unpack", [ZIP, GZIP])
def test_bombs_are_stopped_by_ratio_and_size(tmp_path: Path, unpack: Unpack) -> None:
    path, zeros = tmp_path / "a", b"0" * 8_000_000
    if unpack is ZIP:
        archive(path, {"a.csv": zeros})
    else:
        path.write_bytes(gzip.compress(zeros))
    with pytest.raises(ReaderError, match=r"more than 200 times their size: not taken"):
        content(path, unpack)
    assert content(path, unpack, Limits(max_ratio=2000)) == zeros
    with pytest.raises(ReaderError, match=r"unpacks to more than 7,000,000 bytes"):
        content(path, unpack, Limits(max_ratio=2000, max_unpacked_bytes=7_000_000))


def test_a_declared_size_that_lies_is_not_believed(tmp_path: Path) -> None:
    raw = archive(tmp_path / "a", {"a.csv": b"0" * 8_000_000}).read_bytes()
    size = struct.pack("<I", 8_000_000)
    assert raw.count(size) == 2
    (tmp_path / "a").write_bytes(raw.replace(size, struct.pack("<I", 100)))
    with pytest.raises(ReaderError, match="not a readable ZIP archive"):
        content(tmp_path / "a", ZIP)


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "a", {f"{i}.csv": ROWS for i in range(100)})
    one = Unpack(format="zip", member="1.csv")
    assert content(path, one, Limits(max_entries=100)) == ROWS
    with pytest.raises(ReaderError, match=r"at most 99 entries .*, this one has 100; ask"):
        content(path, one, Limits(max_entries=99))
    # A directory that is far too long is not even read; in the 64-bit form neither.
    whole = path.read_bytes()
    end = whole.index(b"PK\x05\x06")
    size = struct.unpack_from("<I", whole, end + 12)[0]
    long = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 100, 100, size, end - size)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    ordinary = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    wide = tmp_path / "wide"
    wide.write_bytes(whole[:end] + long + locator + ordinary)
    assert content(wide, one) == ROWS
    monkeypatch.setattr(zipfile, "ZipFile", None)
    for file in (path, wide):
        with pytest.raises(ReaderError, match="a directory for many more files"):
            content(file, one, Limits(max_entries=4))


@pytest.mark.parametrize("unpack", [ZIP, GZIP])
def test_what_was_cut_off_is_refused(tmp_path: Path, unpack: Unpack) -> None:
    path, rows = tmp_path / "a", os.urandom(5000)
    if unpack is ZIP:
        archive(path, {"a.csv": rows})
    else:
        path.write_bytes(gzip.compress(rows))
    whole = path.read_bytes()
    for broken in (whole[:-5], whole[:100], b"", b"A,B\n1,2\n", whole[:200] + b"x" + whole[201:]):
        path.write_bytes(broken)
        with pytest.raises(ReaderError, match=r"not a readable|empty"):
            content(path, unpack)


def test_nothing_stays_behind_when_the_reader_fails(tmp_path: Path) -> None:
    path = archive(tmp_path / "a", {"a.csv": ROWS})
    with (
        pytest.raises(RuntimeError),
        unpacked(path, ZIP, Limits(), tmp_path / "work") as file,
    ):
        assert file.exists()
        raise RuntimeError
    assert list((tmp_path / "work").iterdir()) == []


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir(mode=0o700)
    for name, age in (("unpacked-old", 25), ("unpacked-new", 1)):
        (work / name).write_bytes(b"x")
        moment = time.time() - age * 3600
        os.utime(work / name, (moment, moment))
    with unpacked(archive(tmp_path / "a", {"a.csv": ROWS}), ZIP, Limits(), work):
        pass
    assert [left.name for left in work.iterdir()] == ["unpacked-new"]


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_damage_leads_to_another_error(tmp_path: Path, data: st.DataObject) -> None:
    unpack = data.draw(st.sampled_from([ZIP, GZIP]))
    if unpack is ZIP:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a.csv", ROWS * 20)
        raw = bytearray(buffer.getvalue())
    else:
        raw = bytearray(gzip.compress(ROWS * 20))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "a").write_bytes(raw)
    try:
        content(tmp_path / "a", unpack)
    except ReaderError as error:
        assert "ask" in str(error)


def test_member_is_an_option_of_zip_only() -> None:
    with pytest.raises(ValidationError, match="'member' goes with format 'zip'"):
        Unpack(format="gzip", member="a.csv")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("File is not a zip file", "File is not a zip file"),
        ("Not a gzipped file (b'Nguy')", "Not a gzipped file"),
        ("File name in directory 'a' and header b'Nguy' differ.", "File name in directory"),
        ("'utf-8' codec can't decode byte", "ValueError"),
    ],
)
def test_bytes_that_a_library_quotes_are_not_shown(said: str, shown: str) -> None:
    assert said_by(ValueError(said)) == shown
