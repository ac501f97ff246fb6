"""Workbook lists as agencies type them are read; what could harm the reader is refused."""

from __future__ import annotations

import datetime as dt
import io
import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import xlwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from openpyxl.styles import Font

from loaders.readers import Limits, ReaderError, Table, workbook, workbook_file
from loaders.readers.base import check_headers
from loaders.readers.workbook import read_xlsx
from loaders.readers.workbook_extent import Extent

FORM: dict[str, Any] = {
    "sheet": "DanhSach",
    "header_rows": [5, 6],
    "data_row": 8,
    "period_cell": "A3",
    "period_pattern": r"Tháng (?P<month>\d{1,2}) năm (?P<year>\d{4})",
    "footer_pattern": "^(Tổng cộng|Người lập biểu)",
}
PLAIN: dict[str, Any] = {"sheet": "S", "header_rows": [1], "data_row": 2}
SHEET = "xl/worksheets/sheet1.xml"
#: Taken modulo the length: a workbook's own length changes with the time in it.
PLACES = st.integers(0, 100_000)


def rows(table: Table) -> list[dict[str, Any]]:
    return [row for batch in table.batches for row in batch.frame.to_dicts()]


def cells(table: Table) -> list[list[Any]]:
    return [list(row.values())[: len(table.headers)] for row in rows(table)]


def form(path: Path, *, title: str = "Tháng 06 năm 2025", footer: bool = True) -> Path:
    book = Workbook()
    sheet = book.active
    sheet.title = "DanhSach"
    sheet["A1"], sheet["A2"], sheet["A3"] = "SỞ Y TẾ", "DANH MỤC", title
    for column, value in enumerate(["STT", "Mã", "Giường bệnh", None], start=1):
        sheet.cell(5, column, value)
    sheet.cell(6, 3, "Kế  hoạch")
    sheet.cell(6, 4, "Thực kê")
    sheet.merge_cells("C5:D5")
    sheet.merge_cells("A5:A6")
    sheet.merge_cells("B5:B6")
    for column in range(1, 5):
        sheet.cell(7, column, f"({column})")
    for number, row in enumerate([["51001", 12, 10.5], ["51002 ", 0, None]], start=1):
        for column, value in enumerate([number, *row], start=1):
            sheet.cell(7 + number, column, value)
    if footer:
        sheet.cell(10, 2, "Tổng cộng: 2")
        sheet.cell(12, 3, "Người lập biểu")
    book.save(path)
    return path


def plain(path: Path, *lines: Sequence[Any], name: str = "S") -> Path:
    book = Workbook()
    book.active.title = name
    for line in lines:
        book.active.append(list(line))
    book.save(path)
    return path


