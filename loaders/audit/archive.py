"""The trail as an exported archive holds it: read where it lies, never unpacked to disk."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from loaders.audit.chain_walk import Finding
from loaders.audit.compare import differences, parse
from loaders.audit.coverage import TABLES
from loaders.audit.export import (
    FORMAT,
    INDEX,
    README,
    ledger_member,
    mart_member,
    measure,
    new_member,
    row_member,
)

BLOCK = 1 << 16
#: A row of the trail is kilobytes; a release with its manifest may be a few megabytes.
MAX_LINE = 16 << 20
MAX_INDEX = 32 << 20
#: Rows of one table resemble each other, but deflate's limit (about 1030) is reached by bombs only.
MAX_RATIO, RATIO_FROM_BYTES = 600, 10 << 20
LEDGER = re.compile(r"(publication)/(\w+)/(\d{6,})\.csv")
MART = re.compile(r"(marts)/(\w+)\.csv")
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError)


class ArchiveError(ValueError):
    """The file is no export that can be read at all; the message says why."""


class ExportTrail:
    """A trail in an archive written by `export`; use it in a `with` block.

    Attributes:
        until: the release up to which it reaches; None when it is the whole trail.
        stated_head: the head of the chain that its index names.
        replaced: see `Trail`.
    """

    def __init__(self, path: Path | IO[bytes]) -> None:
        """
        Raises:
            ArchiveError: no ZIP file, no index, an unknown format, or an archive made to harm:
                members that would unpack to far more than an export holds.
        """
        try:
            self._zip = zipfile.ZipFile(path)
        except (*DAMAGED, ValueError, UnicodeDecodeError) as error:
            raise ArchiveError(f"{path}: no archive that can be read: {error}") from error
        try:
            self._refuse_bombs()
            self._index = self._read_index()
        except BaseException:
            self._zip.close()
            raise
        self.until: str | None = self._index.get("until")
        self.stated_head: str | None = self._index.get("head")
        self.replaced = [str(subject) for subject in self._index.get("replaced") or ()]

    def __enter__(self) -> ExportTrail:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def check(self) -> Iterator[Finding]:
        """Every member against the index: its bytes, its place, and that nothing else is there."""
        members: dict[str, Any] = self._index["members"]
        seen: set[str] = set()
        for info in self._zip.infolist():
            name = info.filename
            if name in seen:
                yield Finding(None, f"export member {name} stands in the archive twice")
            seen.add(name)
            if name != INDEX and name not in members:
                yield Finding(None, f"export member {name} is not in the index")
            if _frame(info) != _frame(new_member(name)):
                yield Finding(None, f"export member {name} was not written by an export")
        for name, recorded in members.items():
            if name not in seen:
                yield Finding(None, f"export member {name} is gone")
                continue
            try:
                found = measure(self._blocks(name))
            except DAMAGED as error:
                yield Finding(None, f"export member {name} is damaged: {error}")
                continue
            if changed := differences(recorded, found):
                yield Finding(None, f"export member {name} was changed: {'; '.join(changed)}")

    def rows(self, table: str) -> Iterator[str]:
        """See `Trail`; a member that cannot be read to its end has its finding in `check`."""
        try:
            with self._zip.open(row_member(table)) as member:
                yield from _lines(member)
        except (KeyError, *DAMAGED):
            return

    def ledgers(self) -> dict[str, list[int]]:
        """See `Trail`."""
        found: dict[str, list[int]] = {}
        for name in sorted(self._zip.namelist()):
            if match := LEDGER.fullmatch(name):
                found.setdefault(f"{match[1]}.{match[2]}", []).append(int(match[3]))
        return found

    def marts(self) -> list[str] | None:
        """See `Trail`; None when the archive ends at an earlier release."""
        found = {f"{m[1]}.{m[2]}" for name in self._zip.namelist() if (m := MART.fullmatch(name))}
        return None if self.until is not None and not found else sorted(found)

    def csv(self, table: str, release_seq: int | None = None) -> Iterator[bytes]:
        """See `Trail`."""
        name = mart_member(table) if release_seq is None else ledger_member(table, release_seq)
        try:
            yield from self._blocks(name)
        except (KeyError, *DAMAGED) as error:
            raise LookupError(f"{name} cannot be read to its end") from error

    def _blocks(self, name: str) -> Iterator[bytes]:
        with self._zip.open(name) as member:
            while block := member.read(BLOCK):
                yield block

    def _refuse_bombs(self) -> None:
        for info in self._zip.infolist():
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ArchiveError(f"{info.filename}: packed by another method than an export's")
            is_large = info.file_size > RATIO_FROM_BYTES
            if is_large and info.file_size > MAX_RATIO * max(info.compress_size, 1):
                raise ArchiveError(
                    f"{info.filename} would unpack {info.compress_size} bytes to {info.file_size}: "
                    "no export does that; the archive was not read"
                )

    def _read_index(self) -> dict[str, Any]:
        try:
            info = self._zip.getinfo(INDEX)
            if info.file_size > MAX_INDEX:
                raise ArchiveError(f"{INDEX} has {info.file_size} bytes")
            index = parse(self._zip.read(info).decode())
        except KeyError as error:
            raise ArchiveError(f"no {INDEX}: this is no export of the audit trail") from error
        except (*DAMAGED, ValueError) as error:
            raise ArchiveError(f"{INDEX} cannot be read: {error}") from error
        if index.get("format") != FORMAT:
            raise ArchiveError(
                f"export format {index.get('format')!r}; this program reads {FORMAT}"
            )
        members = index.get("members")
        if not isinstance(members, dict) or not all(
            isinstance(recorded, dict) for recorded in members.values()
        ):
            raise ArchiveError(f"{INDEX} lists no members")
        for name in (README, *map(row_member, TABLES)):
            members.setdefault(name, {})  # left out, it counts as gone
        return index


def _frame(info: zipfile.ZipInfo) -> tuple[object, ...]:
    """What stands around a member's content and has one right value."""
    return (info.date_time, info.external_attr, info.internal_attr, info.comment, info.volume)


def _lines(member: IO[bytes]) -> Iterator[str]:
    """Lines without their ends; one beyond any row's length is cut, and so is no JSON."""
    while line := member.readline(MAX_LINE):
        # Bytes that are no UTF-8 must not stop the reading: they break the hash of their event.
        yield line.removesuffix(b"\n").decode(errors="replace")
