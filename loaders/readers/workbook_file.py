"""A workbook file, inspected before the library that parses it is let near it.

The library (calamine) is fast because it builds the whole sheet as one grid: a single cell in the
last corner of an otherwise empty sheet would ask for 500 GiB and end the process. It also gives
error cells as empty ones. So the archive is read through once: real sizes are counted, parts with
a DTD are refused, the extent of the wanted sheets is measured, and error cells are turned into
text where there are any. Links to other workbooks are never followed, formulas never computed.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree
from python_calamine import CalamineSheet, CalamineWorkbook, PasswordError

from loaders.readers.base import Limits, ReaderError
from loaders.readers.unpack import check_entries, check_size, open_zip, said_by
from loaders.readers.workbook_extent import CELL_BYTES, ERROR_TYPE, Extent, Strings
from loaders.readers.xls import CFB_MAGIC, encrypted, inspect_xls

BLOCK_BYTES = 1024 * 1024
#: Excel takes 32,767 characters in a cell; a text beyond this is no cell.
MAX_TEXT_BYTES = 4 * 1024 * 1024
NAMES = ("xl/workbook.xml", "xl/_rels/workbook.xml.rels")

Select = Callable[[Sequence[str]], list[str]]


@dataclass
class Workbook:
    """An inspected workbook: ``sheets`` are the wanted ones in the workbook's order."""

    book: CalamineWorkbook
    sheets: list[str]
    #: XLS only: the text of error cells by sheet, 0-based row and column.
    errors: dict[str, dict[tuple[int, int], str]] = field(default_factory=dict)

    def sheet(self, name: str) -> CalamineSheet:
        with _parsing():
            return self.book.get_sheet_by_name(name)

    def rows(self, sheet: CalamineSheet) -> Iterator[list[Any]]:
        """All rows of a sheet from its row 1 and column A on; the empty cell is ``""``."""
        if sheet.start is None:
            return
        # The library's rows begin with the sheet's first row, but with its first filled column.
        before = [""] * sheet.start[1]
        errors = self.errors.get(sheet.name, {})
        lines = {row for row, _ in errors}
        with _parsing():
            for number, row in enumerate(sheet.iter_rows()):
                cells = before + row if before else row
                if number in lines:
                    cells = [errors.get((number, i), cell) for i, cell in enumerate(cells)]
                yield cells


def open_workbook(path: Path, limits: Limits, select: Select) -> Workbook:
    """Inspect and open an XLSX or XLS workbook.

    Args:
        select: gets the names of the sheets and gives those that will be read.

    Raises:
        ReaderError: no workbook, damaged, encrypted, or more than the limits allow.
    """
    with path.open("rb") as file:
        head = file.read(1024)
    if head.startswith(CFB_MAGIC):
        return _open_xls(path, limits, select)
    if head.startswith(b"PK"):
        return _open_xlsx(path, limits, select)
    raise ReaderError(f"not a workbook{_what(head)}; ask for the list as XLSX")