def changed(path: Path, change: Callable[[str, bytes], bytes], more: dict[str, str]) -> Path:
    """The same workbook with the parts as ``change`` leaves them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
        for name, content in more.items():
            new.writestr(name, content)
    path.write_bytes(buffer.getvalue())
    return path


def with_cells(path: Path, xml: str, more: dict[str, str] | None = None) -> Path:
    """A sheet of these rows, written by hand, under the header "A"."""

    def change(name: str, content: bytes) -> bytes:
        if name != SHEET:
            return content
        data = f"<sheetData>{xml}</sheetData>".encode()
        return re.sub(rb"<sheetData.*(</sheetData>|/>)", lambda _: data, content, flags=re.DOTALL)

    return changed(plain(path, ["A"]), change, more or {})


HEAD = '<row r="1"><c r="A1" t="inlineStr"><is><t>A</t></is></c></row>'


def test_merged_headers_numbers_and_footer(tmp_path: Path) -> None:
    table = read_xlsx(form(tmp_path / "a"), Limits(), **FORM)
    assert table.headers == ["Mã", "Giường bệnh | Kế hoạch", "Giường bệnh | Thực kê"]
    assert table.stated_period == "2025-06"
    head = {"_sheet": "DanhSach"}
    assert rows(table) == [
        dict(zip(table.headers, ["51001", "12", "10.5"], strict=True)) | {"_row_number": 1} | head,
        dict(zip(table.headers, ["51002", "0", None], strict=True)) | {"_row_number": 2} | head,
    ]
    assert table.stated_rows == [2]
    assert table.set_aside == {"footer": 1, "signature": 1}


def test_the_row_of_column_numbers_is_set_aside_where_the_data_starts(tmp_path: Path) -> None:
    table = read_xlsx(form(tmp_path / "a"), Limits(), **FORM | {"data_row": 7})
    assert len(rows(table)) == 2
    assert table.set_aside["number row"] == 1


def test_headers_of_three_levels(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    sheet.title = "S"
    sheet.append(["Mã", "Hộ nghèo", None, None, "Ghi\nchú", None])
    sheet.append([None, "Tổng", "Trong đó", None, None, "Riêng"])
    sheet.append([None, None, "Nam", "Nữ", None, None])
    sheet.append(["1", 2, 3, 4, "x", "y"])
    book.save(tmp_path / "centred")
    for cells_ in ("B1:D1", "C2:D2", "A1:A3", "B2:B3", "E1:E3"):
        sheet.merge_cells(cells_)
    book.save(tmp_path / "merged")
    expected = ["Mã", "Hộ nghèo | Tổng", "Hộ nghèo | Trong đó | Nam", "Hộ nghèo | Trong đó | Nữ"]
    options = PLAIN | {"header_rows": [1, 2, 3], "data_row": 4}
    merged = read_xlsx(tmp_path / "merged", Limits(), **options)
    assert merged.headers == [*expected, "Ghi chú", "Riêng"]
    assert cells(merged) == [["1", "2", "3", "4", "x", "y"]]
    # Without one merged cell a text reaches to the next.
    centred = read_xlsx(tmp_path / "centred", Limits(), **options)
    assert centred.headers == [*expected, "Ghi chú", "Ghi chú | Riêng"]


def test_units_above_the_rows_become_columns(tmp_path: Path) -> None:
    path = plain(
        tmp_path / "a",
        ["STT", "Mã hộ", "Số khẩu"],
        ["A.", "Huyện Trà Bồng", None],
        ["I", "Xã  Trà Sơn", None],
        [1, "H1", 4],
        [None, None, None],
        [2, "H2", 3],
        ["Cộng Xã Trà Sơn", None, 7],
        ["II", "Xã Trà Bùi", 5],
        [1, "H3", 5],
        ["B. Huyện Sơn Hà"],
        [1, "H4", 1],
        ["Cộng", None, 8],
        ["Tổng cộng: 4"],
        ["Người lập biểu"],
        [None, "(đã ký)"],
    )
    table = read_xlsx(
        path,
        Limits(),
        **PLAIN,
        footer_pattern="Tổng cộng",
        subtotal_pattern=r"Cộng|[IVX]+ Xã .*",
        unit_rows=[
            {"pattern": r"[A-Z]\.\s*(?P<name>Huyện .+)", "header": "Huyện"},
            {"pattern": r"[IVX]+ (?P<name>Xã .+)", "header": "Xã"},
        ],
    )
    assert table.headers == ["Mã hộ", "Số khẩu", "Huyện", "Xã"]
    assert cells(table) == [
        ["H1", "4", "Huyện Trà Bồng", "Xã Trà Sơn"],
        ["H2", "3", "Huyện Trà Bồng", "Xã Trà Sơn"],
        ["H3", "5", "Huyện Trà Bồng", "Xã Trà Bùi"],
        ["H4", "1", "Huyện Sơn Hà", None],
    ]
    assert table.stated_rows == [4]
    # A subtotal that names its unit (I, II) sets the unit of the rows below as well.
    assert table.set_aside == {"unit row": 2, "subtotal": 4, "footer": 1, "signature": 2}


def test_a_row_with_more_than_a_name_is_no_unit_row(tmp_path: Path) -> None:
    path = plain(tmp_path / "a", ["Xã", "Nam", "Nữ"], ["Xã A", 1, 2], ["Xã B"], ["Xã C", 3, 4])
    unit = {"pattern": "Xã", "header": "Đơn vị"}
    table = read_xlsx(path, Limits(), **PLAIN, unit_rows=unit)
    assert cells(table) == [["Xã A", "1", "2", None], ["Xã C", "3", "4", "Xã B"]]


def test_cells_become_the_text_that_they_state(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    sheet.title = "S"
    values = {
        "007": "007",
        51001: "51001",
        0.1: "0.1",
        51.0: "51",
        1e22: "1e+22",
        1234567890123456: "1234567890123456",
        True: "1",
        dt.date(2024, 2, 29): "2024-02-29",
        dt.datetime(2024, 2, 29, 13, 5):  # noqa: DTZ001
        "2024-02-29",
        dt.time(13, 5): "13:05:00",
        dt.timedelta(hours=30): "30:00:00",
        " Trạm y tế\nxã\r\n  Ba Điền ": "Trạm y tế xã Ba Điền",
        "Qua\u0309ng": "Quảng",
        "  ": None,
        45000: "45000",
        "29/02/2024": "29/02/2024",
    }
    sheet.append([f"H{i}" for i in range(len(values) + 1)])
    sheet.append([*values, 0.125])
    sheet.cell(2, len(values) + 1).number_format = "0.0%"
    sheet.row_dimensions[2].hidden = True
    sheet.column_dimensions["B"].hidden = True
    book.save(tmp_path / "a")
    table = read_xlsx(tmp_path / "a", Limits(), **PLAIN)
    assert cells(table) == [[*values.values(), "0.125"]]


def test_formulas_give_their_stored_value_and_errors_their_text(tmp_path: Path) -> None:
    line = (
        '<row r="2"><c r="A2"><f>1+1</f><v>2</v></c><c r="B2" t="str"><f>A1</f><v>x</v></c>'
        '<c r="C2" t="e"><v>#N/A</v></c><c r="D2" t="e"><f>1/0</f><v>#DIV/0!</v></c>'
        "<c r='E2' t='e'><v>#GETTING_DATA</v></c></row>"
    )
    head = "".join(f'<c r="{c}1" t="inlineStr"><is><t>{c} t="e"</t></is></c>' for c in "ABCDE")
    path = with_cells(tmp_path / "a", f'<row r="1">{head}</row>{line}')
    table = read_xlsx(path, Limits(), **PLAIN)
    assert table.headers[0] == 'A t="e"'
    assert cells(table) == [["2", "x", "#N/A", "#DIV/0!", "#GETTING_DATA"]]


@pytest.mark.parametrize("value", ["", "<v/>", "<v></v>"])
def test_a_formula_that_was_never_computed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    line = f'<row r="2"><c r="A2"><f>SUM(B1:B9)</f>{value}</c></row>'
    path = with_cells(tmp_path / "a", HEAD + line)
    for block in (5, 1000):
        monkeypatch.setattr(workbook_file, "BLOCK_BYTES", block)
        with pytest.raises(ReaderError, match=r"cell A2 holds a formula .* opened and saved"):
            read_xlsx(path, Limits(), **PLAIN)
    line = '<row r="2"><c r="A2" t="str"><f>B1</f><v></v></c><c r="B2"><v>1</v></c></row>'
    path = with_cells(tmp_path / "a", HEAD + line)
    assert cells(read_xlsx(path, Limits(), **PLAIN)) == [[None]]


def xls(path: Path) -> xlwt.Worksheet:
    book = xlwt.Workbook()
    sheet = book.add_sheet("S", cell_overwrite_ok=True)
    sheet.write_merge(2, 2, 1, 2, "Nhóm")
    for column, text in enumerate(["Mã", "Nam", "Nữ", "Ngày", "Lỗi"]):
        sheet.write(3, column, text)
    date = xlwt.easyxf(num_format_str="DD/MM/YYYY")
    sheet.write(4, 0, "001")
    sheet.write(4, 1, 12)
    sheet.write(4, 2, 0.5)
    sheet.write(4, 3, dt.date(2024, 1, 2), date)
    sheet.row(4).set_cell_error(4, 0x2A)
    sheet.write(5, 0, "Nghĩa Hành")
    sheet.write(5, 1, xlwt.Formula("B5+1"))
    sheet.row(5).set_cell_error(2, 0x17)
    book.save(str(path))
    return sheet


def test_xls_is_read_alike(tmp_path: Path) -> None:
    xls(tmp_path / "a")
    options = {"sheet": "S", "header_rows": [3, 4], "data_row": 5}
    table = read_xlsx(tmp_path / "a", Limits(), **options)
    assert table.headers == ["Mã", "Nhóm | Nam", "Nhóm | Nữ", "Ngày", "Lỗi"]
    assert cells(table) == [
        ["001", "12", "0.5", "2024-01-02", "#N/A"],
        ["Nghĩa Hành", None, "#REF!", None, None],
    ]
    # A stored result of a formula: the number 2, and the error 0x07.
    content = (tmp_path / "a").read_bytes()
    for result, text in (
        (struct.pack("<d", 2), "2"),
        (b"\x02\x00\x07\x00\x00\x00\xff\xff", "#DIV/0!"),
    ):
        formula = rb"(\x06\x00..\x05\x00\x01\x00..).{8}"
        stored = re.sub(formula, lambda m, r=result: m[1] + r, content, flags=re.DOTALL)
        (tmp_path / "a").write_bytes(stored)
        assert cells(read_xlsx(tmp_path / "a", Limits(), **options))[1][1] == text


def test_a_list_over_several_sheets_is_numbered_through(tmp_path: Path) -> None:
    book = Workbook()
    for name, codes in (("Xã 1", ["a", "b"]), ("Ghi chú", []), ("Xã 2", ["c"])):
        sheet = book.create_sheet(name)
        sheet.append(["Mã"])
        for code in codes:
            sheet.append([code])
        sheet.append([f"Cộng: {len(codes)}"])
    book.save(tmp_path / "a")
    options = {"header_rows": [1], "data_row": 2, "footer_pattern": "Cộng"}
    table = read_xlsx(tmp_path / "a", Limits(), **options, sheet_pattern=r"Xã \d")
    assert [tuple(row.values()) for row in rows(table)] == [
        ("a", 1, "Xã 1"),
        ("b", 2, "Xã 1"),
        ("c", 3, "Xã 2"),
    ]
    book["Xã 2"]["A1"] = "Mã hộ"
    book.save(tmp_path / "a")
    with pytest.raises(ReaderError, match="'Xã 2' has another header or period than 'Xã 1'"):
        rows(read_xlsx(tmp_path / "a", Limits(), **options, sheet_pattern=r"Xã \d"))
    book["Xã 2"]["A1"], book["Xã 2"]["A3"] = "Mã", "Cộng: 7"
    book.save(tmp_path / "a")
    with pytest.raises(ReaderError, match="'Xã 2' states 7 rows but 1 were read"):
        rows(read_xlsx(tmp_path / "a", Limits(), **options, sheet_pattern=r"Xã \d"))


def test_the_declaration_of_insured_people_with_its_household_sheet(tmp_path: Path) -> None:
    book = Workbook()
    people, members = book.active, book.create_sheet("PL TV HGĐ")
    people.title = "DuLieu"
    for sheet, header_row, width in ((people, 4, 49), (members, 5, 8)):
        for column in range(1, width + 1):
            sheet.cell(header_row, column, "STT" if column == 1 else f"Cột {column}")
        for row in range(2):
            sheet.cell(header_row + 1 + row, 1, row + 1)
            sheet.cell(header_row + 1 + row, 3, f"051000000{row}")
    book.save(tmp_path / "a")
    for name, header_row, width in (("DuLieu", 4, 49), ("PL TV HGĐ", 5, 8)):
        options = {"sheet": name, "header_rows": [header_row], "data_row": header_row + 1}
        table = read_xlsx(tmp_path / "a", Limits(), **options)
        assert len(table.headers) == width - 1
        assert [row["Cột 3"] for row in rows(table)] == ["0510000000", "0510000001"]
        assert table.stated_period is None


def test_text_typed_in_a_legacy_font(tmp_path: Path) -> None:
    path = plain(tmp_path / "a", ["M·", "Tªn x·"], ["1", "B×nh Ch©u"], ["2", "Bình Châu – ộ"])
    book = Workbook()
    book.active.font = Font(name=".VnTime")
    table = read_xlsx(path, Limits(), **PLAIN, font="tcvn3")
    assert table.headers == ["Mã", "Tên xã"]
    assert cells(table) == [["1", "Bình Châu"], ["2", "Bình Châu – ộ"]]


def test_batches_go_on_in_their_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "BATCH_ROWS", 2)
    path = plain(tmp_path / "a", ["A"], *([i] for i in range(5)))
    table = read_xlsx(path, Limits(), **PLAIN)
    assert [batch.frame["_row_number"].to_list() for batch in table.batches] == [
        [1, 2],
        [3, 4],
        [5],
    ]
    with pytest.raises(ReaderError, match="more than 3 rows"):
        rows(read_xlsx(path, Limits(max_rows=3), **PLAIN))


def test_lists_of_another_layout_are_refused(tmp_path: Path) -> None:
    path = form(tmp_path / "a", title="Quý II")
    for options, reason in (
        ({}, "states no period"),
        ({"sheet": "NhanLuc"}, r"no sheet 'NhanLuc'.*DanhSach"),
        ({"data_row": 50}, "ends before its data row 50"),
        ({"header_rows": [4], "period_cell": None, "period_pattern": None}, "no header in rows"),
    ):
        with pytest.raises(ReaderError, match=reason):
            read_xlsx(path, Limits(), **FORM | options)
    with pytest.raises(ReaderError, match="ends after 2 rows without its footer"):
        rows(read_xlsx(form(tmp_path / "a", footer=False), Limits(), **FORM))
    table = read_xlsx(plain(tmp_path / "a", ["A", "A"], [1, 2]), Limits(), **PLAIN)
    with pytest.raises(ReaderError, match="stand twice"):
        check_headers(table.headers, ["A"])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"sheet_pattern": "S"}, "either 'sheet' or 'sheet_pattern'"),
        ({"sheet": None}, "either 'sheet' or 'sheet_pattern'"),
        ({"sheet": None, "sheet_pattern": "("}, r"sheet_pattern '\('"),
        ({"data_row": 1}, "do not stand above data_row 1"),
        ({"period_cell": "A1"}, "period_cell and period_pattern go together"),
        ({"period_cell": "A1", "period_pattern": "x"}, "the group 'year'"),
        ({"unit_rows": {"pattern": "("}}, "unit_rows: "),
        ({"font": "wingdings"}, "unknown encoding 'wingdings'"),
    ],
)
def test_options_that_make_no_sense_name_the_contract(
    tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ReaderError, match=reason):
        read_xlsx(plain(tmp_path / "a", ["A"], [1]), Limits(), **PLAIN | options)


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ('<c r="XFD1048576"><v>1</v></c>', "column 16,384, at most 500"),
        ('<c r="Z1048576"><v>1</v></c>', r"spans 1,048,576 × 26 cells: .* bytes of memory"),
        ('<c r="A99999999"><v>1</v></c>', "row 99,999,999.*where no sheet has one"),
        ('<c r="ZZZZZ2"><v>1</v></c>', "where no sheet has one"),
        ('<c r="A2" r="Z1048576"><v>1</v></c>', "is no XML"),
        ("<c r='Z1048576'  s='1'><v>1</v></c>", "spans 1,048,576 × 26"),
        ('<c x=">" r="Z1048576"><v>1</v></c>', "spans 1,048,576 × 26"),
        ('</row><row r="1048576"><c><v>1</v></c><c r="Z2"><v>1</v></c>', "spans 1,048,576 × 26"),
        ('<x:c xmlns:x="y" r="Z1048576"><x:v>1</x:v></x:c>', "spans 1,048,576 × 26"),
        (f'<c r="A2" t="inlineStr"><is><t>{"a" * 6_000_000}</t></is></c>', "a text of more than"),
    ],
)
def test_a_sheet_that_asks_for_too_much_is_refused_before_it_is_parsed(
    tmp_path: Path, xml: str, reason: str
) -> None:
    path = with_cells(tmp_path / "a", f'{HEAD}<row r="2">{xml}</row>')
    with pytest.raises(ReaderError, match=reason):
        read_xlsx(path, Limits(max_memory_bytes=10**9, max_ratio=10**6), **PLAIN)


def test_formatted_empty_cells_far_away_cost_nothing(tmp_path: Path) -> None:
    path = with_cells(
        tmp_path / "a",
        f'{HEAD}<row r="2"><c r="A2"><v>5</v></c></row>'
        '<row r="1048576"><c r="XFD1048576" s="1"/></row>',
    )
    assert cells(read_xlsx(path, Limits(max_memory_bytes=10**6), **PLAIN)) == [["5"]]


def test_a_declared_dimension_is_not_believed(tmp_path: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        return re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:XFD1048576"', content)

    path = changed(plain(tmp_path / "a", ["A"], [1]), change, {})
    assert cells(read_xlsx(path, Limits(), **PLAIN)) == [["1"]]


def test_one_long_string_in_many_cells_is_refused(tmp_path: Path) -> None:
    def relate(name: str, content: bytes) -> bytes:
        link = (
            b'<Relationship Id="rId99" Type="http://schemas.openxmlformats.org/officeDocument/'
            b'2006/relationships/sharedStrings" Target="sharedStrings.xml"/></Relationships>'
        )
        is_list = name.endswith("workbook.xml.rels")
        return content.replace(b"</Relationships>", link) if is_list else content

    ns = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    lines = "".join(f'<row r="{i}"><c r="A{i}" t="s"><v>0</v></c></row>' for i in range(2, 5000))
    strings = f'<sst xmlns="{ns}"><si><t>{"x" * 30_000}</t></si><si><t>y</t></si></sst>'
    path = with_cells(tmp_path / "a", HEAD + lines, {"xl/sharedStrings.xml": strings})
    changed(path, relate, {})
    limits = Limits(max_memory_bytes=10**8)
    with pytest.raises(ReaderError, match=r"takes about 150,\d{3},\d{3} bytes of memory"):
        read_xlsx(path, limits, **PLAIN)
    few = with_cells(
        tmp_path / "b", HEAD + lines.replace("<v>0<", "<v>1<"), {"xl/sharedStrings.xml": strings}
    )
    assert len(rows(read_xlsx(changed(few, relate, {}), limits, **PLAIN))) == 4998


@pytest.mark.parametrize("part", ["xl/workbook.xml", SHEET, "xl/styles.xml"])
def test_entities_are_refused(tmp_path: Path, part: str) -> None:
    dtd = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'

    def change(name: str, content: bytes) -> bytes:
        return dtd + content if name == part else content

    with pytest.raises(ReaderError, match=rf"{part} declares entities"):
        read_xlsx(changed(plain(tmp_path / "a", ["A"], [1]), change, {}), Limits(), **PLAIN)


def test_links_to_other_workbooks_are_not_followed(tmp_path: Path) -> None:
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/externalLinkPath"
    target = '<Relationships><Relationship Id="rId1" Target="http://127.0.0.1:1/x.xlsx" '
    part = "xl/externalLinks/_rels/externalLink1.xml.rels"
    path = changed(
        plain(tmp_path / "a", ["A"], [1]),
        lambda _, content: content,
        {part: f'{target} Type="{rel}"/></Relationships>'},
    )
    assert cells(read_xlsx(path, Limits(), **PLAIN)) == [["1"]]


def test_limits_of_the_archive(tmp_path: Path) -> None:
    path = with_cells(tmp_path / "a", HEAD + "<!-- -->" * 400_000)
    with pytest.raises(ReaderError, match="more than 50 times their size"):
        read_xlsx(path, Limits(max_ratio=50), **PLAIN)
    with pytest.raises(ReaderError, match="unpacks to more than 1,000,000 bytes"):
        read_xlsx(path, Limits(max_unpacked_bytes=1_000_000, max_ratio=10**6), **PLAIN)
    with pytest.raises(ReaderError, match="at most 3 are taken"):
        read_xlsx(path, Limits(max_entries=3), **PLAIN)
    evil = changed(plain(tmp_path / "b", ["A"], [1]), lambda _, c: c, {"../../evil.xml": "<x/>"})
    with pytest.raises(ReaderError, match="leads out of the archive"):
        read_xlsx(evil, Limits(), **PLAIN)


def test_files_that_are_no_workbook_say_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content, reason in (
        (b"", "not a workbook: 0 bytes"),
        (b"A,B\n1,2\n", "not a workbook but plain text"),
        (b"\xef\xbb\xbf<html><table>", "but an HTML page with the name of one"),
        (b"<?xml version='1.0'?><Workbook/>", "but an XML text with the name of one"),
        (b"PK\x03\x04" + bytes(100), "damaged or cut off"),
        (form(path).read_bytes()[:-400], "damaged or cut off"),
    ):
        path.write_bytes(content)
        with pytest.raises(ReaderError, match=reason):
            read_xlsx(path, Limits(), **FORM)
    for name, reason in (("xl/workbook.bin", "an XLSB"), ("content.xml", "an OpenDocument")):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, b"x")
        with pytest.raises(ReaderError, match=reason):
            read_xlsx(path, Limits(), **PLAIN)


def patched(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) == 1 and len(old) == len(new)
    path.write_bytes(content.replace(old, new))


def test_xls_that_asks_for_too_much_is_refused(tmp_path: Path) -> None:
    path, options = tmp_path / "a", {"sheet": "S", "header_rows": [3, 4], "data_row": 5}
    whole = (xls(path), path.read_bytes())[1]
    text = struct.pack("<HHHH", 0x00FD, 10, 5, 0)
    patched(path, text, struct.pack("<HHHH", 0x00FD, 10, 5, 65_535))
    with pytest.raises(ReaderError, match="a cell in column 65536: damaged"):
        read_xlsx(path, Limits(), **options)
    path.write_bytes(whole)
    start = whole.index(struct.pack("<HH", 0x0200, 14))
    for rows_, columns, reason in (
        (2**31, 5, "declares a size that no sheet has"),
        (65_536, 256, r"16,777,216 places for cells: .* bytes of memory"),
    ):
        dimensions = struct.pack("<IIHHH", 0, rows_, 0, columns, 0)
        path.write_bytes(whole[: start + 4] + dimensions + whole[start + 18 :])
        with pytest.raises(ReaderError, match=reason):
            read_xlsx(path, Limits(max_memory_bytes=10**9), **options)


def test_xls_strings_count_as_often_as_cells_hold_them(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    sheet.write(0, 0, "A")
    for row in range(1, 301):
        sheet.write(row, 0, "ế" * 20_000)
    book.save(str(tmp_path / "a"))
    with pytest.raises(ReaderError, match=r"takes about 12,\d{3},\d{3} bytes"):
        read_xlsx(tmp_path / "a", Limits(max_memory_bytes=10**7), **PLAIN)
    assert len(rows(read_xlsx(tmp_path / "a", Limits(), **PLAIN))) == 300


def test_encrypted_workbooks_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a"
    xls(path)
    whole = path.read_bytes()
    # A name of the compound file's directory, and a record in place of the code page.
    path.write_bytes(whole.replace("Workbook".encode("utf-16-le"), "Document".encode("utf-16-le")))
    with pytest.raises(ReaderError, match=r"without a workbook inside \(a document\?\)"):
        read_xlsx(path, Limits(), **PLAIN)
    directory = "EncryptedPackage".encode("utf-16-le")
    start = whole.index("Root Entry".encode("utf-16-le")) + 128
    entry = directory + bytes(64 - len(directory)) + struct.pack("<H", len(directory) + 2)
    path.write_bytes(whole[:start] + entry + whole[start + 66 :])
    with pytest.raises(ReaderError, match="encrypted; ask for the file without a password"):
        read_xlsx(path, Limits(), **PLAIN)
    start = whole.index(struct.pack("<HH", 0x0042, 2))
    path.write_bytes(whole[:start] + struct.pack("<H", 0x002F) + whole[start + 2 :])
    with pytest.raises(ReaderError, match="encrypted; ask for the file without a password"):
        read_xlsx(path, Limits(), **PLAIN)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_damage_leads_to_another_error(
    tmp_path: Path, data: st.DataObject, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "damaged"
    kind = data.draw(st.sampled_from(["xls", "archive", "part"]))
    if kind == "xls":
        xls(path)
    else:
        plain(path, ["A", "B"], [1, "x"], [dt.date(2024, 1, 2), True])
    if kind == "part":
        victim = data.draw(st.sampled_from([SHEET, "xl/workbook.xml", "xl/styles.xml"]))

        def change(name: str, content: bytes) -> bytes:
            if name != victim:
                return content
            position = data.draw(PLACES) % len(content)
            piece = data.draw(st.sampled_from([b"<", b'"', b"9" * 9, b' r="A9999999"', b"\0", b""]))
            return content[:position] + piece + content[position + data.draw(st.integers(0, 9)) :]

        changed(path, change, {})
    else:
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(PLACES) % len(content)] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
    try:
        rows(read_xlsx(path, Limits(max_memory_bytes=10**8), **PLAIN))
    except ReaderError as error:
        assert "ask" in str(error)
    capfd.readouterr()  # the parser's panics print themselves


def test_a_block_border_inside_a_cell_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = '<c r="A{0}" t="e"><v>#N/A</v></c>'
    lines = "".join(f'<row r="{i}">{line.format(i)}</row>' for i in range(2, 30))
    path = with_cells(tmp_path / "a", HEAD + lines)
    for block in (7, 50, 333):
        monkeypatch.setattr(workbook_file, "BLOCK_BYTES", block)
        assert cells(read_xlsx(path, Limits(), **PLAIN)) == [["#N/A"]] * 28


FLOATS = st.floats() | st.integers(-(2**60), 2**60).map(float) | st.decimals(-9999, 9999, places=6)


@given(st.lists(FLOATS.map(float) | st.sampled_from([1e-4, -1e-4, 2.0**53, -0.0]) | st.none()))
def test_the_numbers_of_a_column_are_written_as_each_alone(numbers: list[float | None]) -> None:
    texts = [workbook._text(number) for number in numbers]
    assert workbook._numbers(numbers).to_list() == texts
    mixed = [*numbers, " ", True, "a\nb"]
    assert workbook._column("A", mixed).to_list() == [*texts, None, "1", "a b"]


TAGS = st.tuples(
    st.sampled_from(["A", "Z", "AB", "SF"]),
    st.integers(1, 1_048_576),
    st.sampled_from(["", ' t="s"', ' s="3" t="s"', ' t="e"', ' cm="1"']),
    st.sampled_from(["/>", " />", "><v>1</v></c>", "><is><t>c r</t></is></c>"]),
)


@given(st.lists(TAGS, min_size=1, max_size=9))
def test_cells_measured_at_once_are_measured_as_each_alone(tags: list[tuple[Any, ...]]) -> None:
    block = "".join(f'<c r="{column}{row}"{tail}{rest}' for column, row, tail, rest in tags)
    at_once, alone = Extent(Limits()), Extent(Limits())
    at_once.add(block.encode())
    alone.add(b"<row>" + block.encode())
    alone.size -= len(b"<row>")
    for each in (at_once, alone):
        each._before = b""
    assert vars(at_once) == vars(alone)
