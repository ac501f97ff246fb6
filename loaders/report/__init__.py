"""The reports of a release for people and machines, and the scorecard for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from loaders.postgres.database import Role, connect
from loaders.report.data import NoReleaseError, ReleaseView, read_release
from loaders.report.html import render_quality, render_report, write_reports
from loaders.report.pdf import write_pdf
from loaders.report.scorecard import print_register, print_scorecard
from loaders.settings import get_settings
from loaders.stages.records import PublishResult

__all__ = [
    "NoReleaseError",
    "ReleaseView",
    "print_register",
    "print_scorecard",
    "read_release",
    "render_quality",
    "render_report",
    "show_register",
    "show_scorecard",
    "write_release_pdfs",
    "write_release_report",
    "write_release_reports",
    "write_reports",
]


def write_release_report(result: PublishResult | None = None) -> str:
    """Write the files of the published release to the reports folder; the month report's path.

    Args:
        result: what `publish` hands over; the report is that of the marts as they stand.

    Raises:
        NoReleaseError: nothing is published.
    """
    return str(write_release_reports()["report"])


def write_release_reports() -> dict[str, Path]:
    """Write the files of the published release: the paths of "report", "quality" and "json".

    Raises:
        NoReleaseError: nothing is published.
    """
    settings = get_settings()
    return write_reports(_published(), settings.reports, settings.boundaries_geojson)


def write_release_pdfs(reports: Mapping[str, Path]) -> list[Path]:
    """Print the month and the quality report that :func:`write_release_reports` has written.

    Raises:
        ChromiumError: there is no browser to print with, or it did not print.
    """
    return [write_pdf(reports[kind]) for kind in ("report", "quality")]


def show_scorecard(console: Console) -> None:
    """Print the published scorecard.

    Raises:
        NoReleaseError: nothing is published.
    """
    print_scorecard(_published(), console)


def show_register(console: Console) -> None:
    """Print every KPI of the register with its state and latest figure.

    Raises:
        NoReleaseError: nothing is published.
    """
    print_register(_published(), console)


def _published() -> ReleaseView:
    # The publisher owns the marts and may quote quarantine, which the auditor could not join.
    with connect(Role.PUBLISHER) as connection:
        return read_release(connection)
