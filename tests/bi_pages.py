"""Superset's dashboards as a reader meets them: logged in, in a browser, with every query noted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loaders.bi.bundle import DASHBOARDS
from loaders.bi.model import Chart, Dashboard
from loaders.bi.service import BiService
from tests.chromium import Page, browser_page

WIDTH, HEIGHT = 1500, 900
TALL = 4200
#: Charts draw when they are on the screen; a page is done when nothing has moved for so long.
QUIET_SECONDS = 3
LOADING = "document.querySelectorAll('.loading, [data-test=loading-indicator]').length"
ALERTS = (
    "[...document.querySelectorAll('[role=alert], .missing-chart-container, .error-boundary')]"
    ".map(e => e.innerText.trim()).filter(t => t)"
)
TITLES = (
    "[...document.querySelectorAll('[data-test=editable-title], .editable-title, .header-title')]"
    ".map(e => (e.querySelector('input') || {}).value || e.innerText).map(t => t.trim())"
)
BOTTOM = (
    "Math.max(...[...document.querySelectorAll('.dashboard-component-chart-holder')]"
    ".map(e => e.getBoundingClientRect().bottom))"
)
FILL_IN = """
(() => {
    const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
    const fields = [...document.querySelectorAll('input')].filter(e => e.type != 'hidden');
    (%s).forEach((value, i) => {
        set.call(fields[i], value);
        fields[i].dispatchEvent(new Event('input', {bubbles: true}));
    });
    document.querySelector('button[type=submit], input[type=submit]').click()
})()
"""
#: The one thing that Superset's pages ask others for; the Content-Security-Policy stops it.
PIXEL = "/pixel/"


@dataclass(frozen=True)
class Sent:
    """A query that a page had run: of a chart, or for the values of a filter."""

    dashboard: str
    part: str
    sql: str
    rows: int


@dataclass(frozen=True)
class Seen:
    """What a dashboard showed and did."""

    charts: frozenset[str]
    alerts: list[str]
    errors: list[str]
    left_the_host: list[str]
    refused: list[str]
    sent: list[Sent]


@contextmanager
def logged_in(service: BiService) -> Iterator[Page]:
    """A browser in which the administrator has logged in by the form."""
    with browser_page() as page:
        page.size(WIDTH, HEIGHT)
        page.open(f"{service.url}/login/")
        page.wait_for("document.querySelectorAll('input').length >= 2")
        page.wait_for("!!document.querySelector('button[type=submit], input[type=submit]')")
        page.evaluate(FILL_IN % json.dumps([service.user, service.password]))
        page.wait_for("!location.pathname.startsWith('/login')")
        yield page


def look(page: Page, service: BiService, dashboard: Dashboard, picture: Path) -> Seen:
    """Open a dashboard with its default filters, wait until it is drawn, take a picture."""
    page.open("about:blank")
    page.forget()
    page.size(WIDTH, TALL)
    page.open(f"{service.url}/superset/dashboard/{dashboard.name}/")
    page.wait_for("document.querySelectorAll('.dashboard-component-chart-holder').length > 0")
    _settle(page)
    page.size(WIDTH, int(page.evaluate(BOTTOM)) + 30)
    _settle(page)
    page.screenshot(picture)
    host = urlsplit(service.url).netloc
    shown = set(page.evaluate(TITLES))
    return Seen(
        charts=frozenset(chart.title for chart in dashboard.charts if chart.title in shown),
        alerts=page.evaluate(ALERTS),
        errors=[error for error in page.errors if PIXEL not in error],
        left_the_host=page.foreign(host),
        refused=[
            f"{request['status']} {request['url']}"
            for request in page.requests.values()
            if (request["status"] or 0) >= 400
        ],
        sent=list(_sent(page, dashboard)),
    )


def _settle(page: Page) -> None:
    """Until nothing loads and no request was sent for a while."""
    known, since, deadline = -1, time.monotonic(), time.monotonic() + 90
    while time.monotonic() - since < QUIET_SECONDS:
        assert time.monotonic() < deadline, "the dashboard does not come to rest"
        if page.evaluate(LOADING) or len(page.requests) != known:
            known, since = len(page.requests), time.monotonic()
        time.sleep(0.25)


def _sent(page: Page, dashboard: Dashboard) -> Iterator[Sent]:
    """The last query of each chart and filter: those before it lacked the first filter values."""
    last: dict[str, Sent] = {}
    for request_id, request in page.requests.items():
        if "/api/v1/chart/data" not in request["url"] or request["status"] != 200:
            continue
        form = json.loads(request["postData"])["form_data"]
        part = _part(form, dashboard)
        for result in json.loads(page.answer(request_id))["result"]:
            last[part] = Sent(dashboard.name, part, result["query"], result["rowcount"])
    yield from (last[part] for part in sorted(last))


def _part(form: dict[str, Any], dashboard: Dashboard) -> str:
    """The chart's name, or that of the filter."""
    if form.get("native_filter_id"):
        return f"filter {form['groupby'][0]}"
    for chart in dashboard.charts:
        if _is_of(form, chart):
            return chart.name
    raise AssertionError(f"a query of no chart: {form}")


def _is_of(form: dict[str, Any], chart: Chart) -> bool:
    """Told by the controls that make the query: the form carries no name."""
    keys = ("viz_type", "metric", "metrics", "all_columns", "groupby", "x_axis", "adhoc_filters")
    mine = {"viz_type": chart.viz_type, **chart.params}
    return all(form.get(key) == mine[key] for key in keys if key in mine)


def look_at_all(service: BiService, pictures: Path) -> dict[str, Seen]:
    """Every dashboard, by name."""
    pictures.mkdir(parents=True, exist_ok=True)
    with logged_in(service) as page:
        return {
            dashboard.name: look(page, service, dashboard, pictures / f"{dashboard.name}.png")
            for dashboard in DASHBOARDS
        }
