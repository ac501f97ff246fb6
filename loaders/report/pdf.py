"""A report as PDF, printed by the machine's own Chromium or Chrome: A4, with page numbers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from loaders.settings import PROJECT_ROOT, get_settings

#: What the browser is called, in the order of being asked for.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
TIMEOUT_SECONDS = 180
#: A link to anything but a place in the same document: printed it would name a folder of this
#: machine.
_OUTWARD = re.compile(r'(<a\b[^>]*?) href="(?!#)[^"]*"')


class ChromiumError(RuntimeError):
    """There is no browser to print with, or it did not print."""


def find_chromium() -> Path:
    """The browser that NQ42_CHROMIUM names, or the first of :data:`NAMES` on the PATH.

    Raises:
        ChromiumError: neither is there.
    """
    given = get_settings().chromium
    if given is not None:
        found = shutil.which(PROJECT_ROOT / given.expanduser()) or shutil.which(given)
        if found is None:
            raise ChromiumError(f"NQ42_CHROMIUM={given} is no program that can be run; correct it")
        return Path(found)
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return Path(found)
    raise ChromiumError(
        f"PDF needs Chromium or Chrome, and none of {', '.join(NAMES)} is on the PATH. Install it "
        "(Debian: apt-get install chromium), or name it in NQ42_CHROMIUM; or open the report in "
        "any browser and print it"
    )


def write_pdf(report: Path) -> Path:
    """Print a report; the PDF, which is whole or not there, lies beside it.

    Raises:
        ChromiumError: no browser, or it printed nothing.
    """
    browser, pdf = find_chromium(), report.with_suffix(".pdf")
    # Beside the report and not in /tmp: some packaged browsers have a /tmp of their own.
    with tempfile.TemporaryDirectory(dir=report.parent, prefix=f".{report.name}.") as name:
        folder = Path(name)
        page, printed = folder / "report.html", folder / "report.pdf"
        page.write_text(_OUTWARD.sub(r"\1", report.read_text(encoding="utf-8")), encoding="utf-8")
        _print(browser, folder, page, printed)
        printed.chmod(0o644)
        printed.replace(pdf)
    return pdf


def _print(browser: Path, folder: Path, page: Path, printed: Path) -> None:
    command = [
        str(browser),
        "--headless",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        f"--user-data-dir={folder / 'profile'}",
        "--no-pdf-header-footer",
        "--generate-pdf-document-outline",
        f"--print-to-pdf={printed}",
        page.as_uri(),
    ]
    if os.geteuid() == 0:
        # Chromium does not start as root with its sandbox; the page is our own and runs alone.
        command.insert(2, "--no-sandbox")
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ChromiumError(f"{browser} printed nothing in {TIMEOUT_SECONDS} s") from error
    except OSError as error:
        raise ChromiumError(f"{browser} cannot be run: {error.strerror}") from error
    if done.returncode or not printed.is_file() or not printed.stat().st_size:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        last = f": {said[-1]}" if said else ""
        raise ChromiumError(f"{browser} ended with {done.returncode} and printed nothing{last}")
