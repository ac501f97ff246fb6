"""Cells that cannot be executed, codes of SDMX, exact JSON, folders that appear whole."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.worksheet._writer import ALL_TEMP_FILES

from loaders.exports import sheets
from loaders.exports.csv_files import csv_lines
from loaders.exports.folder import MANIFEST, whole_folder
from loaders.exports.json_files import write_json_files
from loaders.exports.json_text import json_object, json_text
from loaders.exports.release import ExportError, Facts, Source
from loaders.exports.sdmx_ids import original_code, original_period, sdmx_id, sdmx_period
from loaders.exports.sheets import Book, Column
from loaders.exports.tables import Snapshot, Table, type_table
from loaders.exports.text import harmless, original
from loaders.settings import PROJECT_ROOT

SPREADSHEET_TEXT = st.text(alphabet="=+-@'\t\r\n\f \";,＝abc\u00a0\x1c1", max_size=12)


def escaped(text: str) -> str:
    return pl.Series([text]).to_frame("x").select(harmless(pl.col("x"))).item()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+84 123", "'+84 123"),
        ("-5", "'-5"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("\rx", "'\rx"),
        ("  =1", "'  =1"),
        ("＝1", "'＝1"),
        ("'quoted", "''quoted"),
        ("a;=1+1", "a;'=1+1"),
        ('a;"=1', "a;\"'=1"),
        ("a\n-b", "a\n'-b"),
        ("Ba Tơ - xã = x, tăng +5 %", "Ba Tơ - xã = x, tăng +5 %"),
        ("", ""),
    ],
)
def test_a_text_that_a_spreadsheet_could_execute_gets_an_apostrophe(
    text: str, written: str
) -> None:
    assert escaped(text) == written
    assert original(written) == text


@given(SPREADSHEET_TEXT)
def test_every_text_is_harmless_and_comes_back(text: str) -> None:
    written = escaped(text)
    assert original(written) == text
    for cell in re.split(r"[;\t\r\n]", written):
        assert not re.match(r'[ "\f\u00a0]*[=+\-@＝]', cell), written
    assert not written.startswith(("\t", "\r", "\n"))


@pytest.mark.parametrize(
    ("code", "identifier"),
    [
        ("60+", "60$2B"),
        ("<70", "$3C70"),
        ("21025@2025-07-01", "21025@2025-07-01"),
        ("-1", "$2D1"),
        ("=HYPERLINK", "$3DHYPERLINK"),
        ("$41", "$2441"),
        ("Trà", "Tr$C3$A0"),
    ],
)
def test_a_code_becomes_an_identifier_of_sdmx_and_comes_back(code: str, identifier: str) -> None:
    assert sdmx_id(code) == identifier
    assert original_code(identifier) == code


@given(st.text(max_size=8))
def test_every_code_comes_back(code: str) -> None:
    assert original_code(sdmx_id(code)) == code
    assert re.fullmatch(r"(?![@-])[A-Za-z0-9_@$\-]*", sdmx_id(code))


@pytest.mark.parametrize(
    ("period", "frequency", "written"),
    [
        ("2025-07", "M", "2025-07"),
        ("2025-Q3", "Q", "2025-Q3"),
        ("2025", "A", "2025"),
        ("2024-2025", "A", "2024-09-01/P1Y"),
    ],
)
def test_a_period_has_its_frequency_and_comes_back(
    period: str, frequency: str, written: str
) -> None:
    assert sdmx_period(period) == (frequency, written)
    assert original_period(written) == period


NUMBERS = [Decimal("12.5000000001"), Decimal("-0.10"), Decimal("1E+3"), Decimal("0.00"), None]


def test_decimals_are_written_in_their_own_digits() -> None:
    at = dt.datetime(2025, 7, 1, 7, 2, 3, 456, tzinfo=dt.timezone(dt.timedelta(hours=7)))
    value = {"b": NUMBERS, "a": True, "at": at, "day": at.date(), "text": 'x"\n'}
    text = json_text(value)
    assert text.startswith('{"b":[12.5000000001,\n-0.1,\n1000,\n0,\nnull],"a":true,')
    assert '"at":"2025-07-01T00:02:03.000456Z","day":"2025-07-01","text":"x\\"\\n"}' in text
    assert json.loads(text, parse_float=Decimal)["b"][:2] == NUMBERS[:2]
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text(float("nan"))


def test_a_column_at_a_time_gives_the_same_json() -> None:
    frame = pl.DataFrame(
        {
            "number": pl.Series(NUMBERS, dtype=pl.Decimal(38, 10)),
            "count": [1, -2, 3, None, 0],
            "is_it": [True, False, None, True, True],
            "text": ["a", '"', None, "=1\n", ""],
            "day": [dt.date(2025, 7, 1), None, None, None, None],
            "share": [1e-7, 0.5, None, 1.0, -2.25],
        }
    )
    written = frame.select(json_object(frame, frame.columns)).to_series().to_list()
    assert written == [json_text(row) for row in frame.iter_rows(named=True)]


# --- the workbook's limits ----------------------------------------------------------------------

COLUMNS = [Column("Số", "Number"), Column("Chữ", "Text")]
MADE = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)


def test_rows_beyond_the_limit_go_on_in_another_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sheets.MAX_ROWS == 1_048_576
    monkeypatch.setattr(sheets, "MAX_ROWS", 5)
    with Book("tên / title", {}, MADE) as book:
        assert book.add("Theo xã", COLUMNS, ([number, "x"] for number in range(7))) == 7
        book.save(tmp_path / "a.xlsx")
    found = openpyxl.load_workbook(tmp_path / "a.xlsx")
    shown = {sheet.title: [row[0].value for row in sheet.iter_rows()] for sheet in found}
    head = ["tên / title", "Số\nNumber"]
    assert shown == {
        "Theo xã": [*head, 0, 1, 2],
        "Theo xã (2)": [*head, 3, 4, 5],
        "Theo xã (3)": [*head, 6],
    }


def test_a_text_that_a_cell_cannot_hold_is_an_error_and_not_cut() -> None:
    with Book("x", {}, MADE) as book:
        assert book.add("a", COLUMNS, [[1, "x" * sheets.MAX_TEXT]]) == 1
        with pytest.raises(ExportError, match="32768 characters is too long"):
            book.add("b", COLUMNS, [[1, "x" * (sheets.MAX_TEXT + 1)]])
    assert not ALL_TEMP_FILES


def test_a_formula_is_a_quoted_text_in_the_workbook(tmp_path: Path) -> None:
    with Book("=1", {}, MADE) as book:
        book.add("a", COLUMNS, [[-5, "=1+1"], [Decimal("1.5"), "thường"], [None, "a\x01b"]])
        book.save(tmp_path / "a.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").active
    assert [cell.data_type for cell in sheet["B"]] == ["n", "s", "s", "s", "s"]
    assert (sheet["A1"].value, sheet["A1"].data_type) == ("=1", "s")
    assert (sheet["B3"].value, sheet["B3"].quotePrefix) == ("=1+1", True)
    assert not sheet["B4"].quotePrefix
    assert [sheet[name].value for name in ("A3", "A4", "A5")] == [-5, 1.5, None]
    assert sheet["B5"].value == "a_x0001_b"


# --- types ----------------------------------------------------------------------------------------

FACTS = Facts("r", "h", "p", MADE, "c", ("real",), "l")


def typed(folder: Path, columns: dict[str, str], *lines: str, rows: int | None = None) -> Table:
    path = folder / "m.csv"
    path.write_text("\n".join((",".join(columns), *lines, "")), encoding="utf-8")
    meanings = dict.fromkeys(columns, "")
    source = Source("m", columns, len(lines) if rows is None else rows, "", path, "", meanings)
    return type_table(source, FACTS, folder)


def test_every_type_comes_over_exactly(tmp_path: Path) -> None:
    columns = {
        "a": "numeric(5,2)",
        "b": "timestamp with time zone",
        "c": "boolean",
        "d": "text[]",
        "e": "text",
        "f": "double precision",
    }
    first = '-0.10,2025-07-01 00:02:03.000456+00,t,"{a,NULL}","",1e-07'
    table = typed(tmp_path, columns, first, ",,,,,")
    at = dt.datetime(2025, 7, 1, 0, 2, 3, 456, tzinfo=dt.UTC)
    assert [tuple(row.values()) for row in table.rows()] == [
        (Decimal("-0.1"), at, True, "{a,NULL}", "", 1e-7),
        (None,) * 6,
    ]
    written = b"".join(csv_lines(table)).decode().split("\r\n")
    assert written[1:3] == ['-0.10,2025-07-01T00:02:03.000456Z,true,"{a,NULL}","",1e-07', ",,,,,"]


def test_a_number_keeps_all_its_decimals_or_is_refused(tmp_path: Path) -> None:
    table = typed(tmp_path, {"a": "numeric"}, "1.1234567890123", "2")
    assert [row["a"] for row in table.rows()] == [Decimal("1.1234567890123"), Decimal(2)]
    with pytest.raises(ExportError, match=r"marts\.m\.a holds numbers of 40 digits"):
        typed(tmp_path, {"a": "numeric"}, "1" * 30)
    with pytest.raises(ExportError, match=r"marts\.m\.a holds something that is no number"):
        typed(tmp_path, {"a": "numeric"}, "NaN")


def test_rows_that_are_missing_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"marts\.m has 3 rows, read were 2"):
        typed(tmp_path, {"a": "text"}, "x", "y", rows=3)


def test_a_kpi_that_names_another_folder_gives_no_file(tmp_path: Path) -> None:
    table = typed(tmp_path, {"kpi_id": "text", "sort_order": "integer"}, "../x,1")
    snapshot = Snapshot(FACTS, {"dim_kpi": table})
    with pytest.raises(ExportError, match=r"KPI '\.\./x' can give no file its name"):
        list(write_json_files(snapshot, tmp_path))


# --- memory -------------------------------------------------------------------------------------

TYPES = {"kpi_id": "text", "period": "text", "value": "numeric", "rows": "bigint", "note": "text"}
PROGRAM = """
import datetime, sys
from pathlib import Path
from loaders.exports.csv_files import csv_lines
from loaders.exports.release import Facts, Source
from loaders.exports.tables import type_table
from tests.peak import peak_mb
from tests.unit.test_exports import TYPES
path = Path(sys.argv[1])
source = Source("m", TYPES, int(sys.argv[2]), "", path, "", dict.fromkeys(TYPES, ""))
at = datetime.datetime(2025, 7, 1, tzinfo=datetime.UTC)
table = type_table(source, Facts("r", "h", "p", at, "c", ("real",), "l"), path.parent)
for line in csv_lines(table):
    pass
