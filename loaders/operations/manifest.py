"""What a backup says of itself, and whether it is still what it says."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loaders.files import sha256_of

MANIFEST, MANIFEST_HASH, DUMP, LANDING = (
    "manifest.json",
    "manifest.sha256",
    "warehouse.dump",
    "landing",
)
FORMAT = 1


class BackupError(ValueError):
    """The backup or restore cannot be made; nothing was changed. The message says why."""


@dataclass(frozen=True)
class StoredFile:
    """A file of the backup; `path` is relative to its folder."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """The contents of `manifest.json`.

    Attributes:
        server_major: version of the server that was dumped; an older one cannot take it.
        migrations: ids of the migrations that the warehouse had.
        chain_seq, chain_head: the audit chain in the dump: number and hash of its last event.
        release_id: the last release; None before the first.
        key_fingerprint: of the pseudonym key, which is not in the backup.
        owners: kind, object and role of what the warehouse's roles own.
        other_roles: logins of the installation's own that hold rights: they must exist first.
        lacking: landed files that the store no longer had as their receipts say.
        files: every other file of the backup.
    """

    created_at: str
    server_major: int
    migrations: list[str]
    chain_seq: int
    chain_head: str
    release_id: str | None
    key_fingerprint: str | None
    owners: list[list[str]]
    other_roles: list[str]
    lacking: list[str]
    files: list[StoredFile]
    format: int = FORMAT


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest and its own hash."""
    content = json.dumps(asdict(manifest), ensure_ascii=False, indent=1).encode()
    write_private(folder / MANIFEST, content)
    write_private(folder / MANIFEST_HASH, f"{hashlib.sha256(content).hexdigest()}\n".encode())


def read_verified(folder: Path) -> Manifest:
    """The manifest of a backup of which every byte is as it was written.

    Raises:
        BackupError: a file is missing or changed; all of them are named.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
        stated = (folder / MANIFEST_HASH).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BackupError(f"{folder} is no backup: {error}") from error
    if hashlib.sha256(content).hexdigest() != stated:
        raise BackupError(f"damaged: {folder / MANIFEST} is not what {MANIFEST_HASH} says")
    document: dict[str, Any] = json.loads(content)
    if document["format"] != FORMAT:
        raise BackupError(f"{folder} has format {document['format']}; this program reads {FORMAT}")
    files = [StoredFile(**file) for file in document.pop("files")]
    wrong = [file.path for file in files if not _is_whole(folder / file.path, file)]
    if wrong:
        raise BackupError(f"damaged: missing or changed in {folder}: {', '.join(wrong)}")
    return Manifest(**document, files=files)


def _is_whole(path: Path, file: StoredFile) -> bool:
    return (
        path.is_file() and path.stat().st_size == file.size_bytes and sha256_of(path) == file.sha256
    )


def write_private(path: Path, content: bytes) -> None:
    """A new file for its owner only, on the disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def copy_private(source: Path, target: Path) -> StoredFile:
    """Copy a file for its owner only, folders included; what was copied, `path` being absolute."""
    make_private_folder(target.parent)
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as to, source.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
            size += len(block)
            to.write(block)
        to.flush()
        os.fsync(to.fileno())
    return StoredFile(str(target), digest.hexdigest(), size)


def make_private_folder(folder: Path) -> None:
    """The folder and those above it that are missing, each for its owner only."""
    for each in reversed((folder, *folder.parents)):
        if not each.exists():
            each.mkdir(mode=0o700)
