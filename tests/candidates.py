"""Small candidates, made by hand, and the release gate's word on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from loaders import audit
from loaders.postgres.database import Role, connect
from loaders.publication.ledger import OWN_COLUMNS
from loaders.stages.build import FINISHED
from loaders.stages.candidate import candidate_content, content_sha256

VALUE = {
    "kpi_id": "poverty_rate",
    "data_label": "sample",
    "series": "total",
    "period": "2025-06",
    "boundary": "qn_programme",
    "unit_level": "commune",
    "unit_code": "21025",
    "unit_id": "21025@2004-01-01",
    "breakdown": "total",
    "breakdown_value": "total",
    "numerator": 10,
    "denominator": 100,
    "value": 10,
    "contributors": 10,
    "denominator_id": "population",
    "denominator_vintage": "2024",
    "maturity": "final",
    "is_suppressed": False,
}
VERDICT = {
    "kpi_id": "poverty_rate",
    "data_label": "sample",
    "series": "total",
    "boundary": "qn_programme",
    "unit_level": "commune",
    "unit_code": "21025",
    "unit_id": "21025@2004-01-01",
    "period": "2025-06",
    "verdict": "limited_progress",
}


def make_candidate(
    candidate_id: str,
    values: list[dict[str, Any]],
    *,
    verdicts: list[dict[str, Any]] | None = None,
    period: str = "2025-06",
    passed: bool = True,
    lineage: dict[str, Any] | None = None,
    acceptances: list[int] | None = None,
    derived: dict[str, str] | None = None,
) -> str:
    """Replace schema candidate as the transformer would; each row is given by what differs.

    `lineage`: what the build noted of the KPIs; without it, that each candidate has another code.
    `acceptances`: what was in raw when it was built; without them, what is now. `derived`: marts
    that are made, and later given back, by these queries over the others.
    """
    rows = {
        "fct_kpi_value": ("kpi_value", [VALUE | row for row in values]),
        "fct_kpi_verdict": (
            "kpi_verdict",
            [VERDICT | row for row in (verdicts if verdicts is not None else [{}])],
        ),
    }
    with connect(Role.ADMIN) as connection:
        types = {mart: _columns(connection, table) for mart, (table, _) in rows.items()}
    with connect(Role.TRANSFORMER) as connection:
        connection.execute(
            "drop table if exists candidate.fct_kpi_value, candidate.fct_kpi_verdict,"
            " candidate.release_note"
        )
        connection.execute(
            "create table candidate.release_note as select"
            " %s::text as candidate_id, %s::text as as_of_period",
            (candidate_id, period),
        )
        for mart, (_, records) in rows.items():
            connection.execute(f"create table candidate.{mart} ({types[mart]})")
            for record in records:
                connection.execute(
                    sql.SQL("insert into candidate.{} ({}) values ({})").format(
                        sql.Identifier(mart),
                        sql.SQL(", ").join(map(sql.Identifier, record)),
                        sql.SQL(", ").join([sql.Placeholder()] * len(record)),
                    ),
                    list(record.values()),
                )
        for mart, query in (derived or {}).items():
            connection.execute("set local search_path to candidate")
            connection.execute(f"drop table if exists candidate.{mart}")
            connection.execute(f"create table candidate.{mart} as {query}")
    with connect(Role.PUBLISHER) as connection:
        noted = {
            "candidate_id": candidate_id,
            "acceptances": acceptances,
            "lineage": lineage or _other_code(candidate_id),
            "derived": derived or {},
        }
        audit.append(connection, FINISHED, noted)
    if passed:
        judge_candidate(candidate_id, audit.GATE_PASSED, period=period)
    return candidate_id


def judge_candidate(
    candidate_id: str, kind: str, *, period: str = "2025-06", warnings: Sequence[Any] = ()
) -> None:
    """The release gate's event on the candidate as it stands."""
    with connect(Role.PUBLISHER) as connection:
        payload = {
            "candidate_id": candidate_id,
            "period": period,
            "content_sha256": content_sha256(candidate_content(connection)),
            "warnings": list(warnings),
        }
        audit.append(connection, kind, payload)


def _other_code(candidate_id: str) -> dict[str, Any]:
    kind = {"inputs": [], "parts": ["model rate"], "has_own_denominator": True}
    return {
        "parts": {"model rate": candidate_id},
        "common": {"figures": [], "verdict": []},
        "kpis": {VALUE["kpi_id"]: {"computed": kind, "verdict": kind}},
    }


def _columns(connection: Any, table: str) -> str:
    rows = connection.execute(
        "select column_name, data_type from information_schema.columns"
        " where table_schema = 'publication' and table_name = %s"
        " and column_name <> all(%s) order by ordinal_position",
        (table, list(OWN_COLUMNS)),
    ).fetchall()
    return ", ".join(f"{name} {data_type}" for name, data_type in rows)
