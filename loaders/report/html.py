"""The month report: one HTML file that needs nothing else."""

from __future__ import annotations

import os
import tempfile
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loaders.report import charts, words
from loaders.report.audit_page import AuditPage, Changes
from loaders.report.data import ReleaseView
from loaders.report.details import Details
from loaders.report.figures import Figures
from loaders.report.summary import Scorecard

TEMPLATES = Path(__file__).parent / "templates"


def write_report(view: ReleaseView, path: Path) -> Path:
    """Write the report of `view` to `path`, whole or not at all; the path."""
    html = render_report(view)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(html)
        temporary.chmod(0o644)  # mkstemp gives it to the owner only, but it is made to be read
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def render_report(view: ReleaseView) -> str:
    """The report as HTML."""
    figures = Figures(view)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            view=view,
            words=words,
            charts=charts,
            scorecard=Scorecard(figures),
            details=Details(figures),
            changes=Changes(figures),
            audit=AuditPage(view),
        )
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # every label, reason and file name comes from outside
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.filters.update(
        number=words.number, day=words.day, moment=words.moment, period=words.period
    )
    return environment
