"""PC-Axis files (PX) as statistics offices publish them, one row per cell of the cube."""

from __future__ import annotations

import codecs
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from loaders.readers.base import Limits, ReaderError, Table
from loaders.readers.rows import (
    VALUE_HEADER,
    Item,
    batches,
    check_cube,
    check_held_size,
    check_names,
    fold,
)

#: Code pages that PX files state; Python knows codecs beside these that are no encodings of text.
CODE_PAGE = re.compile(r"utf-?8|(windows-|cp)?125[0-8]|iso-8859-(1|2|15)|cp?(437|850)|ascii", re.I)
STATED_CODE_PAGE = re.compile(rb'^\s*CODEPAGE\s*=\s*"([^"\r\n]{1,40})"', re.M | re.I)
KEYWORD = re.compile(
    r"\s*([A-Za-z][A-Za-z0-9_-]*+)\s*+"
    r"(?:\[([^\]\"]*+)\])?\s*+"
    r'(?:\(\s*+("[^"]*+"(?:\s*+,\s*+"[^"]*+")*+)\s*+\))?\s*+='
)
#: Up to the next semicolon that is in no quotes; possessive, so that damage costs no time.
VALUE = re.compile(r'((?:"[^"]*+"|[^";]++)*+);')
ITEM = re.compile(r'"([^"]*+)"|(,)|[^\s",]++')
CELL = re.compile(r'"([^"]*+)"|([^\s,;"]++)')
#: One to six points: not available, for one of six reasons that the office names.
MISSING = re.compile(r"^\.{1,6}$")
#: "Nothing to count" is a number.
NIL = "-"


def read_px(
    path: Path, limits: Limits, *, encoding: str | None = None, codes: Sequence[str] = ()
) -> Table:
    """Open a PX file.

    Headers are the dimensions of STUB and HEADING plus ``value``. Missing values (one to six
    points) are null, ``-`` is 0. Of a file in several languages the main one is read. A table is
    one published answer, so it is held whole.

    Args:
        encoding: a code page, for files that state none and are not UTF-8.
        codes: dimensions that are given by their CODES in place of their labels.

    Raises:
        ReaderError: no PX file, an unknown code page, a cube whose size and values disagree.
    """
    check_held_size(path.stat().st_size, limits)
    text = _decoded(path.read_bytes(), encoding)
    keywords, data = _keywords(text)
    if "KEYS" in keywords or any(name.startswith("KEYS(") for name in keywords):
        raise ReaderError("the PX file has its DATA with keys; fetch the table without KEYS")
    names = _items(keywords.get("STUB", "")) + _items(keywords.get("HEADING", ""))
    headers = [fold(name) for name in names]
    check_cube(headers, limits)
    check_names(codes, headers, "the PX file")
    labels = [
        _labels(keywords, name, header in codes)
        for name, header in zip(names, headers, strict=True)
    ]
    cells = math.prod(len(column) for column in labels)
    count = sum(1 for _ in CELL.finditer(data))
    if count != cells:
        raise ReaderError(
            f"the dimensions span {cells} cells but {count} values came: the file is damaged or "
            "cut off; fetch the table again"
        )
    headers.append(VALUE_HEADER)
    return Table(headers=headers, batches=batches(headers, _rows(labels, data), limits))


def _rows(labels: list[list[str]], data: str) -> Iterator[Item]:
    values = CELL.finditer(data)
    for number, (key, value) in enumerate(zip(product(*labels), values, strict=True), start=1):
        text: str | None = value[1] if value[1] is not None else value[2]
        if text == NIL:
            text = "0"
        elif MISSING.match(text or ""):
            text = None
        yield number, "", [*key, text]


def _decoded(content: bytes, encoding: str | None) -> str:
    stated = STATED_CODE_PAGE.search(content[:4096])
    page = encoding or (stated[1].decode("ascii", "replace") if stated else "utf-8")
    if content.startswith(codecs.BOM_UTF8):
        content, page = content.removeprefix(codecs.BOM_UTF8), "utf-8"
    if not CODE_PAGE.fullmatch(page):
        raise ReaderError(f"unknown code page {page!r}; state 'encoding' in the contract")
    try:
        text = content.decode(page)
    except UnicodeDecodeError as error:
        raise ReaderError(
            f"the PX file is not text in {page} (byte {error.start}); state 'encoding' in the "
            "contract, or fetch the table again"
        ) from error
    # Windows-1258 writes Vietnamese letters and their tones apart.
    return unicodedata.normalize("NFC", text)


def _keywords(text: str) -> tuple[dict[str, str], str]:
    """Keyword, or KEYWORD("dimension"), → its value as written; and what DATA holds."""
    found: dict[str, str] = {}
    position = 0
    while True:
        keyword = KEYWORD.match(text, position)
        if keyword is None:
            raise ReaderError(
                f"no PX file, or a damaged one: no keyword at character {position}, and no DATA; "
                "fetch the table again"
            )
        name, language, dimension = keyword[1].upper(), keyword[2], keyword[3]
        if name == "DATA":
            data = text[keyword.end() :].rstrip("\x00\x1a \r\n\t")
            if not data.endswith(";"):
                raise ReaderError(
                    "the PX file ends within its DATA: it was cut off; fetch it again"
                )
            return found, data[:-1]
        value = VALUE.match(text, keyword.end())
        if value is None:
            raise ReaderError(
                f"the PX keyword {name} has no end: the file was cut off; fetch the table again"
            )
        if language is None:
            key = f"{name}({_items(dimension)[0]})" if dimension else name
            found.setdefault(key, value[1])
        position = value.end()


def _items(value: str) -> list[str]:
    """The texts of a list; texts without a comma between them are one that was broken up."""
    items: list[str] = []
    is_open = False
    for item in ITEM.finditer(value):
        if item[2]:
            is_open = False
        elif item[1] is None or not is_open:
            items.append(item[1] if item[1] is not None else item[0])
            is_open = True
        else:
            items[-1] += item[1]
    return items


def _labels(keywords: dict[str, str], name: str, as_codes: bool) -> list[str]:
    values = _items(keywords.get(f"VALUES({name})", ""))
    if not values:
        raise ReaderError(f"the PX file has no VALUES for {name[:60]!r}; fetch the table again")
    if not as_codes:
        return [fold(label) for label in values]
    found = _items(keywords.get(f"CODES({name})", ""))
    if len(found) != len(values):
        raise ReaderError(
            f"the PX file has {len(found)} CODES for the {len(values)} VALUES of {name[:60]!r}; "
            "take it out of 'codes' in the contract, or fetch the table again"
        )
    return found