def _what(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if b"<html" in text or b"<table" in text or text.startswith(b"<!doctype html"):
        return " but an HTML page with the name of one"
    if text.startswith(b"<?xml"):
        return " but an XML text with the name of one"
    return "" if b"\0" in head else " but plain text" if head else ": 0 bytes"


@contextmanager
def _parsing() -> Iterator[None]:
    """The library's own errors and its panics (no ``Exception``) become the reader's."""
    try:
        yield
    except ReaderError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        # What the parsers say may quote a cell; only the archive's own errors are repeated.
        is_safe = isinstance(error, zipfile.BadZipFile | zlib.error | EOFError)
        if isinstance(error, PasswordError):
            raise encrypted() from error
        said = said_by(error) if is_safe else type(error).__name__
        raise ReaderError(
            f"not a readable workbook ({said}): damaged or cut off on the way; ask for the file "
            "again"
        ) from error


def _check_memory(size: int, what: str, limits: Limits) -> None:
    if size > limits.max_memory_bytes:
        raise ReaderError(
            f"{what}: reading it takes about {size:,} bytes of memory, at most "
            f"{limits.max_memory_bytes:,} are given; ask for the list without its formatted empty "
            "cells or in parts, or raise limits.max_memory_bytes in the contract"
        )


def _open_xls(path: Path, limits: Limits, select: Select) -> Workbook:
    size = path.stat().st_size
    _check_memory(3 * size, f"an XLS workbook of {size:,} bytes", limits)
    content = path.read_bytes()
    inspected = inspect_xls(content)
    memory = 3 * size + inspected.cells * CELL_BYTES + inspected.text_bytes
    _check_memory(memory, f"an XLS workbook with {inspected.cells:,} places for cells", limits)
    with _parsing():
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        names = book.sheet_names
    errors = dict(zip(names, inspected.errors, strict=False))
    return Workbook(book, select(names), errors)


def _open_xlsx(path: Path, limits: Limits, select: Select) -> Workbook:
    with _parsing(), open_zip(path, limits) as archive:
        entries = {entry.filename: entry for entry in check_entries(archive, limits)}
        parts = _sheet_parts(archive, entries, limits)
        wanted = select(list(parts))
        extents = {parts[name]: Extent(limits) for name in wanted}
        total, strings = 0, Strings()
        for name, entry in entries.items():
            extent = extents.get(name)
            is_strings = name.lower() == "xl/sharedstrings.xml"
            for block in _blocks(archive, entry):
                total += len(block)
                check_size(total, path.stat().st_size, limits)
                if extent:
                    extent.add(block)
                elif is_strings:
                    strings.add(block)
        for name, extent in extents.items():
            text = strings.size + extent.text_bytes
            if extent.shared and extent.memory + text + extent.shared * strings.longest > (
                limits.max_memory_bytes
            ):
                text += strings.used(_blocks(archive, entries[name]), extent.shared)
            what = f"sheet part {name} spans {extent.rows:,} × {extent.columns:,} cells"
            _check_memory(extent.memory + text, what, limits)
        has_errors = [name for name, extent in extents.items() if extent.has_errors]
        source = _without_errors(archive, entries, has_errors) if has_errors else str(path)
    with _parsing():
        return Workbook(CalamineWorkbook.from_object(source), wanted)


def _sheet_parts(
    archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], limits: Limits
) -> dict[str, str]:
    """Name of the part of every sheet, by sheet name."""
    for other, kind in (("xl/workbook.bin", "XLSB"), ("content.xml", "OpenDocument")):
        if other in entries:
            raise ReaderError(f"an {kind} workbook; ask for the list as XLSX")
    if any(name not in entries for name in NAMES):
        raise ReaderError(f"not an XLSX workbook: no {NAMES[0]} inside; ask for the list as XLSX")
    size = sum(entries[name].file_size for name in NAMES)
    _check_memory(size * 10, f"a list of sheets of {size:,} bytes", limits)
    # A DTD is refused by _blocks before the parser sees it.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    book, relations = (
        etree.fromstring(b"".join(_blocks(archive, entries[name])), parser) for name in NAMES
    )
    targets = {
        relation.get("Id"): relation.get("Target", "")
        for relation in relations.iter("{*}Relationship")
    }
    names = {name.lower(): name for name in entries}
    parts = {}
    for sheet in book.iter("{*}sheet"):
        key = next((v for k, v in sheet.attrib.items() if etree.QName(k).localname == "id"), None)
        target = targets.get(key, "").lstrip("/")
        part = target if target.startswith("xl/") else f"xl/{target}"
        if part.lower() in names:
            parts[sheet.get("name", "")] = names[part.lower()]
    return parts


def _blocks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """A part in blocks; in XML no tag is cut and no DTD is let through."""
    is_xml = entry.filename.lower().endswith((".xml", ".rels", ".vml"))
    rest = b""
    with archive.open(entry) as part:
        while block := part.read(BLOCK_BYTES):
            if not is_xml:
                yield block
                continue
            if not rest and b"\0" in block[:4]:
                raise ReaderError(f"{entry.filename} is not UTF-8; ask for the list as XLSX")
            block = rest + block
            cut = block.rfind(b"<")
            if len(block) - cut > MAX_TEXT_BYTES:
                raise ReaderError(
                    f"{entry.filename} holds a text of more than {MAX_TEXT_BYTES:,} bytes, which "
                    "no cell can; ask what was sent"
                )
            rest = block[cut:] if cut > 0 else block
            if cut > 0:
                yield _without_dtd(block[:cut], entry)
    if rest:
        yield _without_dtd(rest, entry)


def _without_dtd(block: bytes, entry: zipfile.ZipInfo) -> bytes:
    if b"<!DOCTYPE" in block or b"<!ENTITY" in block:
        raise ReaderError(
            f"{entry.filename} declares entities (a DTD), which no workbook needs: not taken; "
            "ask what was sent"
        )
    return block


def _without_errors(
    archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], sheets: list[str]
) -> io.BytesIO:
    """The workbook with its error cells as text, packed in memory; pictures are left out."""
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for name, entry in entries.items():
            if not name.lower().endswith((".xml", ".rels")):
                continue
            with target.open(name, "w", force_zip64=True) as part:
                for block in _blocks(archive, entry):
                    part.write(ERROR_TYPE.sub(rb'\1"str"', block) if name in sheets else block)
    copy.seek(0)
    return copy
