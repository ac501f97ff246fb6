"""Two published releases, each exported while it was the published one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from loaders.exports import export_release
from loaders.publication import HistoryError
from tests import exported
from tests.candidate_marts import publish_whole, values
from tests.exported import Row
from tests.report_pages import cell

FIRST, SECOND = "2025-06.1", "2025-07.1"
LICENCE = "Chưa công bố giấy phép / no licence published yet"


@dataclass(frozen=True)
class Published:
    """The exports of both releases, and the marts of the last."""

    folders: dict[str, Path]
    marts: dict[str, list[Row]]

    @property
    def folder(self) -> Path:
        return self.folders[SECOND]


def publish_two(home: Path, kept: Path) -> Published:
    """Publish and export them; copies of the exports are kept."""
    with pytest.raises(HistoryError, match="nothing has been published yet"):
        export_release()
    folders = {}
    for name, period, cells in (
        ("e1", "2025-06", [cell("cover", "1.0", period="2025-06"), cell("quote", "2")]),
        ("e2", "2025-07", values()),
    ):
        release_id = publish_whole(name, period, cells)
        written = export_release()
        assert written.folder == home / "exports" / release_id
        folders[release_id] = Path(shutil.copytree(written.folder, kept / release_id))
    assert list(folders) == [FIRST, SECOND]
    return Published(folders, exported.marts())


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Path inside the folder → bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
