"""The trail in one ZIP file, for an auditor who has neither the database nor this program."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from loaders.audit.coverage import TABLES
from loaders.audit.trail import DatabaseTrail

FORMAT = 1
INDEX, README = "index.json", "README.txt"
#: The same content gives the same bytes: members carry no time of their own.
MEMBER_TIME = (1980, 1, 1, 0, 0, 0)
README_TEXT = Path(__file__).with_name("export_readme.txt")


def export(trail: DatabaseTrail, path: Path) -> dict[str, Any]:
    """Write the trail to a ZIP file, streamed; the same trail gives the same bytes.

    Args:
        trail: what is written; read in one picture, see `open_snapshot`.
        path: the file, which must not exist.

    Returns:
        The index: format, release up to which the trail reaches (None: all of it), head of the
        chain, judgements that were replaced since and, by member, sha256, bytes and lines.

    Raises:
        FileExistsError: the file is there already.
    """
    with path.open("xb") as file:
        try:
            return _export(trail, file)
        except BaseException:
            path.unlink()
            raise


def _export(trail: DatabaseTrail, file: IO[bytes]) -> dict[str, Any]:
    members: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        members[README] = _write(archive, README, [README_TEXT.read_bytes()])
        for table in TABLES:
            name = row_member(table)
            members[name] = _write(archive, name, _lines(trail.rows(table)))
        for ledger, release_seq in trail.ledger_parts():
            name = ledger_member(ledger, release_seq)
            members[name] = _write(archive, name, trail.csv(ledger, release_seq))
        for mart in trail.marts() or ():
            members[mart_member(mart)] = _write(archive, mart_member(mart), trail.csv(mart))
        index = {
            "format": FORMAT,
            "until": trail.until,
            "head": trail.head(),
            "replaced": trail.replaced,
            "members": members,
        }
        _write(archive, INDEX, [json.dumps(index, ensure_ascii=False, indent=1).encode()])
    return index


def row_member(table: str) -> str:
    """Where the rows of a table lie: one JSON object a line."""
    return f"{table.replace('.', '/')}.jsonl"


def ledger_member(table: str, release_seq: int) -> str:
    """Where the rows lie that a release added to a ledger: the CSV whose hash it states."""
    return f"{table.replace('.', '/')}/{release_seq:06d}.csv"


def mart_member(table: str) -> str:
    """Where a published table lies: the CSV whose hash its release states."""
    return f"{table.replace('.', '/')}.csv"


def new_member(name: str) -> zipfile.ZipInfo:
    """The frame of a member, the same in every export."""
    info = zipfile.ZipInfo(name, MEMBER_TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


def measure(blocks: Iterable[bytes], write: Callable[[bytes], object] = len) -> dict[str, Any]:
    """What the index says of a member: sha256, bytes and lines; each block goes to `write`."""
    digest, size, lines = hashlib.sha256(), 0, 0
    for block in blocks:
        write(block)
        digest.update(block)
        size += len(block)
        lines += block.count(b"\n")
    return {"sha256": digest.hexdigest(), "bytes": size, "lines": lines}


def _lines(rows: Iterable[str]) -> Iterator[bytes]:
    return (text.encode() + b"\n" for text in rows)


def _write(archive: zipfile.ZipFile, name: str, blocks: Iterable[bytes]) -> dict[str, Any]:
    # The size is not known before: without this a member beyond 2 GiB could not be finished.
    with archive.open(new_member(name), "w", force_zip64=True) as member:
        return measure(blocks, member.write)
