"""Health-insurance claims as facilities send them to the insurer (Decision 130/QĐ-BYT, 2023).

An envelope ``GIAMDINHHS`` holds one ``HOSO`` per visit; each of its ``FILEHOSO`` is one of the
tables XML1 to XML15 of the decision (amended by 4750/QĐ-BYT and 3176/QĐ-BYT) as a base64 document.
A delivery is one envelope or a ZIP of them, one per facility.
"""

from __future__ import annotations

import binascii
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lxml import etree

from loaders.readers.archive import is_zip, members
from loaders.readers.base import BrokenRow, Limits, ReaderError, Table
from loaders.readers.rows import Budget, Item, batches, check_names, hint
from loaders.readers.safe_xml import SAFE_OPTIONS, Readable, events, forget, refuse_dtd

FIELDS_FILE = Path(__file__).parent / "xml130_fields.json"
#: HIV and tuberculosis: the programme needs their number, and nothing else leaves the file.
COUNTED_TABLES = ("XML6", "XML15")
COUNT_HEADERS = ["MACSKCB", "month", "count"]
#: Fields of the envelope, the same in every row of it.
ENVELOPE_FIELDS = ("MACSKCB", "NGAYLAP")
#: One summary per visit; the other tables have any number of rows.
SUMMARY = "XML1"
STRUCTURE = {
    "GIAMDINHHS",
    "THONGTINDONVI",
    "MACSKCB",
    "THONGTINHOSO",
    "NGAYLAP",
    "SOLUONGHOSO",
    "DANHSACHHOSO",
    "HOSO",
    "FILEHOSO",
    "LOAIHOSO",
    "NOIDUNGFILE",
    "CHUKYDONVI",
}
SIGNATURE = "CHUKYDONVI"
PLAIN_STRUCTURE = STRUCTURE - {SIGNATURE}


class _Broken(ValueError):
    """A visit that cannot be read; the argument is (Vietnamese, English)."""

    def __init__(self, vietnamese: str, english: str) -> None:
        super().__init__(english)
        self.vietnamese, self.english = vietnamese, english


@cache
def known_fields() -> dict[str, frozenset[str]]:
    """Table → names of its fields in the decision."""
    document = json.loads(FIELDS_FILE.read_text("utf-8"))
    return {table: frozenset(fields) for table, fields in document.items()}


def read_xml130(
    path: Path,
    limits: Limits,
    *,
    table: str,
    fields: Sequence[str] = (),
    extra_fields: Sequence[str] = (),
) -> Table:
    """Open one envelope or a ZIP of envelopes.

    Rows are the records of one table; ``_sheet`` is the member of the ZIP. A visit whose table
    cannot be read (base64, XML, a field twice, no XML1) is a broken row. Values stay as written:
    dates are ``yyyymmddHHMM`` with 0000 for an unknown month and day.

    Args:
        table: XML1 to XML15. XML6 and XML15 give no records but one row per envelope: facility
            ``MACSKCB``, ``month`` of NGAYLAP (``yyyy-mm``) and ``count`` of records.
        fields: the columns to give: fields of the table, and of the envelope ``MACSKCB`` and
            ``NGAYLAP``.
        extra_fields: elements of the table that its software adds to those of the decision.

    Raises:
        ReaderError: a damaged envelope, another number of visits than SOLUONGHOSO states, an
            element that is no field, or a limit.
    """
    known = known_fields()
    check_names([table], known, "the decision")
    counted = table in COUNTED_TABLES
    allowed = known[table] | frozenset(extra_fields)
    if counted and fields:
        raise ReaderError(
            f"{table} is only counted: it gives {COUNT_HEADERS}; take 'fields' out of the contract"
        )
    if not counted and not fields:
        raise ReaderError(f"{table} needs 'fields'; state the columns in the contract")
    check_names(fields, allowed | set(ENVELOPE_FIELDS), table)
    reading = _Reading(path, limits, table, list(fields), allowed)
    headers = COUNT_HEADERS if counted else list(fields)
    result = Table(headers=headers, batches=iter(()))
    items = reading.counts() if counted else reading.rows(result.stated_rows)
    result.batches = batches(headers, items, limits)
    return result


