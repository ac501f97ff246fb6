"""What an XLS file holds, looked at before it is parsed: size, encryption, error cells.

XLS (Excel 97-2003) is a stream of records (BIFF) in a compound file. The parsing library builds
every sheet as a full grid and gives error cells as empty ones; so the record headers are walked
first. Sources: [MS-CFB] for the container, [MS-XLS] for the records.
"""

from __future__ import annotations

import struct
from array import array
from collections import defaultdict
from dataclasses import dataclass, field

from loaders.readers.base import ReaderError

CFB_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
COLUMNS, ROWS = 256, 65_536
BOF, EOF, FILEPASS, BOUNDSHEET = (0x0009, 0x0209, 0x0409, 0x0809), 0x000A, 0x002F, 0x0085
#: Records of one filled cell: formula, number, label, shared string, RK, boolean or error, rich.
FORMULA, BOOLERR, MULRK = 0x0006, 0x0205, 0x00BD
CELLS = {FORMULA, 0x0203, 0x0204, 0x00FD, 0x027E, BOOLERR, 0x00D6}
ERRORS = {
    0x00: "#NULL!",
    0x07: "#DIV/0!",
    0x0F: "#VALUE!",
    0x17: "#REF!",
    0x1D: "#NAME?",
    0x24: "#NUM!",
    0x2A: "#N/A",
}
END_OF_CHAIN = 0xFFFFFFFA


@dataclass
class XlsContent:
    """``cells``: places in the grids of all sheets; ``errors``: per sheet in the workbook's order,
    the text of its error cells by 0-based row and column."""

    cells: int = 0
    errors: list[dict[tuple[int, int], str]] = field(default_factory=list)


def inspect_xls(content: bytes) -> XlsContent:
    """Walk the records of a compound file.

    Raises:
        ReaderError: encrypted, no workbook inside, or damaged.
    """
    try:
        return _records(_workbook_stream(content))
    except (struct.error, IndexError, ValueError) as error:
        raise ReaderError(
            f"not a readable XLS workbook ({error}): damaged or cut off on the way; "
            "ask for the file again"
        ) from error


def _records(stream: bytes) -> XlsContent:
    starts: list[int] = []
    errors: dict[int, dict[tuple[int, int], str]] = defaultdict(dict)
    extents: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    position, depth, sheet = 0, 0, -1
    while position + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, position)
        body = position + 4
        if kind in BOF:
            # A chart inside a sheet has a begin and an end of its own.
            sheet = position if depth == 0 else sheet
            depth += 1
        elif kind == EOF:
            depth = max(depth - 1, 0)
        elif kind == FILEPASS:
            raise encrypted()
        elif kind == BOUNDSHEET:
            starts.append(struct.unpack_from("<I", stream, body)[0])
        elif kind in CELLS or kind == MULRK:
            row, column = struct.unpack_from("<HH", stream, body)
            last = struct.unpack_from("<H", stream, body + size - 2)[0] if kind == MULRK else column
            if max(column, last) >= COLUMNS:
                raise ReaderError(
                    f"an XLS sheet has {COLUMNS} columns, this file has a cell in column "
                    f"{max(column, last) + 1}: damaged; ask for the file again"
                )
            rows, columns = extents[sheet]
            extents[sheet] = max(rows, row + 1), max(columns, last + 1)
            code = _error(kind, stream[body : body + size])
            if code is not None:
                errors[sheet][row, column] = ERRORS.get(code, "#N/A")
        position = body + size
    return XlsContent(
        cells=sum(rows * columns for rows, columns in extents.values()),
        errors=[errors.get(start, {}) for start in starts],
    )


def _error(kind: int, body: bytes) -> int | None:
    """Error code of a cell, None where it holds something else."""
    if kind == BOOLERR and body[7]:
        return body[6]
    # The result of a formula: an error is marked by its type 2 and the two last bytes.
    if kind == FORMULA and body[12:14] == b"\xff\xff" and body[6] == 2:
        return body[8]
    return None


def encrypted() -> ReaderError:
    return ReaderError("the workbook is encrypted; ask for the file without a password")


def _workbook_stream(content: bytes) -> bytes:
    """The records of the workbook, out of the compound file's sectors."""
    shift, mini_shift = struct.unpack_from("<HH", content, 30)
    if shift not in (9, 12) or mini_shift != 6:
        raise ValueError("wrong sector size")
    _, first_directory, _, _, cutoff, first_mini, _, difat_sector, _ = struct.unpack_from(
        "<9I", content, 44
    )
    entries = 1 << shift >> 2

    def sector(number: int) -> bytes:
        start = (number + 1) << shift
        if start >= len(content):
            raise ValueError("a sector lies behind the end of the file")
        return content[start : start + (1 << shift)]

    fat_sectors = list(struct.unpack_from("<109I", content, 76))
    seen = 0
    while difat_sector < END_OF_CHAIN:
        seen += 1
        if seen << shift > len(content):
            raise ValueError("endless list of sectors")
        numbers = struct.unpack(f"<{entries}I", sector(difat_sector))
        fat_sectors += numbers[:-1]
        difat_sector = numbers[-1]
    fat = _words(b"".join(sector(number) for number in fat_sectors if number < END_OF_CHAIN))

    def chain(start: int) -> bytes:
        return b"".join(sector(number) for number in _links(start, fat))

    directory = chain(first_directory)
    streams = {}
    for offset in range(0, len(directory) - 127, 128):
        length = struct.unpack_from("<H", directory, offset + 64)[0]
        name = directory[offset : offset + max(min(length, 64) - 2, 0)].decode(
            "utf-16-le", "ignore"
        )
        start, size = struct.unpack_from("<II", directory, offset + 116)
        streams.setdefault(name.lower(), (start, size))
    if "encryptedpackage" in streams:
        raise encrypted()
    found = streams.get("workbook") or streams.get("book")
    if found is None:
        raise ReaderError(
            "an Office file of the old kind without a workbook inside (a document?); ask for the "
            "list as XLSX"
        )
    start, size = found
    if size >= cutoff:
        return chain(start)[:size]
    small = chain(streams["root entry"][0]) if "root entry" in streams else b""
    pieces = (small[n << 6 : (n + 1) << 6] for n in _links(start, _words(chain(first_mini))))
    return b"".join(pieces)[:size]


def _words(content: bytes) -> array[int]:
    words = array("I", content[: len(content) // 4 * 4])
    return words


def _links(start: int, table: array[int]) -> list[int]:
    links: list[int] = []
    while start < END_OF_CHAIN:
        links.append(start)
        if len(links) > len(table):
            raise ValueError("endless chain of sectors")
        start = table[start]
    return links
