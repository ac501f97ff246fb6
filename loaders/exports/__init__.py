"""A release as files for others: CSV, Parquet, a workbook, SDMX and JSON, with their checksums."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loaders.exports.csv_files import write_csv_files
from loaders.exports.folder import MANIFEST, keep_newest, whole_folder
from loaders.exports.json_files import write_json_files
from loaders.exports.json_text import write_json
from loaders.exports.release import ExportError, Facts, open_release, read_facts, read_marts
from loaders.exports.sdmx_files import write_sdmx_files
from loaders.exports.tables import Snapshot, type_table
from loaders.exports.workbook import write_workbook
from loaders.files import sha256_of
from loaders.log import get_logger
from loaders.settings import get_settings

__all__ = ["FORMATS", "Export", "ExportError", "export_newest", "export_release"]

Writer = Callable[[Snapshot, Path], Iterator[tuple[Path, int]]]


def _write_parquet(snapshot: Snapshot, folder: Path) -> Iterator[tuple[Path, int]]:
    for table in snapshot.tables.values():
        yield Path(shutil.copy(table.parquet, folder)), table.source.rows


#: Format → what writes its files; each has a folder of its own.
FORMATS: dict[str, Writer] = {
    "csv": write_csv_files,
    "parquet": _write_parquet,
    "xlsx": write_workbook,
    "sdmx": write_sdmx_files,
    "json": write_json_files,
}
CHECKSUMS = "SHA256SUMS"
#: The marts as they come; gone before the folder appears.
WORK = ".work"


@dataclass(frozen=True)
class Export:
    """What was written: the folder, and by path inside it sha256, bytes and rows of each file."""

    folder: Path
    release_id: str
    files: dict[str, dict[str, Any]]


def export_newest() -> Export:
    """Export the published release in every format, and delete all but the newest exports.

    Raises: as `export_release`.
    """
    done = export_release()
    gone = keep_newest(done.folder.parent, get_settings().exports_kept)
    get_logger().info("older exports deleted", releases=gone)
    return done


def export_release(
    release_id: str | None = None,
    out: Path | None = None,
    formats: Sequence[str] = tuple(FORMATS),
) -> Export:
    """Write a release to `<out>/<release id>`, whole or not at all; the same one, the same bytes.

    An earlier export of the release is replaced: the folder holds the formats that are asked for.

    Args:
        release_id: without it the published one.
        out: without it `exports` in the home folder.

    Raises:
        ExportError: the release does not come back as it was published, or shows what is hidden.
        HistoryError: there is no such release, or it is older than its history.
        ValueError: a format that is not known, or the folder is there and is no export.
    """
    if unknown := sorted(set(formats) - FORMATS.keys()):
        raise ValueError(f"no format {', '.join(unknown)}; known: {', '.join(FORMATS)}")
    settings = get_settings()
    with open_release(release_id) as (connection, release):
        facts = read_facts(connection, release, settings.licence_note)
        target = (out or settings.home / "exports") / facts.release_id
        with whole_folder(target) as folder:
            work = folder / WORK
            sources = read_marts(connection, release, work / "marts")
            connection.close()  # nothing of the database is held while files are written
            typed = work / "typed"
            typed.mkdir()
            snapshot = Snapshot(facts, {s.name: type_table(s, facts, typed) for s in sources})
            snapshot.refuse_shown_secrets()
            files = _write(snapshot, folder, [name for name in FORMATS if name in formats])
            shutil.rmtree(work)
    get_logger().info("release exported", release_id=facts.release_id, files=len(files))
    return Export(target, facts.release_id, files)


def _write(snapshot: Snapshot, folder: Path, formats: Sequence[str]) -> dict[str, dict[str, Any]]:
    files: dict[str, dict[str, Any]] = {}
    for name in formats:
        (folder / name).mkdir()
        for path, rows in FORMATS[name](snapshot, folder / name):
            known = {"sha256": sha256_of(path), "bytes": path.stat().st_size, "rows": rows}
            files[path.relative_to(folder).as_posix()] = known
    write_json(folder / MANIFEST, _manifest(snapshot.facts, snapshot, files))
    sums = {path: known["sha256"] for path, known in files.items()}
    sums[MANIFEST] = sha256_of(folder / MANIFEST)
    listing = "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(sums.items()))
    (folder / CHECKSUMS).write_text(listing, encoding="utf-8")
    return files


def _manifest(facts: Facts, snapshot: Snapshot, files: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        **facts.to_dict(),
        "code_version": facts.code_version,
        "citation_vi": facts.citation.vi,
        "citation_en": facts.citation.en,
        # As the release's own manifest has them: rows, and sha256 of the mart's CSV.
        "marts": {
            table.name: {"rows": table.source.rows, "sha256": table.source.sha256}
            for table in snapshot.tables.values()
        },
        "release_checksum": snapshot.rows("release_checksum"),
        "files": files,
    }
