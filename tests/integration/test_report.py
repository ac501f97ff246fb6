"""Reading a release back from PostgreSQL, and its report in the reports folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from psycopg import sql

from loaders import audit
from loaders.postgres.database import Role, connect
from loaders.report import NoReleaseError, read_release, write_release_report
from loaders.report.data import ReleaseView
from loaders.report.decisions import Decisions
from loaders.report.html import render_report
from loaders.settings import PROJECT_ROOT
from loaders.stages.approve import approve
from loaders.stages.publish import publish
from tests.candidates import judge_candidate
from tests.conftest import Warehouse
from tests.integration.trail import insert, judge, receive, refuse_row
from tests.quality_pages import rule
from tests.report_figures import differences, figures_of_marts
from tests.report_pages import cell, commune, parse, release_view, verdict

MARTS = PROJECT_ROOT / "dbt_project" / "models" / "marts" / "_marts__models.yml"
FIRST, SECOND = "2025-06-first", "2025-07-second"
WARNING = {
    "rule_id": "kpi_value.coverage_at_most_100",
    "rule_version": 1,
    "observed": "1 rows",
    "description_vi": "Tỷ lệ bao phủ vượt quá 100 %",
    "description_en": "A coverage exceeds 100 %",
}
PERIODS = {"2016": 2017.0, "2024-06": 2024.5, "2025-06": 2025.5, "2025-07": 2025 + 7 / 12}


def build_marts(candidate_id: str, period: str, values: Iterable[Mapping[str, Any]]) -> None:
    """The candidate's tables as the contracts of the marts describe them, and rows in them."""
    view = release_view()
    cells = list(values)
    units = {
        row["unit_id"]: {
            "unit_id": row["unit_id"],
            "unit_code": row["unit_code"],
            "unit_level": row["unit_level"],
            **{name: row.get(name) for name in ("full_name_vi", "latitude", "longitude")},
            "name_vi": row.get("name_vi", "Tên"),
            "name_en": row.get("name_en", "Name"),
        }
        for row in cells
    }
    rows: dict[str, Iterable[Mapping[str, Any]]] = {
        "release_note": [{**view.note, "as_of_period": period, "candidate_id": candidate_id}],
        "dim_kpi": view.kpis,
        "dim_target": view.targets,
        "dim_period": [
            {"period": name, "period_kind": "month", "year_decimal": year}
            for name, year in PERIODS.items()
        ],
        "dim_unit": units.values(),
        "scorecard": view.scorecard,
        "fct_kpi_value": cells,
        "fct_kpi_verdict": [
            verdict("cover", "limited_progress" if period == "2025-07" else "moderate_progress")
            | {"unit_level": "boundary", "unit_code": "qn_programme", "unit_id": "qn_programme"}
        ],
        "fct_data_quality": view.quality.volumes,
    }
    models = yaml.safe_load(MARTS.read_text(encoding="utf-8"))["models"]
    with connect(Role.TRANSFORMER) as connection:
        for model in models:
            table = sql.Identifier("candidate", model["name"])
            connection.execute(sql.SQL("drop table if exists {}").format(table))
            columns = {column["name"]: column["data_type"] for column in model["columns"]}
            listing = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
            connection.execute(sql.SQL("create table {} (" + listing + ")").format(table))
            for row in rows.get(model["name"], ()):
                insert(connection, table, {k: v for k, v in row.items() if k in columns})


def cells_of(period: str, value: str) -> list[dict[str, Any]]:
    """Totals of two months, an outdated and a current breakdown, communes in both boundaries."""
    both = [commune("cover", "90", n) for n in (1, 2)] + [
        commune("cover", "90", n, boundary="qn_current") for n in (1, 2, 3)
    ]
    return [
        cell("cover", "91", period="2024-06"),
        cell("cover", value, period="2025-06"),
        *([cell("cover", "94.126")] if period == "2025-07" else []),
        cell("cover", "80", period="2024-06", breakdown="sex", breakdown_value="male"),
        *(
            [cell("cover", "95", breakdown="sex", breakdown_value="female")]
            if period == "2025-07"
            else []
        ),
        cell(
            "cover",
            "2",
            boundary="reference",
            unit_level="country",
            unit_code="VN",
            unit_id="VN",
            period="2016",
        ),
        cell(
            "cover",
            "3",
            boundary="reference",
            unit_level="country",
            unit_code="VN",
            unit_id="VN",
            period="2024-06",
        ),
        *(both if period == "2025-07" else []),
    ]


@pytest.fixture(scope="module")
def released(warehouse: Warehouse) -> ReleaseView:
    """Two releases; the second revises a total and changes a verdict."""
    with connect(Role.PUBLISHER) as connection, pytest.raises(NoReleaseError, match="no release"):
        read_release(connection)
    with connect(Role.LOADER) as connection:
        earlier, last = uuid4(), uuid4()
        for result, rule_id, gate_run in (
            ("fail", "staff.left_the_suite", earlier),
            ("fail", "staff.once", earlier),
            ("pass", "staff.once", last),
            ("pass", "staff.b", last),
        ):
            insert(
                connection,
                sql.Identifier("audit", "rule_result"),
                rule(rule_id, result) | {"kind": "row", "gate_run": gate_run},
            )
        receive(connection, "staff", "2025-07", "batch-staff")
        judge(connection, "staff", "2025-07", "batch-staff", "accepted", read=9, quarantined=2)
        receive(connection, "facilities", "2025-07", "batch-facilities")
        judge(
            connection,
            "facilities",
            "2025-07",
            "batch-facilities",
            "held",
            read=60,
            quarantined=40,
            reason="too many rows",
        )
        for number in (3, 4):
            refuse_row(connection, "staff", "2025-07", "batch-staff", number)
    build_marts(FIRST, "2025-06", cells_of("2025-06", "92.5"))
    judge_candidate(FIRST, audit.GATE_PASSED)
    publish(FIRST)
    build_marts(SECOND, "2025-07", cells_of("2025-07", "92.25"))
    judge_candidate(SECOND, audit.GATE_WAITING, period="2025-07", warnings=[WARNING])
    approve(SECOND, by="Nguyễn Thị Lan", reason="reviewed with the agency", account="lan")
    publish(SECOND)
    with connect(Role.PUBLISHER) as connection:
        return read_release(connection)


