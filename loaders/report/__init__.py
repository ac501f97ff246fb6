"""The report of a release: an HTML file for people, and the scorecard for the terminal."""

from __future__ import annotations

from rich.console import Console

from loaders.postgres.database import Role, connect
from loaders.report.data import NoReleaseError, ReleaseView, read_release
from loaders.report.html import render_report, write_report
from loaders.report.scorecard import print_register, print_scorecard
from loaders.settings import get_settings
from loaders.stages.records import PublishResult

__all__ = [
    "NoReleaseError",
    "ReleaseView",
    "print_register",
    "print_scorecard",
    "read_release",
    "render_report",
    "show_register",
    "show_scorecard",
    "write_release_report",
    "write_report",
]


def write_release_report(result: PublishResult | None = None) -> str:
    """Write the report of the published release to the reports folder; the path of the file.

    Args:
        result: what `publish` hands over; the report is that of the marts as they stand.

    Raises:
        NoReleaseError: nothing is published.
    """
    view = _published()
    name = view.release_id or view.note["candidate_id"]
    return str(write_report(view, get_settings().reports / f"{name}.html"))


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