print(peak_mb())
"""


def peak_of_export(folder: Path, rows: int) -> int:
    path = folder / f"{rows}.csv"
    line = "doctors_per_10k,2025-07,12.3456789,7,một lưu ý dài dài dài dài dài dài dài dài dài\n"
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(TYPES) + "\n")
        file.writelines(line for _ in range(rows))
    command = [sys.executable, "-c", PROGRAM, str(path), str(rows)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, check=True, capture_output=True, text=True)
    return int(done.stdout)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Beyond what the readers keep ready in any case."""
    numbers = (250_000, 1_000_000)
    few, many = (peak_of_export(tmp_path, rows) for rows in numbers)
    sizes = [(tmp_path / f"{rows}.csv").stat().st_size / 1e6 for rows in numbers]
    assert sizes[1] - sizes[0] > 70 and many - few < 40


# --- whole or not at all ------------------------------------------------------------------------


def fill(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)


def test_a_folder_appears_whole_and_replaces_an_earlier_one(tmp_path: Path) -> None:
    target = tmp_path / "exports" / "2025-07.1"
    for text in ("one", "two"):
        with whole_folder(target) as folder:
            fill(folder, text)
            before = "one" if text == "two" else None
            assert (target / MANIFEST).read_text() == before if before else not target.exists()
        assert (target / MANIFEST).read_text() == text
    assert sorted(path.name for path in target.parent.iterdir()) == [".lock", target.name]


