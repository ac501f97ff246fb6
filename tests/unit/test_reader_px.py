"""PC-Axis files: cubes, code pages, missing values, damage."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from loaders.readers import Limits, ReaderError
from loaders.readers.px import read_px
from tests.unit.damaged import damaged, read_or_refuse, rows

PX = """CHARSET="ANSI";
AXIS-VERSION="2013";
LANGUAGE="vi";
LANGUAGES="vi","en";
TITLE="Dân số; chia theo tỉnh "
"và năm";
TITLE[en]="Population";
UNITS="người";
STUB="Tỉnh, thành phố","Giới tính";
HEADING="Năm";
STUB[en]="Province","Sex";
VALUES("Tỉnh, thành phố")="Quảng Ngãi","Thừa Thiên  "
"Huế";
VALUES[en]("Province")="Quang Ngai","Hue";
VALUES("Giới tính")="Nam","Nữ";
VALUES("Năm")="2023","Sơ bộ 2024";
CODES("Tỉnh, thành phố")="51","46";
TIMEVAL("Năm")=TLIST(A1),"2023","2024";
DATA=
620.5 1
".." .
- 1e3
-4.25 "...";
"""


def written(tmp_path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = tmp_path / "a.px"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def test_a_cell_is_a_row_in_the_order_of_stub_and_heading(tmp_path: Path) -> None:
    table = read_px(written(tmp_path, PX), Limits())
    assert table.headers == ["Tỉnh, thành phố", "Giới tính", "Năm", "value"]
    found = [tuple(row.values())[:5] for row in rows(table)]
    assert found == [
        ("Quảng Ngãi", "Nam", "2023", "620.5", 1),
        ("Quảng Ngãi", "Nam", "Sơ bộ 2024", "1", 2),
        ("Quảng Ngãi", "Nữ", "2023", None, 3),
        ("Quảng Ngãi", "Nữ", "Sơ bộ 2024", None, 4),
        ("Thừa Thiên Huế", "Nam", "2023", "0", 5),
        ("Thừa Thiên Huế", "Nam", "Sơ bộ 2024", "1e3", 6),
        ("Thừa Thiên Huế", "Nữ", "2023", "-4.25", 7),
        ("Thừa Thiên Huế", "Nữ", "Sơ bộ 2024", None, 8),
    ]


def test_codes_in_place_of_labels(tmp_path: Path) -> None:
    path = written(tmp_path, PX)
    found = rows(read_px(path, Limits(), codes=["Tỉnh, thành phố"]))
    assert {row["Tỉnh, thành phố"] for row in found} == {"51", "46"}
    with pytest.raises(ReaderError, match="0 CODES for the 2 VALUES of 'Năm'"):
        read_px(path, Limits(), codes=["Năm"])
    with pytest.raises(ReaderError, match="no 'Nam'"):
        read_px(path, Limits(), codes=["Nam"])


def test_the_code_page_is_the_one_that_the_file_states(tmp_path: Path) -> None:
    # Windows-1258 has the letter and its tone as two characters.
    apart = "".join(
        letter
        if letter in "ăâêôơưđĂÂÊÔƠƯĐ"
        else unicodedata.normalize("NFD", letter)
        if len(unicodedata.normalize("NFD", letter)) == 2
        else unicodedata.normalize("NFC", unicodedata.normalize("NFD", letter)[:2])
        + unicodedata.normalize("NFD", letter)[2:]
        for letter in PX
    )
    content = ('CODEPAGE="windows-1258";\n' + apart).encode("cp1258", "replace")
    table = read_px(written(tmp_path, content), Limits())
    assert rows(table)[0]["Tỉnh, thành phố"] == "Quảng Ngãi"
    latin = "".join(c for c in unicodedata.normalize("NFD", PX) if ord(c) < 128)
    path = written(tmp_path, latin.replace("Nam", "Nàm"), "latin-1")
    with pytest.raises(ReaderError, match=r"not text in utf-8 .* state 'encoding'"):
        read_px(path, Limits())
    assert "Nàm" in {row["Gioi tinh"] for row in rows(read_px(path, Limits(), encoding="cp1252"))}
    table = read_px(written(tmp_path, "\ufeff" + PX), Limits())
    assert table.headers[2] == "Năm"


@pytest.mark.parametrize("page", ["hex", "unicode_escape", "idna", "x-none", "utf-16"])
def test_codecs_that_are_no_code_pages_are_refused(tmp_path: Path, page: str) -> None:
    path = written(tmp_path, f'CODEPAGE="{page}";\n' + PX)
    with pytest.raises(ReaderError, match="unknown code page"):
        read_px(path, Limits())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no keyword at character 0"),
        ("a;b\n1;2\n", "no keyword at character 0"),
        (PX[:200], "has no end|no keyword"),
        (PX[: PX.index("DATA")], "and no DATA"),
        (PX.rstrip()[:-6], "ends within its DATA"),
        (PX.replace("620.5 ", ""), "span 8 cells but 7 values"),
        (PX.replace('VALUES("Năm")', 'VALUES("Nam")'), "no VALUES for 'Năm'"),
        (PX.replace('HEADING="Năm"', 'HEADING="Giới tính"'), r"stand twice .*\['Giới tính'\]"),
        (PX.replace("Năm", "value"), "'value'"),
        ('TITLE="x";DATA=1;', "names no dimensions"),
        (PX.replace("DATA=", 'KEYS("Năm")=VALUES;\nDATA='), "without KEYS"),
    ],
)
def test_what_is_no_complete_cube_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ReaderError, match=message):
        rows(read_px(written(tmp_path, content), Limits()))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_columns=3), "3 dimensions, 2 are allowed"),
        (Limits(max_rows=7), "more than 7 rows"),
        (Limits(max_unpacked_bytes=100), "held in memory and may have 100"),
    ],
)
def test_limits_hold(tmp_path: Path, limits: Limits, message: str) -> None:
    with pytest.raises(ReaderError, match=message):
        rows(read_px(written(tmp_path, PX), limits))


@pytest.mark.parametrize("start", ['A="' + 'x"' * 200_001, "A=" + "x" * 400_000, "(" * 400_000])
def test_damage_costs_no_time(tmp_path: Path, start: str) -> None:
    with pytest.raises(ReaderError):
        read_px(written(tmp_path, start), Limits())


def check(content: bytes, **options: Any) -> None:
    read_or_refuse(content, lambda path: read_px(path, Limits(), **options))


@settings(max_examples=200, deadline=None)
@given(damaged(PX.encode(), (b'"', b";", b"=", b'","', b'CODEPAGE="hex";', b"DATA=", b")")))
def test_damaged_files_end_in_rows_or_a_refusal(content: bytes) -> None:
    check(content)
    check(content, encoding="cp1258", codes=["Tỉnh, thành phố"])


@settings(max_examples=150, deadline=None)
@given(content=...)
def test_any_bytes_end_in_rows_or_a_refusal(content: bytes) -> None:
    check(content)
    check(content, encoding="iso-8859-1")
