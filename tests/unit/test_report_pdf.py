"""Printing a report: which browser, what it is asked, and what is said when it does not print."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loaders.report import pdf
from loaders.report.pdf import ChromiumError, find_chromium, write_pdf
from loaders.settings import get_settings

#: A browser that notes its arguments and prints the page that it was given.
PRINTS = """#!/bin/sh
printf '%s\\n' "$@" > "$0.arguments"
for argument; do
  case "$argument" in
    --print-to-pdf=*) out="${argument#--print-to-pdf=}" ;;
    file://*) page="${argument#file://}" ;;
  esac
done
cp "$page" "$out"
"""
FAILS = "#!/bin/sh\necho first >&2\necho 'cannot open display' >&2\nexit 3\n"
SILENT = "#!/bin/sh\nexit 0\n"
SLEEPS = "#!/bin/sh\nexec sleep 60\n"


@pytest.fixture
def path_without_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that is the whole PATH of browsers; no setting names one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(pdf.shutil, "which", _which_in(folder))
    monkeypatch.delenv("NQ42_CHROMIUM", raising=False)
    get_settings.cache_clear()
    yield folder
    get_settings.cache_clear()


def _which_in(folder: Path):
    def which(name: str | Path) -> str | None:
        found = folder / name
        return str(found) if found.is_file() and os.access(found, os.X_OK) else None

    return which


def browser(folder: Path, script: str, name: str = "chromium") -> Path:
    path = folder / name
    path.write_text(script, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def report(tmp_path: Path) -> Path:
    folder = tmp_path / "reports"
    folder.mkdir()
    path = folder / "2025-07.1.html"
    path.write_text(
        '<a class="x" href="#kpi">in</a> <a href="2025-07.1.quality.html">out</a>', encoding="utf-8"
    )
    return path


def test_without_a_browser_it_says_what_to_do(path_without_browser: Path, report: Path) -> None:
    with pytest.raises(ChromiumError, match=r"none of chromium, .* on the PATH.*NQ42_CHROMIUM"):
        write_pdf(report)


def test_the_setting_goes_before_the_path(
    path_without_browser: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser(path_without_browser, PRINTS, "google-chrome")
    assert find_chromium().name == "google-chrome"
    browser(path_without_browser, PRINTS)
    assert find_chromium().name == "chromium"
    mine = browser(path_without_browser, PRINTS, "mine")
    monkeypatch.setenv("NQ42_CHROMIUM", str(mine))
    get_settings.cache_clear()
    assert find_chromium() == mine
    monkeypatch.setenv("NQ42_CHROMIUM", "nowhere/chromium")
    get_settings.cache_clear()
    with pytest.raises(ChromiumError, match="NQ42_CHROMIUM=nowhere/chromium is no program"):
        find_chromium()


def test_the_pdf_lies_beside_the_report_and_nothing_else_is_left(
    path_without_browser: Path, report: Path
) -> None:
    found = browser(path_without_browser, PRINTS)
    assert write_pdf(report) == report.with_suffix(".pdf")
    assert sorted(path.name for path in report.parent.iterdir()) == [
        "2025-07.1.html",
        "2025-07.1.pdf",
    ]
    arguments = found.with_name("chromium.arguments").read_text().splitlines()
    assert "--headless" in arguments and "--no-pdf-header-footer" in arguments
    assert ("--no-sandbox" in arguments) is (os.geteuid() == 0)


def test_links_lead_nowhere_outside_the_document(path_without_browser: Path, report: Path) -> None:
    browser(path_without_browser, PRINTS)
    printed = write_pdf(report).read_text()
    assert printed == '<a class="x" href="#kpi">in</a> <a>out</a>'


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (FAILS, "ended with 3 and printed nothing: cannot open display"),
        (SILENT, "ended with 0 and printed nothing"),
        ("no program", "cannot be run: Exec format error"),
        (SLEEPS, "printed nothing in 0.2 s"),
    ],
)
def test_a_browser_that_does_not_print_is_named(
    path_without_browser: Path,
    report: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    said: str,
) -> None:
    monkeypatch.setattr(pdf, "TIMEOUT_SECONDS", 0.2 if script == SLEEPS else 60)
    found = browser(path_without_browser, script)
    report.with_suffix(".pdf").write_text("the last one")
    with pytest.raises(ChromiumError, match=said) as raised:
        write_pdf(report)
    assert str(found) in str(raised.value)
    assert report.with_suffix(".pdf").read_text() == "the last one"
    assert not [path for path in report.parent.iterdir() if path.name.startswith(".")]


def test_the_command_says_it_in_one_line(
    path_without_browser: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loaders import report as reports
    from loaders.cli import app

    paths = {"report": report, "quality": report}
    monkeypatch.setattr(reports, "write_release_reports", lambda: paths)
    # The log of later tests would go to what the runner has closed by then.
    monkeypatch.setattr("loaders.cli.configure_logging", lambda *_: None)
    done = CliRunner().invoke(app, ["report", "--pdf"])
    assert done.exit_code == 1 and "nq42: PDF needs Chromium" in done.output
    assert "Traceback" not in done.output
    assert CliRunner().invoke(app, ["report"]).exit_code == 0
    browser(path_without_browser, PRINTS)
    done = CliRunner().invoke(app, ["report", "--pdf"])
    assert done.exit_code == 0 and "2025-07.1.pdf" in done.output
