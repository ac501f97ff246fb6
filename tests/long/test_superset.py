"""A real Superset on a published province: every chart by the API, every dashboard in a browser."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from loaders.bi import service
from loaders.bi.bundle import DASHBOARDS, DATASETS
from loaders.bi.service import BiError, BiService
from loaders.postgres.database import Role, connect
from loaders.settings import Settings, get_settings
from tests.bi_pages import Seen, look_at_all
from tests.chromium import browser_page
from tests.end_to_end.conftest import Province

CHARTS = {chart.uuid: chart for dashboard in DASHBOARDS for chart in dashboard.charts}
#: Times of a change, which every import sets, and what is derived at the first look.
UNSTABLE = ("changed_on", "created_on", "last_saved_at", "id")


@pytest.fixture(scope="module")
def settings(province: Province) -> Settings:
    return province.warehouse.settings


@pytest.fixture(scope="module")
def bi(settings: Settings) -> Iterator[BiService]:
    yield service.up(settings)
    service.down(settings)


@pytest.fixture(scope="module")
def api(bi: BiService) -> Iterator[httpx.Client]:
    """Calls as the administrator."""
    with httpx.Client(base_url=bi.url, timeout=60, trust_env=False) as client:
        login = {"username": bi.user, "password": bi.password, "provider": "db"}
        answer = client.post("/api/v1/security/login", json=login)
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        token = client.get("/api/v1/security/csrf_token/").json()["result"]
        client.headers.update({"X-CSRFToken": token, "Referer": bi.url})
        yield client


@pytest.fixture(scope="module")
def seen(bi: BiService, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    given = os.environ.get("BI_PICTURES")
    return look_at_all(bi, Path(given) if given else tmp_path_factory.mktemp("pictures"))


def chart_ids(api: httpx.Client) -> dict[str, int]:
    """Name in the bundle → Superset's number of the chart."""
    listed = api.get("/api/v1/chart/", params={"q": "(page_size:100)"}).json()["result"]
    return {CHARTS[chart["uuid"]].name: chart["id"] for chart in listed}


def metadata(settings: Settings) -> dict[str, list[Any]]:
    """What the import is about, without the times at which it was done."""
    found: dict[str, list[Any]] = {}
    with sqlite3.connect(settings.home / "bi" / "superset.db") as connection:
        connection.row_factory = sqlite3.Row
        for table in ("dbs", "tables", "table_columns", "slices", "dashboards", "dashboard_slices"):
            rows = connection.execute(f"select * from {table}").fetchall()
            found[table] = sorted(
                str([(key, row[key]) for key in row.keys() if key not in UNSTABLE])  # noqa: SIM118
                for row in rows
            )
    return found


def test_every_chart_of_the_bundle_is_there_and_has_rows(api: httpx.Client) -> None:
    ids = chart_ids(api)
    assert set(ids) == {chart.name for chart in CHARTS.values()}
    for name, number in ids.items():
        answer = api.get(f"/api/v1/chart/{number}/data/")
        assert answer.status_code == 200, f"{name}: {answer.text}"
        (result,) = answer.json()["result"]
        assert result["error"] is None, name
        assert result["rowcount"] > 0, name


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda d: d.name)
def test_a_dashboard_draws_all_its_charts(seen: dict[str, Seen], dashboard: Any) -> None:
    found = seen[dashboard.name]
    assert found.charts == {chart.title for chart in dashboard.charts}
    assert found.alerts == []
    assert found.errors == []
    assert found.refused == []
    drawn = {sent.part: sent.rows for sent in found.sent}
    assert {chart.name for chart in dashboard.charts} <= set(drawn)
    assert {part for part, rows in drawn.items() if not rows} == set()


def test_nothing_leaves_the_machine(seen: dict[str, Seen]) -> None:
    assert {name: found.left_the_host for name, found in seen.items() if found.left_the_host} == {}


def test_the_browser_would_tell_of_other_hosts_and_errors() -> None:
    other = "http://127.0.0.1:9/pixel.png"
    with browser_page() as page:
        page.open("data:text/html,a page without a policy")
        page.wait_for("document.readyState == 'complete'")
        page.evaluate(f"(new Image()).src = '{other}'; console.error('broken'); 1")
        page.wait_for("performance.getEntriesByType('resource').length > 0")
        assert page.foreign("127.0.0.1:8") == [other]
        assert any("broken" in error for error in page.errors)


def test_sample_and_real_are_not_mixed(seen: dict[str, Seen]) -> None:
    for found in seen.values():
        for sent in found.sent:
            if sent.part.startswith("filter ") or sent.part.endswith("_release"):
                continue
            assert "data_label IN ('DỮ LIỆU MẪU / SAMPLE DATA')" in sent.sql, sent.part


def test_the_bundle_again_changes_nothing(bi: BiService, settings: Settings) -> None:
    prepare_again(settings)  # a look at a dashboard has Superset note the colours it gave
    before = metadata(settings)
    assert all(before.values())
    prepare_again(settings)
    assert metadata(settings) == before


