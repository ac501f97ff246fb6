"""A folder that appears whole or not at all, and takes the place of an earlier one."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: By this file an earlier export is known; a folder without it is somebody else's.
MANIFEST = "manifest.json"


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside the target, which becomes the target when the block ends well.

    When the block raises, nothing of it stays and an earlier target is as it was. What a killed
    process left behind is put right by the next one.

    Raises:
        ValueError: the target is there and is no export.
    """
    new, old = (target.with_name(f".{target.name}.{kind}") for kind in ("new", "old"))
    with _locked(target.parent):
        _put_right(target, new, old)
        if target.exists() and not (target / MANIFEST).is_file():
            raise ValueError(f"{target} is there and is no export: name another folder")
        new.mkdir()
        try:
            yield new
            _swap(target, new, old)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def keep_newest(folder: Path, kept: int) -> list[str]:
    """Delete all exports in a folder but those of the releases that were published last.

    Returns:
        The release ids that went; each can be exported again, byte for byte.
    """
    with _locked(folder):
        published = {
            manifest.parent: json.loads(manifest.read_text(encoding="utf-8"))["published_at"]
            for manifest in folder.glob(f"[!.]*/{MANIFEST}")
        }
        going = sorted(published, key=lambda export: published[export])[:-kept]
        for export in going:
            shutil.rmtree(export)
    return [export.name for export in going]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _put_right(target: Path, new: Path, old: Path) -> None:
    if old.exists() and not target.exists():
        old.rename(target)
    for left in (new, old):
        if left.exists():
            shutil.rmtree(left)


def _swap(target: Path, new: Path, old: Path) -> None:
    """Two renames: a folder cannot be replaced by one. Between them the old one is only hidden."""
    if not target.exists():
        new.rename(target)
        return
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old)