def test_the_view_is_the_published_release(released: ReleaseView) -> None:
    assert released.release is not None
    assert (released.release_id, released.previous_release_id) == ("2025-07.1", "2025-06.1")
    assert released.release["manifest"]["candidate_id"] == SECOND
    assert len(released.release["event_hash"]) == 64
    assert released.release["event_hash"] != released.release["chain_head"]
    assert [event["kind"] for event in released.quality.gate_events] == [audit.GATE_WAITING]
    (approval,) = Decisions(released).approvals()
    assert (approval["decision"].en, approval["decided_by"]) == ("Approved", "Nguyễn Thị Lan")
    assert approval["reason"] == "reviewed with the agency"
    assert approval["findings"][0]["rule_id"] == WARNING["rule_id"]
    assert len(released.scorecard) == len(release_view().scorecard)
    assert released.has_sample


def test_only_the_latest_breakdowns_references_and_communes_are_read(
    released: ReleaseView,
) -> None:
    assert [row["period"] for row in released.boundary_values] == ["2024-06", "2025-06", "2025-07"]
    assert [row["breakdown_value"] for row in released.breakdowns] == ["female"]
    assert [row["value"] for row in released.reference_values] == [Decimal(3)]
    found = {row["unit_id"]: row["boundary"] for row in released.communes}
    assert sorted(found.values()) == ["qn_current", "qn_programme", "qn_programme"]


def test_what_changed_comes_with_the_old_value(released: ReleaseView) -> None:
    (revision,) = released.revisions
    assert (revision["value_before"], revision["value"]) == (Decimal("92.5"), Decimal("92.25"))
    assert sum(row["rows"] for row in released.changes if row["change"] == "revised") == 1
    (change,) = released.verdict_changes
    assert (change["verdict_before"], change["verdict"]) == (
        "moderate_progress",
        "limited_progress",
    )


def test_batches_come_with_reason_rules_and_quarantine(released: ReleaseView) -> None:
    quality = released.quality
    reasons = {row["dataset"]: row["reason"] for row in quality.timeliness}
    assert reasons["facilities"] == "too many rows" and reasons["staff"] is None
    of_batches = [row for row in quality.rules if row["subject_kind"] == "batch"]
    assert {row["rule_id"]: row["result"] for row in of_batches} == {
        "staff.once": "pass",
        "staff.b": "pass",
    }
    (line,) = quality.quarantine
    assert (line["findings"], line["reason_en"]) == (2, "Twice")
    assert quality.datasets["health", "staff"][0] == "Danh sách nhân lực y tế"


def test_the_report_is_written_where_the_settings_say(
    released: ReleaseView, warehouse: Warehouse
) -> None:
    path = Path(write_release_report())
    assert path == warehouse.settings.reports / "2025-07.1.html"
    assert sorted(file.name for file in path.parent.iterdir()) == [
        *("2025-07.1.html", "2025-07.1.quality.html", "2025-07.1.quality.json"),
    ]
    page = parse(path.read_text(encoding="utf-8"))
    assert "2025-07.1" in page.all("header")[0].text
    assert "92,25" in page.by_id("changes").text


def test_the_figures_of_the_last_release_are_read_for_each_kpi(released: ReleaseView) -> None:
    (before,) = released.previous_totals
    assert (before["period"], before["value"]) == ("2025-06", Decimal("92.5"))
    assert {row["unit_level"] for row in released.units} <= {"commune"}
    assert {row["unit_id"] for row in released.communes} == {r["unit_id"] for r in released.units}


def test_every_figure_of_the_kpi_blocks_is_the_marts(released: ReleaseView) -> None:
    page = parse(render_report(released))
    with connect(Role.BI) as connection:
        marts = figures_of_marts(connection)
    count, wrong = differences(page, marts)
    assert wrong == []
    assert count == 7  # the result, three periods, a breakdown, the best and the weakest commune


@pytest.mark.parametrize(
    ("name", "value"),
    [("value", Decimal("1.5")), ("numerator", Decimal(1)), ("is_suppressed", True)],
)
def test_a_figure_that_is_not_the_marts_is_named(
    released: ReleaseView, name: str, value: Any
) -> None:
    page = parse(render_report(released))
    with connect(Role.BI) as connection:
        marts = figures_of_marts(connection)
    key = ("sample", "cover", "Chung", "breakdown", "Địa giới chương trình", "Giới tính", "Nữ")
    marts[key] = {**marts[key], name: value}
    (wrong,) = differences(page, marts)[1]
    assert "'Nữ'" in wrong
    del marts[key]
    assert "is not in the marts" in differences(page, marts)[1][0]


def test_a_candidate_can_be_looked_at_before_it_is_published(released: ReleaseView) -> None:
    build_marts("2025-07-third", "2025-07", cells_of("2025-07", "92"))
    with connect(Role.PUBLISHER) as connection:
        view = read_release(connection, schema="candidate")
    assert view.release is None and view.changes == []
    assert view.note["candidate_id"] == "2025-07-third"
