"""Archives of the trail that somebody changed."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

from loaders.audit.export import INDEX, new_member


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def described(members: dict[str, bytes]) -> dict[str, dict[str, object]]:
    """What the index says of each member."""
    return {
        name: {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "lines": content.count(b"\n"),
        }
        for name, content in members.items()
        if name != INDEX
    }


def rewritten(members: dict[str, bytes], *, adapt_index: bool = False) -> io.BytesIO:
    """An archive of these members; with `adapt_index` its index has the hashes that they have."""
    members = dict(members)
    if adapt_index:
        index = json.loads(members[INDEX])
        index["members"] = described(members)
        members[INDEX] = json.dumps(index).encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(new_member(name), content)
    file.seek(0)
    return file
