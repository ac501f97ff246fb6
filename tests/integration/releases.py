"""Releases of two KPIs, made by hand: what they are made of, what was accepted, what they hold."""

from __future__ import annotations

from typing import Any

from loaders import audit
from loaders.postgres.database import Role, connect
from loaders.stages.publish import publish
from tests.candidates import make_candidate

STAFF, PEOPLE, HOUSES = "health__staff", "statistics_office__population", "housing__houses"
KPI = "poverty_rate"


def lineage(**changed: str) -> dict[str, Any]:
    """Two KPIs, on staff by population and on houses; `changed` gives a part another hash."""
    parts = {
        "model rate": "a",
        "model houses": "b",
        "model shared": "c",
        "model verdict": "d",
        f"seed programme_target, {KPI}": "e",
    } | changed

    def kind(inputs: list[str], *names: str, own: bool = False) -> dict[str, Any]:
        return {"inputs": inputs, "parts": list(names), "has_own_denominator": own}

    verdict = kind([], f"seed programme_target, {KPI}")
    return {
        "parts": parts,
        "common": {"figures": ["model shared"], "verdict": ["model verdict"]},
        "kpis": {
            KPI: {
                "computed": kind([STAFF, PEOPLE], "model rate", own=True),
                "delivered": kind(["statistics_office__printed"]),
                "verdict": verdict,
            },
            "houses": {"computed": kind([HOUSES], "model houses"), "verdict": kind([])},
        },
    }


def accept(
    dataset: str,
    period: str,
    batch_id: str,
    *,
    sha256: str | None = None,
    corrections: str | None = None,
    reason: str | None = None,
    **details: Any,
) -> None:
    """A batch that the gate accepted; with a known id it is judged again."""
    source, name = dataset.split("__")
    names = {"source": source, "dataset": name, "period": period}
    with connect(Role.LOADER) as connection:
        audit.insert_receipt(
            connection,
            batch_id=batch_id,
            **names,
            file_name="a.csv",
            landing_path=f"x/{batch_id}",
            sha256=sha256 or f"sha-{batch_id}",
            size_bytes=1,
            data_label="sample",
            maturity="final",
            contract_hash="h1",
            corrections_path=f"x/{batch_id}.corrections" if corrections else None,
            corrections_sha256=corrections,
        )
        audit.record_batch_result(
            connection,
            batch_id=batch_id,
            **names,
            stage="land",
            status="landed",
            details={"restatement_reason": reason} if reason else {},
        )
        audit.record_batch_result(
            connection,
            batch_id=batch_id,
            **names,
            stage="gate",
            status="accepted",
            details={"suite_sha256": "s1", **details},
        )


def causes(table: str = "kpi_value") -> dict[tuple[str, ...], list[str]]:
    """KPI, period and unit of what the latest release changed → its causes."""
    with connect(Role.AUDITOR) as connection:
        rows = connection.execute(
            f"select kpi_id, coalesce(period, ''), unit_code, causes from publication.{table}"
            " where release_seq = (select max(release_seq) from publication.release)"
        ).fetchall()
    return {(kpi, period, unit): found for kpi, period, unit, found in rows}


JUNE = [{"unit_code": "a"}, {"unit_code": "a", "kpi_id": "houses", "denominator_vintage": "h1"}]
JULY = [row | {"period": "2025-07"} for row in JUNE]


def offer(
    name: str,
    *rows: dict[str, Any],
    parts: dict[str, str] | None = None,
    verdict: dict[str, Any] | None = None,
    **given: Any,
) -> str:
    """Publish the rows of June and July, of which those given take the place; its release id."""
    every = {(row.get("kpi_id", KPI), row.get("period", "2025-06")): row for row in JUNE + JULY}
    for row in rows:
        key = (row.get("kpi_id", KPI), row.get("period", "2025-06"))
        every[key] = every[key] | row
    verdicts = [{"unit_code": "a", "kpi_id": KPI, **(verdict or {})}]
    make_candidate(
        name,
        [row for row in every.values() if not row.get("gone")],
        verdicts=verdicts,
        period="2025-07",
        lineage=lineage(**(parts or {})),
        **given,
    )
    return publish(name).release_id


def accept_first_files() -> None:
    """June and July of every dataset that the two KPIs stand on."""
    for dataset in (STAFF, PEOPLE, HOUSES):
        accept(dataset, "2025-06", f"{dataset}-6")
        accept(dataset, "2025-07", f"{dataset}-7")
