"""Accessible, fast, whole on every screen, and nothing that leaves the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.conftest import DESKTOP, PHONE, opened

GRAVE = ("serious", "critical")
LOAD_SECONDS = 2.0
#: Whatever the keyboard has to reach.
REACHABLE = "a[href], button, summary, [tabindex='0']"


def violations(browser: Browser, path: Path, width: int) -> tuple[list[str], int]:
    """Grave findings of axe, and how many texts it measured the contrast of."""
    context = browser.new_context(bypass_csp=True, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(path.as_uri())
    # What is only laid out when it comes near, or lies under the sticky line, cannot be measured.
    page.add_style_tag(
        content="article.kpi{content-visibility:visible!important}"
        ".sample-line{position:static!important}"
    )
    # As a reader comes by: what scrolls sideways can be reached once it is near.
    page.evaluate(
        "async () => { for (let y = 0; y < document.body.scrollHeight; y += 700) {"
        " window.scrollTo(0, y); await new Promise(r => setTimeout(r, 30)); } }"
    )
    result = Axe().run(page, options={"resultTypes": ["violations", "passes"]}).response
    context.close()
    grave = [
        f"{found['id']}: {found['nodes'][0]['html'][:200]}"
        for found in result["violations"]
        if found["impact"] in GRAVE
    ]
    contrast = [found for found in result["passes"] if found["id"] == "color-contrast"]
    return grave, sum(len(found["nodes"]) for found in contrast)


@pytest.fixture
def small(tmp_path: Path) -> dict[str, Path]:
    """Every kind of block once: axe needs minutes for each of 61."""
    from loaders.report.html import write_reports
    from tests.report_pages import release_view
    from tests.unit.test_report_boundaries import UNITS, collection, write

    view = release_view(units=UNITS)
    found = write_reports(view, tmp_path)
    folder = tmp_path / "outlines"
    folder.mkdir()
    found["outlines"] = write_reports(view, folder, write(folder, collection()))["report"]
    return found


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("kind", ["report", "outlines", "quality"])
def test_axe_finds_nothing_serious_or_critical(
    browser: Browser, small: dict[str, Path], kind: str, width: int
) -> None:
    grave, measured = violations(browser, small[kind], width)
    assert grave == []
    assert measured > 20


def test_axe_does_find_what_is_wrong(browser: Browser, small: dict[str, Path]) -> None:
    path = small["report"]
    html = path.read_text(encoding="utf-8")
    html = html.replace("--soft: #4d5863", "--soft: #b9c2cb").replace('<html lang="vi">', "<html>")
    path.write_text(html, encoding="utf-8")
    found = {line.partition(":")[0] for line in violations(browser, path, DESKTOP)[0]}
    assert {"color-contrast", "html-has-lang"} <= found


# --- keyboard -----------------------------------------------------------------------------------


def reached(page: Page) -> tuple[int, int]:
    """How many elements the Tab key reaches, and how many it should."""
    page.evaluate(
        "document.querySelectorAll('details').forEach(d => d.open = true);"
        "window.seen = new Set();"
        "document.addEventListener('focusin', e => window.seen.add(e.target))"
    )
    wanted = page.locator(REACHABLE).count()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
    return page.evaluate(f"[...window.seen].filter(e => e.matches(`{REACHABLE}`)).length"), wanted


@pytest.mark.parametrize("kind", ["report", "quality"])
def test_the_keyboard_reaches_everything(
    browser: Browser, small: dict[str, Path], kind: str
) -> None:
    page = opened(browser, small[kind])
    found, wanted = reached(page)
    assert found == wanted > 10
    page.close()


def test_what_the_keyboard_does_not_reach_is_counted(
    browser: Browser, small: dict[str, Path]
) -> None:
    page = opened(browser, small["report"])
    page.evaluate("document.querySelector('nav a').style.visibility = 'hidden'")
    found, wanted = reached(page)
    assert found == wanted - 1
    page.close()


def test_a_column_is_sorted_with_the_keyboard(browser: Browser, small: dict[str, Path]) -> None:
    page = opened(browser, small["report"])
    head = page.locator("table.sortable thead th button").nth(1)
    head.focus()
    page.keyboard.press("Enter")
    cells = page.locator("table.sortable tbody td").all_text_contents()
    assert cells == ["81,26", "90,00", "95,00", "99,50", "✱"]
    assert page.locator("table.sortable th[aria-sort='ascending']").count() == 1
    page.close()


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_a_link_of_the_first_page_leads_to_its_kpi(
    browser: Browser, reports: dict[str, Path], width: int
) -> None:
    page = opened(browser, reports["report"], width)
    page.locator("#overview a[href='#kpi-sample-kpi_40']").click()
    page.wait_for_timeout(500)
    top = page.locator("#kpi-sample-kpi_40").evaluate("e => e.getBoundingClientRect().top")
    assert 0 <= top < 100
    page.close()


def test_what_scrolls_sideways_is_reached_once_it_is_near(
    browser: Browser, reports: dict[str, Path]
) -> None:
    page = opened(browser, reports["report"], PHONE)
    boxes = "#kpi-sample-kpi_40 .scroll[tabindex='0']"
    assert page.locator(boxes).count() == 0
    page.locator("#kpi-sample-kpi_40 .breakdown").scroll_into_view_if_needed()
    page.locator(boxes).first.wait_for(state="attached", timeout=10_000)
    page.close()


# --- speed, network, screens --------------------------------------------------------------------


def requests(browser: Browser, path: Path) -> tuple[list[str], list[str]]:
    """What the browser asks for while it opens a page, and what the page complains about."""
    page = browser.new_page()
    session = page.context.new_cdp_session(page)
    asked: list[str] = []
    said: list[str] = []
    session.on("Network.requestWillBeSent", lambda event: asked.append(event["request"]["url"]))
    session.send("Network.enable")
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_timeout(300)
    page.close()
    return asked, said


@pytest.mark.parametrize("kind", ["report", "quality"])
def test_nothing_leaves_the_page(browser: Browser, reports: dict[str, Path], kind: str) -> None:
    asked, said = requests(browser, reports[kind])
    assert asked == [reports[kind].as_uri()]
    assert said == []


def test_what_leaves_a_page_is_seen(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text('<img src="http://127.0.0.1:9/pixel.gif" alt="">', encoding="utf-8")
    asked, _ = requests(browser, path)
    assert asked == [path.as_uri(), "http://127.0.0.1:9/pixel.gif"]


def load_seconds(browser: Browser, path: Path) -> float:
    """The fastest of three: what else runs on the machine is not the report's."""
    seconds = []
    for _ in range(3):
        page = opened(browser, path)
        timing: dict[str, Any] = page.evaluate(
            "performance.getEntriesByType('navigation')[0].toJSON()"
        )
        seconds.append(timing["loadEventEnd"] / 1000)
        page.close()
    return min(seconds)