def test_what_fails_leaves_nothing_and_the_earlier_folder(tmp_path: Path) -> None:
    target = tmp_path / "2025-07.1"
    with pytest.raises(RuntimeError, match="disk"), whole_folder(target):
        raise RuntimeError("disk")
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    with whole_folder(target) as folder:
        fill(folder, "one")
    with pytest.raises(RuntimeError, match="disk"), whole_folder(target) as folder:
        fill(folder, "two")
        raise RuntimeError("disk")
    assert (target / MANIFEST).read_text() == "one"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "2025-07.1"]


def test_a_swap_that_fails_gives_the_earlier_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "2025-07.1"
    with whole_folder(target) as folder:
        fill(folder, "one")
    rename = Path.rename

    def fail_for_the_new(self: Path, to: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError("no space")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(OSError, match="no space"), whole_folder(target) as folder:
        fill(folder, "two")
    assert (target / MANIFEST).read_text() == "one"


def test_what_a_killed_export_left_is_put_right(tmp_path: Path) -> None:
    target = tmp_path / "2025-07.1"
    for name, text in ((".2025-07.1.old", "one"), (".2025-07.1.new", "half")):
        (tmp_path / name).mkdir()
        fill(tmp_path / name, text)
    with pytest.raises(RuntimeError, match="again"), whole_folder(target):
        raise RuntimeError("again")
    assert (target / MANIFEST).read_text() == "one"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "2025-07.1"]


def test_a_folder_that_is_no_export_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "2025-07.1").mkdir()
    (tmp_path / "2025-07.1" / "letter.txt").write_text("mine")
    with pytest.raises(ValueError, match="is no export"), whole_folder(tmp_path / "2025-07.1"):
        pytest.fail("the block must not run")
    assert (tmp_path / "2025-07.1" / "letter.txt").read_text() == "mine"
