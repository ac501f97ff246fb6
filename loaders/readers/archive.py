"""The members of a ZIP delivery, streamed one after the other."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from loaders.readers.base import Limits, ReaderError
from loaders.readers.rows import Budget
from loaders.readers.safe_xml import Readable
from loaders.readers.unpack import INDEX_BYTES_PER_ENTRY, shown

ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
END_RECORD, END_RECORD_BYTES = b"PK\x05\x06", 22
ZIP64_LOCATOR, ZIP64_LOCATOR_BYTES = b"PK\x06\x07", 20
MAX_COMMENT_BYTES = 65_535
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    OverflowError,
    UnicodeError,
    struct.error,
)
#: What desktop systems put into archives on their own.
JUNK = re.compile(r"(^|/)(__MACOSX/|\.DS_Store$|Thumbs\.db$|desktop\.ini$)")


def is_zip(path: Path) -> bool:
    """Whether the bytes begin as those of a ZIP."""
    with path.open("rb") as stream:
        return stream.read(4) in ZIP_SIGNATURES


def members(path: Path, limits: Limits, budget: Budget) -> Iterator[tuple[str, str, Readable]]:
    """(name, name for messages, stream) of every file in a ZIP.

    Long numbers in names are masked: some software names a file after the insured person.

    Raises:
        ReaderError: damaged, encrypted, empty, or more than the limits.
    """
    try:
        _check_index(path, limits)
        with zipfile.ZipFile(path) as archive:
            entries = [
                entry
                for entry in archive.infolist()
                if not entry.is_dir() and not JUNK.search(entry.filename)
            ]
            if len(entries) > limits.max_entries:
                raise _too_many(limits)
            if not entries:
                raise ReaderError("the archive holds no file; ask for the file again")
            for position, entry in enumerate(entries, start=1):
                if entry.flag_bits & 1:
                    raise ReaderError(
                        f"file {position} of the archive is encrypted; ask for it without a "
                        "password, over the agreed channel"
                    )
                with archive.open(entry) as stream:
                    yield (
                        shown(entry.filename),
                        f"file {position} of the archive",
                        _Counted(stream, budget),
                    )
    except DAMAGE as error:
        raise _damaged(error) from error


class _Counted:
    """A stream whose bytes are counted before anybody sees them."""

    def __init__(self, stream: Readable, budget: Budget) -> None:
        self._stream, self._budget = stream, budget

    def read(self, size: int = -1, /) -> bytes:
        try:
            content = self._stream.read(size)
        except DAMAGE as error:
            raise _damaged(error) from error
        self._budget.spend(len(content))
        return content


def _check_index(path: Path, limits: Limits) -> None:
    """Refuse an index that is larger than that of the files that may be in there."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - MAX_COMMENT_BYTES - END_RECORD_BYTES - ZIP64_LOCATOR_BYTES))
        tail = stream.read()
    end = tail.rfind(END_RECORD)
    if end < 0 or len(tail) - end < END_RECORD_BYTES:
        raise zipfile.BadZipFile
    (index_bytes,) = struct.unpack_from("<I", tail, end + 12)
    # The 64-bit form is for archives beyond these limits; its index is not looked at.
    is_zip64 = tail[max(0, end - ZIP64_LOCATOR_BYTES) : end].startswith(ZIP64_LOCATOR)
    if is_zip64 or index_bytes > INDEX_BYTES_PER_ENTRY * limits.max_entries:
        raise _too_many(limits)


def _damaged(error: Exception) -> ReaderError:
    return ReaderError(
        f"the archive cannot be unpacked ({type(error).__name__}): damaged or cut off on the way; "
        "ask for the file again"
    )


def _too_many(limits: Limits) -> ReaderError:
    return ReaderError(
        f"more than {limits.max_entries} files in the archive; ask for the delivery in parts, or "
        "raise max_entries in the contract"
    )
