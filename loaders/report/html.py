"""The files of a release: month report and quality report, self-contained, and a JSON twin."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loaders.files import write_text
from loaders.log import get_logger
from loaders.report import charts, trend_chart, words
from loaders.report.boundaries import Boundaries, BoundariesError, read_boundaries
from loaders.report.changes import Changes
from loaders.report.data import ReleaseView
from loaders.report.decisions import Decisions
from loaders.report.details import Details
from loaders.report.figures import Figures
from loaders.report.quality import QualityPage
from loaders.report.quality_json import render_quality_json
from loaders.report.summary import Scorecard

TEMPLATES = Path(__file__).parent / "templates"


def write_reports(view: ReleaseView, folder: Path, geojson: Path | None = None) -> dict[str, Path]:
    """Write the files of a release, each whole or not at all: "report", "quality", "json".

    Args:
        geojson: outlines of the communes; a file that cannot be used is said in the report.
    """
    names = {
        "report": f"{view.name}.html",
        "quality": quality_file(view),
        "json": f"{view.name}.quality.json",
    }
    # The month report comes last: what it refers to is there.
    write_text(folder / names["json"], render_quality_json(view))
    write_text(folder / names["quality"], render_quality(view))
    write_text(folder / names["report"], render_report(view, geojson))
    return {kind: folder / name for kind, name in names.items()}


def quality_file(view: ReleaseView) -> str:
    """Name of the quality report, which lies beside the month report."""
    return f"{view.name}.quality.html"


def render_report(view: ReleaseView, geojson: Path | None = None) -> str:
    """The month report as HTML."""
    figures = Figures(view)
    boundaries, refused = _boundaries(view, geojson)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            view=view,
            words=words,
            charts=charts,
            trend_chart=trend_chart,
            boundaries=boundaries,
            boundaries_refused=refused,
            scorecard=Scorecard(figures),
            details=Details(figures, boundaries),
            changes=Changes(figures),
            quality=QualityPage(view),
            quality_file=quality_file(view),
        )
    )


def _boundaries(view: ReleaseView, geojson: Path | None) -> tuple[Boundaries | None, str | None]:
    """The outlines of the communes, or why there are none: the report is more than its maps."""
    if geojson is None:
        return None, None
    try:
        return read_boundaries(geojson, view.units), None
    except BoundariesError as error:
        get_logger().warning("the outlines of the communes cannot be used", reason=str(error))
        return None, str(error)


def render_quality(view: ReleaseView) -> str:
    """The quality report as HTML."""
    return (
        environment()
        .get_template("quality_report.html.j2")
        .render(
            view=view,
            words=words,
            charts=charts,
            quality=QualityPage(view),
            decisions=Decisions(view),
            report_file=f"{view.name}.html",
        )
    )


@lru_cache(maxsize=1)
def environment() -> Environment:
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
