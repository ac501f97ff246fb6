"""The reports as a browser shows and prints them: `make test-browser`.

The browser is the machine's own Chromium or Chrome. Where there is none, every test here fails and
says what is missing: nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from loaders.report.html import write_reports
from loaders.report.pdf import find_chromium
from tests.browser.province import province_view
from tests.unit.test_report_boundaries import write

PHONE, DESKTOP = 390, 1280


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    # Chromium as root has no sandbox; the pages are our own.
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox"], chromium_sandbox=False
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of a release of a whole province: 61 KPIs, 96 communes, both labels."""
    return write_reports(province_view(), tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="session")
def outlined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The month report with maps of outlines."""
    from tests.browser.province import outlines

    folder = tmp_path_factory.mktemp("outlined")
    geojson = write(folder, outlines())
    return write_reports(province_view(), folder, geojson)["report"]


def opened(browser: Browser, path: Path, width: int = DESKTOP) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(path.as_uri())
    return page
