"""JSON Lines: one record per line, as national sharing services send changes of records."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from loaders.readers.base import BrokenRow, Limits, ReaderError, Table
from loaders.readers.lines import lines
from loaders.readers.rows import Item, batches, check_usable, hint

VERSION_KEYS = {"id", "event", "version", "cancel"}
HALF_A_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
VERSION = re.compile(r"[0-9]{1,18}", re.ASCII)
Record = dict[str, Any]


class _Broken(ValueError):
    """A line that is no record; the argument is (Vietnamese, English)."""

    def __init__(self, vietnamese: str, english: str) -> None:
        super().__init__(english)
        self.vietnamese, self.english = vietnamese, english


class _Newest(NamedTuple):
    """The greatest version of a record: where it stands, and whether two of it disagree."""

    version: int
    number: int
    content: bytes
    is_cancelled: bool
    has_conflict: bool


def read_jsonlines(
    path: Path,
    limits: Limits,
    *,
    fields: Sequence[str] = (),
    version: Mapping[str, str] | None = None,
) -> Table:
    """Open a file of flat records.

    Headers are the keys of all records in the order in which they come, or ``fields``. A key that
    a record lacks is null, ``true`` and ``false`` are 1 and 0, numbers stay as printed. A line that
    is no JSON object is a broken row.

    Args:
        fields: the columns to give; ``a.b`` is key ``b`` of the object under ``a``. A key that
            is not among them refuses the file.
        version: ``{id, event, version, cancel}``: the keys of a record's number, of its kind of
            event and of its version, and the event that takes a record back. Of every record the
            greatest version is given; the others are ``set_aside["older version"]``, a repeated
            line ``set_aside["repeated"]``, all versions of a record taken back
            ``set_aside["cancelled"]``. Two contents under one version are broken rows. This
            holds about 300 bytes for every record in memory, bounded by ``limits.max_rows``.

    Raises:
        ReaderError: no record at all, an unknown key, a list or an object as a value, a limit.
    """
    if version is not None and set(version) != VERSION_KEYS:
        raise ReaderError(
            f"'version' needs {sorted(VERSION_KEYS)}; correct the reader's options in the contract"
        )
    reading = _Reading(path, limits, list(fields), dict(version) if version else None)
    newest = reading.survey()
    headers = list(fields) or list(reading.keys)
    check_usable(headers)
    table = Table(headers=headers, batches=iter(()))
    table.batches = batches(headers, reading.rows(headers, newest, table.set_aside), limits)
    return table


class _Reading:
    """The passes over one file."""

    def __init__(
        self, path: Path, limits: Limits, fields: list[str], version: dict[str, str] | None
    ) -> None:
        self._path, self._limits, self._fields, self._version = path, limits, fields, version
        self._objects = {
            field[:position]
            for field in fields
            for position, letter in enumerate(field)
            if letter == "."
        }
        self.keys: dict[str, None] = {}

    def survey(self) -> dict[bytes, _Newest]:
        """First pass: the keys of all records and, by digest of its number, the newest version.

        Raises:
            ReaderError: no record at all, keys that are not asked for, a limit.
        """
        newest: dict[bytes, _Newest] = {}
        for number, record in self._records():
            if isinstance(record, _Broken):
                continue
            if not record.keys() <= self.keys.keys():
                self.keys.update(dict.fromkeys(record))
                self._check_keys(number)
            if self._version is not None:
                self._keep_newest(newest, number, record)
        if not self.keys:
            raise ReaderError(
                "no line of the file is a JSON object; ask for JSON Lines, one record per line"
            )
        for option, name in (self._version or {}).items():
            if option != "cancel" and name not in self.keys:
                raise ReaderError(
                    f"no record has {name!r}{hint(name, self.keys)}, by which versions are told "
                    "apart; correct 'version' in the contract, or ask for a corrected file"
                )
        return newest

    def rows(
        self, headers: list[str], newest: dict[bytes, _Newest], set_aside: Counter[str]
    ) -> Iterator[Item]:
        """Second pass: the rows, numbered by the records of the file."""
        for number, record in self._records():
            broken = record if isinstance(record, _Broken) else None
            if self._version is not None and not isinstance(record, _Broken):
                fate = self._fate(newest, number, record)
                if isinstance(fate, str):
                    set_aside[fate] += 1
                    continue
                broken = fate
            if broken is not None:
                yield BrokenRow(number, broken.vietnamese, broken.english)
            else:
                yield number, "", [record.get(header) for header in headers]

    def _records(self) -> Iterator[tuple[int, Any]]:
        """(1-based number among the filled lines, record or why it is none)."""
        number = 0
        for line in lines(self._path):
            if not line.strip():
                continue
            number += 1
            if number > self._limits.max_rows:
                raise ReaderError(
                    f"more than {self._limits.max_rows} records; ask for the file in parts, or "
                    "raise max_rows in the contract"
                )
            try:
                document = _parsed(line)
            except _Broken as broken:
                yield number, broken
                continue
            yield number, self._flat(document, number)

    def _flat(self, document: Record, number: int, prefix: str = "") -> Record:
        """Key → text; objects that the contract asks for under ``a.b``."""
        record: Record = {}
        for name, value in document.items():
            key = prefix + name
            if isinstance(value, dict) and key in self._objects:
                record |= self._flat(value, number, f"{key}.")
            elif isinstance(value, dict | list):
                kind = "an object" if isinstance(value, dict) else "a list"
                raise ReaderError(
                    f"record {number}: {key[:60]!r} is {kind}, a column holds one value; ask for "
                    "flat records, or name the wanted parts of an object in 'fields' as 'a.b'"
                )
            elif isinstance(value, bool):
                record[key] = "1" if value else "0"
            elif value is not None or key not in self._objects:
                record[key] = value
        return record

    def _check_keys(self, number: int) -> None:
        if self._fields:
            unknown = [key for key in self.keys if key not in self._fields]
            if unknown:
                raise ReaderError(
                    f"record {number} has keys that the contract does not know: "
                    f"{[key[:60] for key in unknown[:10]]}{hint(unknown[0], self._fields)}; ask "
                    "for a corrected file, or add them to 'fields'"
                )
        if len(self.keys) > self._limits.max_columns:
            raise ReaderError(
                f"more than {self._limits.max_columns} keys; ask the sender what this file is, or "
                "raise max_columns in the contract"
            )

    def _identity(self, record: Record) -> tuple[bytes, int]:
        """Digest of the record's number, so that none is held in memory; and its version."""
        assert self._version is not None
        name, version = record.get(self._version["id"]), record.get(self._version["version"])
        if not name:
            raise _Broken(
                f"thiếu {self._version['id']}", f"the record has no {self._version['id']}"
            )
        if not VERSION.fullmatch(version or ""):
            raise _Broken(
                f"{self._version['version']} không phải số phiên bản",
                f"{self._version['version']} is no version number",
            )
        return _digest(name), int(version)

    def _keep_newest(self, newest: dict[bytes, _Newest], number: int, record: Record) -> None:
        assert self._version is not None
        try:
            name, version = self._identity(record)
        except _Broken:
            return
        known = newest.get(name)
        if known is not None and version < known.version:
            return
        content = _digest(json.dumps(record, sort_keys=True))
        if known is None or version > known.version:
            is_cancelled = record.get(self._version["event"]) == self._version["cancel"]
            newest[name] = _Newest(version, number, content, is_cancelled, False)
        elif content != known.content:
            newest[name] = known._replace(has_conflict=True)

    def _fate(
        self, newest: dict[bytes, _Newest], number: int, record: Record
    ) -> str | _Broken | None:
        """Why a record is set aside or broken; None where it is the one to give."""
        try:
            name, version = self._identity(record)
        except _Broken as broken:
            return broken
        known = newest[name]
        if known.has_conflict:
            if version < known.version:
                return "older version"
            return _Broken(
                f"phiên bản {version} của cùng một bản ghi có nội dung khác nhau",
                f"version {version} of the record comes with different contents",
            )
        if known.is_cancelled:
            return "cancelled"
        if version < known.version:
            return "older version"
        return None if number == known.number else "repeated"


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def _parsed(line: bytes) -> Record:
    try:
        document = json.loads(
            line.decode("utf-8"),
            parse_float=str,
            parse_int=str,
            parse_constant=_no_number,
            object_pairs_hook=_unique,
        )
        if HALF_A_PAIR.search(line):
            # Half a surrogate pair is valid JSON and no text.
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        if isinstance(error, _Broken):
            raise
        # The parser's message may quote the line.
        raise _Broken("dòng không phải JSON", "the line is not JSON") from error
    if not isinstance(document, dict):
        raise _Broken("dòng không phải một đối tượng JSON", "the line is no JSON object")
    return document


def _no_number(name: str) -> None:
    raise _Broken(f"{name} không phải số", f"{name} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> Record:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise _Broken("có khoá bị lặp", "a key stands twice in the record")
    return record
