"""The landed files against their receipts."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from loaders.audit.chain_walk import Finding
from loaders.audit.scratch import Scratch
from loaders.files import sha256_of

# A file whose process was killed while it was written; retention deletes it.
PARTIAL_PREFIX = ".partial-"
# A younger file may be one whose receipt came after the receipts were read.
LANDING_SECONDS = 3600
FILES = (("landing_path", "sha256"), ("corrections_path", "corrections_sha256"))


def compare_landing(
    scratch: Scratch,
    receipts: Callable[[], Iterator[Mapping[str, Any]]],
    landing: Path,
    counts: Counter[str],
) -> Iterator[Finding]:
    """Every landed file, and the corrections landed with it, against its receipt.

    A file that retention has purged, with its event, is no finding: the receipt and its hash stay.

    Args:
        scratch: knows the purges.
        receipts: gives the rows of audit.receipt as the chain holds them.
        landing: the landing store.
        counts: "landing" is raised by each file that was read.
    """
    for receipt, name, _ in _files(receipts):
        if scratch.is_purged(str(receipt.get("batch_id"))):
            scratch.add_purged(name)  # one file may belong to two batches
    for receipt, name, sha256 in _files(receipts):
        batch_id = str(receipt.get("batch_id"))
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            yield Finding(None, f"landing {name} of batch {batch_id} is outside the store")
            continue
        is_new = scratch.add_file(str(path))
        try:
            found = _hash_of(landing / path)
        except OSError as error:
            yield Finding(None, f"landing {name} of batch {batch_id} cannot be read: {error}")
            continue
        counts["landing"] += is_new and found is not None
        if found is None and not scratch.is_purged(name):
            yield Finding(None, f"landing {name} is gone; batch {batch_id} has its receipt")
        elif found not in (None, sha256):
            what = f"landing {name} was changed: sha256 {sha256} (batch {batch_id}) → {found}"
            yield Finding(None, what)
    yield from _without_receipt(scratch, landing)


def _hash_of(path: Path) -> str | None:
    if path.is_symlink() or not path.is_file():
        return None
    return sha256_of(path)


def _files(
    receipts: Callable[[], Iterator[Mapping[str, Any]]],
) -> Iterator[tuple[Mapping[str, Any], str, Any]]:
    for receipt in receipts():
        for path_column, hash_column in FILES:
            if receipt.get(path_column) is not None:
                yield receipt, str(receipt[path_column]), receipt.get(hash_column)


def _without_receipt(scratch: Scratch, landing: Path) -> Iterator[Finding]:
    for folder, folders, names in os.walk(landing):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            relative = path.relative_to(landing).as_posix()
            if name.startswith(PARTIAL_PREFIX) or scratch.is_file(relative):
                continue
            with suppress(FileNotFoundError):  # purged meanwhile
                if time.time() - path.lstat().st_mtime > LANDING_SECONDS:
                    yield Finding(None, f"landing {relative} has no receipt")