def test_the_bundle_overwrites_what_was_changed_by_hand(
    bi: BiService, api: httpx.Client, settings: Settings
) -> None:
    number = chart_ids(api)["scorecard_kpis"]
    api.put(f"/api/v1/chart/{number}", json={"slice_name": "Khác"}).raise_for_status()
    assert any("Khác" in row for row in metadata(settings)["slices"])
    prepare_again(settings)
    assert not any("Khác" in row for row in metadata(settings)["slices"])


def prepare_again(settings: Settings) -> None:
    folder = settings.home / "bi"
    (folder / "ready").unlink()
    service._prepare(
        folder,
        service.PYTHON,
        service.environment(folder),
        settings.home / "logs" / "bi-prepare.log",
    )


def ask(api: httpx.Client, sql: str) -> httpx.Response:
    """A query as a reader may write it by hand."""
    (number,) = (d["id"] for d in api.get("/api/v1/database/").json()["result"])
    return api.post(
        "/api/v1/sqllab/execute/",
        json={"database_id": number, "sql": sql, "schema": "marts", "runAsync": False},
    )


def test_superset_sees_marts_and_nothing_else(api: httpx.Client) -> None:
    allowed = ask(api, "select count(*) as n from marts.dim_kpi")
    assert allowed.status_code == 200, allowed.text
    assert allowed.json()["data"] == [{"n": 61}]
    for table in ("audit.event", "publication.release", "quarantine.quarantined_row", "raw.x"):
        refused = ask(api, f"select * from {table}")
        assert refused.status_code >= 400, table
    assert ask(api, "delete from marts.dim_kpi").status_code >= 400
    assert ask(api, "create table marts.x (a int)").status_code >= 400


def test_without_a_login_there_is_nothing(bi: BiService) -> None:
    with httpx.Client(base_url=bi.url, trust_env=False) as client:
        assert client.get("/api/v1/chart/").status_code == 401
        dashboard = client.get(f"/superset/dashboard/{DASHBOARDS[0].name}/")
        assert dashboard.status_code in (302, 401, 403)
        assert client.get("/health").text == "OK"


def test_a_change_without_its_token_is_refused(bi: BiService, api: httpx.Client) -> None:
    number = chart_ids(api)["scorecard_kpis"]
    bare = {"Authorization": api.headers["Authorization"], "X-CSRFToken": "", "Referer": bi.url}
    answer = api.put(f"/api/v1/chart/{number}", json={"slice_name": "x"}, headers=bare)
    assert answer.status_code == 400
    assert "CSRF" in answer.text


def test_secrets_are_for_the_owner_and_in_no_log(bi: BiService, settings: Settings) -> None:
    folder = settings.home / "bi"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("keys.json", "connection.json", "superset.db"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    assert settings.bi_password is not None
    words = (bi.password, settings.bi_password.get_secret_value())
    for log in (settings.home / "logs").glob("bi*.log"):
        text = log.read_text(encoding="utf-8", errors="replace")
        assert not any(word in text for word in words), log.name
    stored = (folder / "superset.db").read_bytes()
    assert settings.bi_password.get_secret_value().encode() not in stored


def test_a_second_start_finds_it_running(bi: BiService, settings: Settings) -> None:
    record = (settings.home / "bi" / "service.json").read_text()
    assert service.up(settings) == bi
    assert (settings.home / "bi" / "service.json").read_text() == record


def test_stopped_it_is_gone_and_comes_back(bi: BiService, settings: Settings) -> None:
    assert service.down(settings)
    assert service.status(settings) is None
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{bi.url}/health", trust_env=False)
    assert not service.down(settings)
    assert service.up(settings).url == bi.url


def test_columns_have_the_types_that_they_are_said_to_have(province: Province) -> None:
    kinds = {"text": "TEXT", "date": "DATE", "bool": "BOOLEAN"}
    with connect(Role.BI) as connection:
        for dataset in DATASETS:
            cursor = connection.execute(f"select * from ({dataset.sql}) as t limit 0")  # type: ignore[arg-type]
            types = {
                column.name: psycopg.adapters.types[column.type_code].name
                for column in cursor.description or ()
            }
            assert list(types) == [column.name for column in dataset.columns], dataset.name
            said = {column.name: column.kind for column in dataset.columns}
            assert {n: kinds.get(t, "NUMERIC") for n, t in types.items()} == said, dataset.name


def test_without_its_environment_it_says_what_to_do(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BiError, match="make bi"):
        service.up(settings, python=tmp_path / "python")


def test_a_wrong_password_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NQ42_BI_PASSWORD", "not the one of the role")
    get_settings.cache_clear()
    with pytest.raises(BiError, match="nq42 setup"):
        service._connection(get_settings(), {})
    monkeypatch.setenv("NQ42_BI_PASSWORD", "")
    get_settings.cache_clear()
    with pytest.raises(BiError, match="NQ42_BI_PASSWORD is not set"):
        service._connection(get_settings(), {})
    monkeypatch.undo()
    get_settings.cache_clear()