def test_the_report_opens_at_once(browser: Browser, reports: dict[str, Path]) -> None:
    assert reports["report"].stat().st_size < 2_000_000
    assert load_seconds(browser, reports["report"]) < LOAD_SECONDS


def overflow(browser: Browser, path: Path, width: int) -> int:
    """By how many pixels a page is wider than its window."""
    page = opened(browser, path, width)
    found = page.evaluate(
        "document.querySelectorAll('article.kpi').forEach(e => e.style.contentVisibility ="
        " 'visible'), document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    page.close()
    return found


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_no_page_is_wider_than_its_window(
    browser: Browser, reports: dict[str, Path], outlined: Path, width: int
) -> None:
    for path in (reports["report"], reports["quality"], outlined):
        assert overflow(browser, path, width) <= 0, path.name


def test_a_page_that_is_too_wide_is_seen(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "wide.html"
    path.write_text('<div style="width:500px">x</div>', encoding="utf-8")
    assert overflow(browser, path, PHONE) > 100


def test_outlines_are_drawn(browser: Browser, outlined: Path) -> None:
    page = opened(browser, outlined)
    page.locator("#kpi-sample-kpi_00").scroll_into_view_if_needed()
    boxes = page.evaluate(
        "[...document.querySelector('#kpi-sample-kpi_00 svg.areas').querySelectorAll('use')]"
        ".map(e => e.getBBox()).filter(b => b.width > 0 && b.height > 0).length"
    )
    assert boxes == 96
    page.close()
