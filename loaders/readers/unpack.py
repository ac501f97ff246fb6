"""The one file inside a ZIP archive or gzip stream, unpacked for a reader and removed again."""

from __future__ import annotations

import gzip
import os
import re
import secrets
import stat
import struct
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from loaders.readers.base import Limits, ReaderError

BLOCK_BYTES = 1024 * 1024
#: A ratio says nothing about a few bytes: it is asked from this size on.
RATIO_FROM_BYTES = 1024 * 1024
#: What a process that was killed left behind is removed after this time.
STALE_SECONDS = 24 * 3600
#: The directory of an archive is held in memory: this much of it per entry that may be in there.
INDEX_BYTES_PER_ENTRY = 1024
#: Files that Windows and macOS add to archives by themselves.
LITTER = re.compile(r"(^|/)(__MACOSX/|\._|\.DS_Store$|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE)
PACKED = re.compile(
    rb"\x1f\x8b\x08|7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|BZh[1-9]1AY&SY|\xfd7zXZ\x00|.{257}ustar",
    re.DOTALL,
)
#: A workbook is a ZIP archive too, known by the name of its first entry.
OFFICE_ENTRIES = (b"[Content_Types].xml", b"_rels/", b"docProps/", b"xl/", b"customXml/")


class Unpack(BaseModel):
    """How a dataset's file is packed.

    ``member``: name of the wanted file in a ZIP archive, ``*`` and ``?`` as in a shell, held
    without regard to case against the whole name and its last part; without it the archive
    holds one file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal["zip", "gzip"]
    member: str | None = None

    @model_validator(mode="after")
    def _member_of_zip(self) -> Unpack:
        if self.member is not None and self.format != "zip":
            raise ValueError("'member' goes with format 'zip': a gzip stream is one file")
        return self


@contextmanager
def unpacked(path: Path, unpack: Unpack | None, limits: Limits, folder: Path) -> Iterator[Path]:
    """Path of the unpacked file; the file itself where nothing is packed.

    The copy lies owner-only in ``folder`` and is gone when the context ends, however it ends.

    Args:
        limits: ``max_entries``, ``max_unpacked_bytes`` and ``max_ratio``, counted while unpacking.
        folder: created owner-only where it is missing.

    Raises:
        ReaderError: no archive, damaged, encrypted or unsafe archive, not exactly one member that
            fits, an archive inside, or more than the limits allow.
    """
    if unpack is None:
        yield path
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove_stale(folder)
    target = folder / f"unpacked-{secrets.token_hex(8)}"
    blocks = _gzip_blocks(path) if unpack.format == "gzip" else _zip_blocks(path, unpack, limits)
    try:
        _write(target, blocks, path.stat().st_size, limits)
        yield target
    finally:
        blocks.close()
        target.unlink(missing_ok=True)


def unsafe_name(name: str) -> bool:
    """True for a name that leads out of the folder it is unpacked to."""
    parts = name.replace("\\", "/").split("/")
    return parts[0] == "" or ".." in parts or bool(re.match(r"[A-Za-z]:", name)) or "\0" in name


def shown(name: str) -> str:
    """A name for messages: some programs name a file after the person that it is about."""
    return re.sub(r"\d{9,}", "#", name)


def check_size(size: int, packed: int, limits: Limits) -> None:
    """Refuse what unfolds to more than the limits allow; ``packed`` is the file's own size."""
    if size > limits.max_unpacked_bytes:
        raise ReaderError(
            f"it unpacks to more than {limits.max_unpacked_bytes:,} bytes: not taken; ask what was "
            "sent, or raise limits.max_unpacked_bytes in the contract"
        )
    if size > RATIO_FROM_BYTES and size > packed * limits.max_ratio:
        raise ReaderError(
            f"{packed:,} bytes unpack to more than {limits.max_ratio:g} times their size: not "
            "taken; ask what was sent, or raise limits.max_ratio in the contract"
        )


def open_zip(path: Path, limits: Limits) -> zipfile.ZipFile:
    """An archive, after a look at how long its directory is.

    Raises:
        ReaderError: more entries than the limit can have.
        zipfile.BadZipFile: and whatever else a damaged archive leads ``zipfile`` to.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 76 - 22 - 0xFFFF, 0))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    index = struct.unpack_from("<I", tail, end + 12)[0] if 0 <= end <= len(tail) - 22 else 0
    # Java's spreadsheet programs write the 64-bit form, which stands before the ordinary end.
    if end >= 76 and tail.startswith(b"PK\x06\x07", end - 20):
        index = max(index % 0xFFFFFFFF, struct.unpack_from("<Q", tail, end - 76 + 40)[0])
    if index > limits.max_entries * INDEX_BYTES_PER_ENTRY:
        raise _too_many("a directory for many more files than that", limits)
    return zipfile.ZipFile(path)


def _too_many(found: str, limits: Limits) -> ReaderError:
    return ReaderError(
        f"at most {limits.max_entries:,} entries of an archive are taken, this one has {found}; "
        "ask what was sent, or raise limits.max_entries in the contract"
    )


def check_entries(archive: zipfile.ZipFile, limits: Limits) -> list[zipfile.ZipInfo]:
    """The files of an archive, refused where the archive as a whole cannot be trusted."""
    entries = archive.infolist()
    if len(entries) > limits.max_entries:
        raise _too_many(f"{len(entries):,}", limits)
    seen: set[str] = set()
    for entry in entries:
        name = repr(shown(entry.filename))
        if unsafe_name(entry.filename):
            raise ReaderError(
                f"the entry {name} leads out of the archive: not taken; ask what was sent"
            )
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ReaderError(
                f"the entry {name} is a link, not a file; ask for the files themselves"
            )
        if entry.flag_bits & 0x1:
            raise ReaderError(f"the entry {name} is encrypted; ask for the file without a password")
        if entry.filename.lower() in seen:
            raise ReaderError(
                f"the entry {name} stands twice in the archive; ask for the file again"
            )
        seen.add(entry.filename.lower())
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ReaderError(
                f"the entry {name} is packed by method {entry.compress_type}; ask for "
                "an ordinary ZIP archive (store or deflate)"
            )
    return [entry for entry in entries if not entry.is_dir()]


def said_by(error: Exception) -> str:
    """What a library says of a damaged archive, without the bytes that it may quote."""
    return re.split(r"\W*(?:\bb)?['\"]", str(error), maxsplit=1)[0] or type(error).__name__


def _zip_blocks(path: Path, unpack: Unpack, limits: Limits) -> Iterator[bytes]:
    try:
        with open_zip(path, limits) as archive:
            entry = _member(check_entries(archive, limits), unpack.member)
            check_size(entry.file_size, path.stat().st_size, limits)
            with archive.open(entry) as content:
                is_first = True
                while block := content.read(BLOCK_BYTES):
                    if is_first:
                        _refuse_packed(block, entry.filename)
                    is_first = False
                    yield block
    except ReaderError:
        raise
    except Exception as error:  # zipfile lets out whatever a damaged archive leads it to
        raise ReaderError(
            f"not a readable ZIP archive ({said_by(error)}): damaged, cut off on the way, or of "
            "another kind; ask for the file again"
        ) from error


def _gzip_blocks(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) as content:
            is_first = True
            while block := content.read(BLOCK_BYTES):
                if is_first:
                    _refuse_packed(block, "the content")
                is_first = False
                yield block
    except ReaderError:
        raise
    except Exception as error:  # EOFError, zlib.error, BadGzipFile, struct.error
        raise ReaderError(
            f"not a readable gzip file ({said_by(error)}): damaged, cut off on the way, or of "
            "another kind; ask for the file again"
        ) from error


def _member(entries: list[zipfile.ZipInfo], pattern: str | None) -> zipfile.ZipInfo:
    files = [entry for entry in entries if not LITTER.search(entry.filename)]
    wanted = (pattern or "*").lower()
    found = [
        entry
        for entry in files
        if fnmatch(entry.filename.lower(), wanted)
        or fnmatch(entry.filename.lower().rsplit("/", 1)[-1], wanted)
    ]
    if len(found) == 1:
        return found[0]
    named = f"no file {pattern!r}" if pattern else "no file"
    if found:
        named = f"{len(found)} files" + (f" that fit {pattern!r}" if pattern else "")
    names = [shown(entry.filename) for entry in (found or files)]
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    raise ReaderError(
        f"{named} in the archive, one is needed: {names[:20]}{more}; ask for a corrected archive, "
        "or name the member in the contract (reader.unpack.member)"
    )


def _refuse_packed(head: bytes, name: str) -> None:
    is_zip = head.startswith(b"PK\x03\x04") and not head[30:].startswith(OFFICE_ENTRIES)
    if is_zip or PACKED.match(head):
        raise ReaderError(
            f"{shown(name)!r} is an archive inside the archive; ask for the file packed once"
        )


def _write(target: Path, blocks: Iterator[bytes], packed: int, limits: Limits) -> None:
    size = 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for block in blocks:
            size += len(block)
            check_size(size, packed, limits)
            file.write(block)
    if size == 0:
        raise ReaderError("the unpacked file is empty (0 bytes); ask for the file again")


def _remove_stale(folder: Path) -> None:
    limit = time.time() - STALE_SECONDS
    for left in folder.glob("unpacked-*"):
        with suppress(FileNotFoundError):  # another process ends its work, or cleans up too
            if left.stat().st_mtime < limit:
                left.unlink()
