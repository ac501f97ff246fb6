"""The bytes of a delivery from its description; the same description gives the same bytes."""

from __future__ import annotations

import base64
import gzip
import io
import re
import zipfile
from collections.abc import Callable
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import xlwt
from openpyxl.cell.cell import Cell
from openpyxl.utils.cell import column_index_from_string, coordinate_from_string

from tests.deliveries.case import Content, Edit, Parquet, Sheet

NEWLINES = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}
MODIFIED = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*")
ENVELOPE = """<?xml version="1.0" encoding="UTF-8"?>
<GIAMDINHHS>
<THONGTINDONVI><MACSKCB>51001</MACSKCB></THONGTINDONVI>
<THONGTINHOSO><NGAYLAP>20250630</NGAYLAP><SOLUONGHOSO>{count}</SOLUONGHOSO>
<DANHSACHHOSO>{dossiers}</DANHSACHHOSO></THONGTINHOSO>
<CHUKYDONVI/>
</GIAMDINHHS>
"""


def build(content: Content) -> bytes:
    """The file that the description means."""
    data = _written(content)
    for edit in content.edits:
        data = _edited(data, edit)
    return data


def _written(content: Content) -> bytes:
    if content.text is not None:
        return _text(content)
    if content.hex is not None:
        return bytes.fromhex(content.hex)
    if content.xlsx is not None:
        return _xlsx(_changed(content.xlsx, content.cells))
    if content.xls is not None:
        return _xls(_changed(content.xls, content.cells))
    if content.parquet is not None:
        return _parquet(content.parquet)
    if content.claims is not None:
        return _claims(content.claims)
    if content.zip is not None:
        return _zip([(member.name, build(member)) for member in content.zip])
    assert content.gzip is not None
    return gzip.compress(build(content.gzip), mtime=0)


def _text(content: Content) -> bytes:
    text = content.text or ""
    if content.last_line_times > 1:
        *head, last = text.splitlines(keepends=True)
        text = "".join(head) + last * content.last_line_times
    return text.replace("\n", NEWLINES[content.newline]).encode(content.encoding)


def _zip(members: list[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _members(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return _zip([(name, change(name, archive.read(name))) for name in archive.namelist()])


def _changed(sheets: list[Sheet], cells: dict[str, Any]) -> list[Sheet]:
    rows = [list(row) for row in sheets[0].rows]
    for name, value in cells.items():
        letters, row = coordinate_from_string(name)
        column = column_index_from_string(letters)
        rows += [[] for _ in range(row - len(rows))]
        rows[row - 1] += [None] * (column - len(rows[row - 1]))
        rows[row - 1][column - 1] = value
    return [sheets[0].model_copy(update={"rows": rows}), *sheets[1:]]


def _xlsx(sheets: list[Sheet]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for sheet in sheets:
        page = book.create_sheet(sheet.name)
        for number, row in enumerate(sheet.rows, start=1):
            for column, value in enumerate(row, start=1):
                if value is not None:
                    _write(page.cell(number, column), value)
        for area in sheet.merged:
            page.merge_cells(area)
        for number in sheet.hidden_rows:
            page.row_dimensions[number].hidden = True
        if sheet.hidden:
            page.sheet_state = "hidden"
    stream = io.BytesIO()
    book.save(stream)
    # The library writes the time of day into the file.
    return _members(stream.getvalue(), lambda _, part: MODIFIED.sub(rb"\g<1>2025-01-01", part))


def _write(cell: Cell, value: Any) -> None:
    """A plain value, or a map: formula, error, text (never a formula), or value with format."""
    if not isinstance(value, dict):
        cell.value = value
        if isinstance(value, str):
            cell.data_type = "s"
        return
    [(kind, said)] = [(k, v) for k, v in value.items() if k != "format"]
    cell.value = said
    cell.data_type = {"formula": "f", "error": "e", "text": "s", "number": "n", "date": "d"}[kind]
    if "format" in value:
        cell.number_format = value["format"]


def _xls(sheets: list[Sheet]) -> bytes:
    book = xlwt.Workbook(encoding="utf-8")
    dated = xlwt.easyxf(num_format_str="dd/mm/yyyy")
    for sheet in sheets:
        page = book.add_sheet(sheet.name, cell_overwrite_ok=True)
        for number, row in enumerate(sheet.rows):
            for column, value in enumerate(row):
                if value is not None:
                    is_date = hasattr(value, "isoformat")
                    page.write(number, column, value, *([dated] if is_date else []))
        for area in sheet.merged:
            left, top, right, bottom = openpyxl.utils.range_boundaries(area)
            text = sheet.rows[top - 1][left - 1]
            page.write_merge(top - 1, bottom - 1, left - 1, right - 1, text)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _parquet(content: Parquet) -> bytes:
    kinds = {
        name: pa.date32() if kind == "date32" else pa.type_for_alias(kind)
        for name, kind in content.types.items()
    }
    columns = {
        name: pa.array([row[i] for row in content.rows], type=kind)
        for i, (name, kind) in enumerate(kinds.items())
    }
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def _claims(dossiers: list[dict[str, str]]) -> bytes:
    written = [
        "<HOSO>"
        + "".join(
            f"<FILEHOSO><LOAIHOSO>{table}</LOAIHOSO><NOIDUNGFILE>"
            f"{base64.b64encode(xml.encode()).decode()}</NOIDUNGFILE></FILEHOSO>"
            for table, xml in dossier.items()
        )
        + "</HOSO>"
        for dossier in dossiers
    ]
    return ENVELOPE.format(count=len(dossiers), dossiers="\n".join(written)).encode()


def _edited(data: bytes, edit: Edit) -> bytes:
    if edit.part is not None:
        inner = edit.model_copy(update={"part": None})
        if edit.part not in zipfile.ZipFile(io.BytesIO(data)).namelist():
            raise ValueError(f"the file has no part {edit.part!r}")
        return _members(data, lambda n, part: _edited(part, inner) if n == edit.part else part)
    if edit.cut_at is not None:
        if edit.cut_at >= len(data):
            raise ValueError(f"nothing to cut: the file has {len(data)} bytes")
        data = data[: edit.cut_at]
    for pair, coded in ((edit.replace, str.encode), (edit.replace_hex, bytes.fromhex)):
        if pair:
            old, new = map(coded, pair)
            if old not in data:
                raise ValueError(f"nothing to replace: {pair[0]!r} is not in the file")
            data = data.replace(old, new)
    if edit.zip_says_encrypted:
        # Bit 0 of the flags in every local header and every entry of the directory.
        for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            for found in re.finditer(re.escape(mark), data):
                at = found.start() + place
                data = data[:at] + bytes([data[at] | 1]) + data[at + 1 :]
    before, after = bytes.fromhex(edit.prepend_hex or ""), bytes.fromhex(edit.append_hex or "")
    return before + data + after