class _Reading:
    """One pass over the envelopes of a delivery."""

    def __init__(
        self, path: Path, limits: Limits, table: str, fields: list[str], allowed: frozenset[str]
    ) -> None:
        self._path, self._limits, self._table = path, limits, table
        self._fields, self._wanted, self._allowed = fields, frozenset(fields), allowed
        self._budget = Budget(limits, path.stat().st_size)

    def rows(self, stated_rows: list[int]) -> Iterator[Item]:
        """The records of every visit, numbered through."""
        number = stated = 0
        for sheet, what, stream in self._envelopes():
            envelope = _Envelope(stream, what, self._table)
            for position, contents in envelope.visits():
                try:
                    records = self._records(contents, what, position)
                except _Broken as broken:
                    number += 1
                    yield _broken_row(number, what, position, broken)
                    continue
                head = envelope.head()
                for cells in records:
                    number += 1
                    cells.update(head)
                    yield number, sheet, list(map(cells.get, self._fields))
            stated += envelope.stated
        if self._table == SUMMARY:
            stated_rows.append(stated)

    def counts(self) -> Iterator[Item]:
        """One row per facility and month: how many records, never which."""
        number = 0
        totals: Counter[tuple[str, str]] = Counter()
        for _, what, stream in self._envelopes():
            envelope = _Envelope(stream, what, self._table)
            count = 0
            for position, contents in envelope.visits():
                try:
                    count += len(self._records(contents, what, position))
                except _Broken as broken:
                    number += 1
                    yield _broken_row(number, what, position, broken)
            head = envelope.head()
            made_up = head["NGAYLAP"]
            totals[head["MACSKCB"], f"{made_up[:4]}-{made_up[4:6]}"] += count
        for (facility, month), count in totals.items():
            number += 1
            yield number, "", [facility, month, str(count)]

    def _envelopes(self) -> Iterator[tuple[str, str, Readable]]:
        if is_zip(self._path):
            yield from members(self._path, self._limits, self._budget)
            return
        with self._path.open("rb") as stream:
            yield "", "the XML file", stream

    def _records(self, contents: list[str], what: str, position: int) -> list[dict[str, Any]]:
        """The records of one table of one visit: the texts of the fields that are asked for."""
        if not contents:
            if self._table == SUMMARY:
                raise _Broken("hồ sơ không có bảng XML1", "the visit has no table XML1")
            return []
        if len(contents) > 1:
            raise _Broken(
                f"hồ sơ có nhiều bảng {self._table}", f"{self._table} stands twice in the visit"
            )
        root = self._inner(contents[0])
        found, wanted = [], self._wanted
        for record in _records_of(root):
            tags = [field.tag for field in record]
            if len(set(tags)) != len(tags):
                raise _Broken(
                    f"bảng {self._table} có trường bị lặp", f"a field stands twice in {self._table}"
                )
            if not self._allowed.issuperset(tags):
                unknown = sorted(set(tags) - self._allowed)
                raise ReaderError(
                    f"{what}, visit {position}: {self._table} has elements that are none of its "
                    f"fields: {unknown[:10]}{hint(unknown[0], self._allowed)}; ask for a corrected "
                    "file, or add them to extra_fields in the contract"
                )
            found.append(
                {tag: field.text for tag, field in zip(tags, record, strict=True) if tag in wanted}
            )
        if self._table == SUMMARY and len(found) != 1:
            raise _Broken(
                f"bảng XML1 có {len(found)} bản ghi, cần 1", f"XML1 has {len(found)} records, not 1"
            )
        return found

    def _inner(self, content: str) -> Any:
        try:
            raw = binascii.a2b_base64("".join(content.split()), strict_mode=True)
        except (binascii.Error, ValueError) as error:
            raise _Broken(
                f"nội dung bảng {self._table} không phải base64",
                f"the content of {self._table} is not base64",
            ) from error
        self._budget.spend(len(raw))
        raw = raw.lstrip(b"\xef\xbb\xbf \r\n\t")
        # Software that writes into a string declares UTF-16 and then encodes as UTF-8.
        is_mislabelled = raw.startswith(b"<?xml") and b"utf-16" in raw[:60].lower()
        parser = etree.XMLParser(encoding="utf-8", **SAFE_OPTIONS) if is_mislabelled else _PARSER
        try:
            root = etree.fromstring(raw, parser)
            refuse_dtd(root, f"a table {self._table}")
        except (etree.XMLSyntaxError, ValueError) as error:
            reason = "brings a document type" if isinstance(error, ReaderError) else "is not XML"
            raise _Broken(
                f"bảng {self._table} không đọc được (XML hỏng)", f"{self._table} {reason}"
            ) from error
        return root


