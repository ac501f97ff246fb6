"""`nq42 export`: a release as files for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loaders.cli.common import console, plain_errors


def export(
    release: Annotated[
        str | None, typer.Option(help="A release, such as 2025-07.2; without it the published one.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for <release>/; without it exports in the home.")
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="csv, parquet, xlsx, sdmx, json; again for several."),
    ] = None,
) -> None:
    """Write a release as CSV, Parquet, XLSX, SDMX and JSON, with checksums; whole or not at all."""
    from loaders.exports import FORMATS, export_release

    with plain_errors(), console.status("export"):
        done = export_release(release, out, formats or tuple(FORMATS))
    for path, known in done.files.items():
        if path.count("/") == 1:
            console.print(f"{known['bytes']:>12,}  {path}", highlight=False, soft_wrap=True)
    console.print(f"{len(done.files)} files of release {done.release_id}", highlight=False)
    console.print(str(done.folder), highlight=False, soft_wrap=True)