_PARSER = etree.XMLParser(**SAFE_OPTIONS)


def _broken_row(number: int, what: str, position: int, broken: _Broken) -> BrokenRow:
    return BrokenRow(
        number,
        f"hồ sơ thứ {position} trong tệp: {broken.vietnamese}",
        f"{what}, visit {position}: {broken.english}",
    )


def _records_of(root: Any) -> Iterator[list[Any]]:
    """The fields of each record; the names of the lists around records vary by software."""
    waiting = [root]
    while waiting:
        element = waiting.pop()
        children = list(element)
        inner = list(filter(len, children))
        if not inner:
            is_empty_list = not children or (
                len(children) == 1 and str(children[0].tag).startswith("DSACH")
            )
            if not is_empty_list:
                yield children
        elif len(inner) < len(children):
            raise _Broken("trường và danh sách lẫn lộn", "fields and lists stand side by side")
        else:
            waiting.extend(reversed(inner))


class _Envelope:
    """One ``GIAMDINHHS`` document."""

    def __init__(self, stream: Readable, what: str, table: str) -> None:
        self._stream, self._what, self._table = stream, what, table
        self._head: dict[str, str] = {}
        self._checked: dict[str, str] = {}
        self.stated = 0

    def head(self) -> dict[str, str]:
        """MACSKCB and NGAYLAP.

        Raises:
            ReaderError: one of them does not stand before the visits.
        """
        if self._checked:
            return self._checked
        for name in ENVELOPE_FIELDS:
            if not self._head.get(name):
                raise ReaderError(
                    f"{self._what} does not state {name} before its visits; ask for a corrected "
                    "file"
                )
        made_up = self._head["NGAYLAP"]
        if not (made_up[:8].isdigit() and len(made_up) >= 8):
            raise ReaderError(
                f"{self._what} states NGAYLAP {made_up[:20]!r}, which is no yyyymmdd; ask for a "
                "corrected file"
            )
        self._checked = {name: self._head[name] for name in ENVELOPE_FIELDS}
        return self._checked

    def visits(self) -> Iterator[tuple[int, list[str]]]:
        """(position, base64 contents of the table: one, none, or two where there are more)."""
        count = signed = 0
        kind = content = ""
        contents: list[str] = []
        for event, element in events(self._stream, self._what):
            tag = element.tag
            if event == "start":
                if tag in PLAIN_STRUCTURE and not signed:
                    continue
                signed += bool(signed) or tag == SIGNATURE
                if not signed and tag not in STRUCTURE:
                    raise ReaderError(
                        f"{self._what} is no envelope of Decision 130: element {tag[:60]!r}"
                        f"{hint(tag, STRUCTURE)}; ask for a corrected file"
                    )
                continue
            if signed:
                signed -= 1
            elif tag == "LOAIHOSO":
                kind = _text(element).upper()
            elif tag == "NOIDUNGFILE":
                content = element.text or ""
            elif tag == "FILEHOSO":
                self._check_kind(kind)
                if kind == self._table and len(contents) < 2:
                    contents.append(content)
                kind = content = ""
            elif tag == "HOSO":
                count += 1
                yield count, contents
                contents = []
            elif tag in ENVELOPE_FIELDS or tag == "SOLUONGHOSO":
                self._head[tag], self._checked = _text(element), {}
            forget(element)
        self._check_count(count)

    def _check_kind(self, kind: str) -> None:
        if kind not in known_fields():
            raise ReaderError(
                f"{self._what} has a LOAIHOSO {kind[:20]!r}; the decision knows XML1 to "
                "XML15; ask for a corrected file"
            )

    def _check_count(self, count: int) -> None:
        stated = self._head.get("SOLUONGHOSO", "")
        if not (stated.isascii() and stated.isdigit()):
            raise ReaderError(
                f"{self._what} states no number of visits (SOLUONGHOSO); ask for a corrected file"
            )
        if len(stated) > 12 or int(stated) != count:
            raise ReaderError(
                f"{self._what} states {stated[:20]} visits (SOLUONGHOSO) but {count} came: the "
                "file is incomplete; ask for the file again"
            )
        self.stated = count


def _text(element: Any) -> str:
    return (element.text or "").strip()
