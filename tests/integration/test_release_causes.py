"""Why a figure or a verdict changed: by what its KPI is made of, cell by cell."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from loaders import audit
from loaders.postgres.database import Role, connect
from loaders.publication import Difference, difference_csv, difference_summary, find_release
from loaders.publication.reasons import CAUSES
from loaders.report import words
from loaders.settings import PROJECT_ROOT
from loaders.stages.publish import publish

pytestmark = pytest.mark.usefixtures("warehouse")

MakeCandidate = Callable[..., str]
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
    make_candidate: MakeCandidate,
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


@pytest.fixture(scope="module", autouse=True)
def _first(warehouse: object) -> None:
    from tests.candidates import make_candidate

    for dataset in (STAFF, PEOPLE, HOUSES):
        accept(dataset, "2025-06", f"{dataset}-6")
        accept(dataset, "2025-07", f"{dataset}-7")
    offer(make_candidate, "c0")


@pytest.fixture(autouse=True)
def _settled(_first: None, make_candidate: MakeCandidate, request: pytest.FixtureRequest) -> None:
    """Every test starts from the rows as they are, so that only its own change is compared."""
    offer(make_candidate, f"start-{request.node.name}"[:90])


def test_every_cause_has_words() -> None:
    assert set(CAUSES) == set(words.CAUSES)


def test_the_first_release_is_new_data_and_nothing_is_unexplained() -> None:
    with connect(Role.AUDITOR) as connection:
        found = connection.execute(
            "select distinct causes from publication.kpi_value where release_seq = 1"
        ).fetchall()
    assert found == [(["new_data"],)]


def test_a_restated_file_explains_its_own_kpi_and_month_only(make_candidate: MakeCandidate) -> None:
    accept(STAFF, "2025-06", "staff-again", reason="a hospital was forgotten")
    with structlog.testing.capture_logs() as logs:
        offer(
            make_candidate,
            "restated",
            {"numerator": 11, "value": 11},
            {"period": "2025-07", "numerator": 12},
            {"kpi_id": "houses", "numerator": 13},
        )
    assert causes() == {
        (KPI, "2025-06", "a"): ["restated_file"],
        (KPI, "2025-07", "a"): ["unexplained"],
        ("houses", "2025-06", "a"): ["unexplained"],
    }
    warnings = {log["kpi_id"]: log["rows"] for log in logs if log["log_level"] == "warning"}
    assert warnings == {KPI: 1, "houses": 1}
    with connect(Role.AUDITOR) as connection:
        (batch,) = connection.execute(
            "select b from publication.release, jsonb_array_elements(manifest -> 'batches') as b"
            " where b ->> 'batch_id' = 'staff-again' order by release_seq limit 1"
        ).fetchone()
    assert batch["restatement_reason"] == "a hospital was forgotten"
    assert (batch["suite_sha256"], batch["contract_hash"]) == ("s1", "h1")


def test_another_population_is_the_denominator_and_says_from_where(
    make_candidate: MakeCandidate,
) -> None:
    accept(PEOPLE, "2025-07", "people-again")
    accept(HOUSES, "2025-07", "houses-again")
    offer(
        make_candidate,
        "population",
        {"period": "2025-07", "denominator": 90, "denominator_vintage": "v2"},
        # numerator and denominator of one file: its vintage is only the batch
        {"period": "2025-07", "kpi_id": "houses", "numerator": 9, "denominator_vintage": "h2"},
    )
    assert causes() == {
        (KPI, "2025-07", "a"): ["denominator_vintage", "restated_file"],
        ("houses", "2025-07", "a"): ["restated_file"],
    }


def test_a_file_that_came_after_the_build_belongs_to_the_next_release(
    make_candidate: MakeCandidate,
) -> None:
    with connect(Role.AUDITOR) as connection:
        (in_raw,) = connection.execute(
            "select array_agg(result_id) from audit.batch_accepted"
        ).fetchone()
    accept(STAFF, "2025-06", "staff-while-it-waited")
    offer(make_candidate, "waited", {"numerator": 8}, acceptances=in_raw)
    assert causes() == {(KPI, "2025-06", "a"): ["unexplained"]}
    offer(make_candidate, "built-after", {"numerator": 9})
    assert causes() == {(KPI, "2025-06", "a"): ["restated_file"]}


def test_corrections_and_rules_are_told_apart_from_another_file(
    make_candidate: MakeCandidate,
) -> None:
    accept(STAFF, "2025-06", "staff-corrected", sha256="same", corrections="k1")
    accept(HOUSES, "2025-06", "houses-judged", sha256="file")
    offer(make_candidate, "before-rules")
    accept(STAFF, "2025-06", "staff-corrected-2", sha256="same", corrections="k2")
    accept(HOUSES, "2025-06", "houses-judged", suite_sha256="s2", rows_id="houses-judged.2")
    changed = ({"numerator": 5}, {"kpi_id": "houses", "numerator": 5})
    offer(make_candidate, "rules", *changed)
    assert causes() == {
        (KPI, "2025-06", "a"): ["corrected_file"],
        ("houses", "2025-06", "a"): ["rule_change"],
    }
    # Judged again to the same rows, nothing has happened to the figures.
    accept(HOUSES, "2025-06", "houses-judged", suite_sha256="s3", rows_id="houses-judged.2")
    offer(make_candidate, "same-rows", {"numerator": 5}, {"kpi_id": "houses", "numerator": 6})
    assert causes() == {("houses", "2025-06", "a"): ["unexplained"]}
    # Another file under other rules: both.
    accept(HOUSES, "2025-06", "houses-other", suite_sha256="s4")
    offer(make_candidate, "both", {"numerator": 5}, {"kpi_id": "houses", "numerator": 7})
    assert causes() == {("houses", "2025-06", "a"): ["restated_file", "rule_change"]}


def test_a_changed_model_explains_the_kpis_that_use_it(make_candidate: MakeCandidate) -> None:
    changed = ({"numerator": 5}, {"kpi_id": "houses", "numerator": 5})
    offer(make_candidate, "model", *changed, parts={"model rate": "a2"})
    assert causes() == {
        (KPI, "2025-06", "a"): ["definition"],
        ("houses", "2025-06", "a"): ["unexplained"],
    }
    changed = ({"numerator": 6}, {"kpi_id": "houses", "numerator": 6})
    offer(make_candidate, "shared", *changed, parts={"model rate": "a2", "model shared": "c2"})
    assert set(map(tuple, causes().values())) == {("definition",)}


def test_an_annual_file_explains_the_months_that_carry_it(make_candidate: MakeCandidate) -> None:
    accept(PEOPLE, "2024", "people-of-2024")
    offer(make_candidate, "annual", {"numerator": 5}, {"kpi_id": "houses", "numerator": 5})
    assert causes()[(KPI, "2025-06", "a")] == ["new_data"]
    assert causes()[("houses", "2025-06", "a")] == ["unexplained"]


def test_what_is_beside_the_figure_is_named_before_what_is_behind_it(
    make_candidate: MakeCandidate,
) -> None:
    accept(STAFF, "2025-06", "staff-final")
    offer(
        make_candidate,
        "beside",
        {"maturity": "provisional"},
        {"period": "2025-07", "is_suppressed": True, "value": None, "numerator": None},
        {"kpi_id": "houses", "unit_id": "other"},
        {"kpi_id": "houses", "period": "2025-07", "gone": True},
    )
    assert causes() == {
        (KPI, "2025-06", "a"): ["maturity", "restated_file"],
        (KPI, "2025-07", "a"): ["disclosure_protection", "unexplained"],
        ("houses", "2025-06", "a"): ["boundary"],
        ("houses", "2025-07", "a"): ["unexplained", "not_computed"],
    }
    accept(STAFF, "2025-06", "staff-final-2")
    offer(make_candidate, "beside-2", {"maturity": "final", "numerator": 3, "caveat_en": "x"})
    assert causes()[(KPI, "2025-06", "a")] == ["restated_file", "maturity", "caveat"]


def test_an_agencys_own_figure_comes_from_its_latest_delivery(
    make_candidate: MakeCandidate,
) -> None:
    own = {"denominator_id": None, "denominator_vintage": None, "value": 7}
    printed = "statistics_office__printed"
    accept(printed, "2025-06", "printed-6")
    offer(make_candidate, "printed-1", own)
    accept(printed, "2025-07", "printed-7")
    offer(make_candidate, "printed-2", own | {"denominator_vintage": "printed-7", "value": 8})
    assert causes() == {(KPI, "2025-06", "a"): ["new_data"]}
    accept(printed, "2025-06", "printed-6-again")  # not the latest any more
    offer(make_candidate, "printed-3", own | {"denominator_vintage": "printed-7", "value": 9})
    assert causes() == {(KPI, "2025-06", "a"): ["unexplained"]}


def test_a_verdict_changes_for_its_values_its_target_or_its_time(
    make_candidate: MakeCandidate,
) -> None:
    def verdict(**columns: Any) -> list[str]:
        name = f"verdict-{len(columns)}-{'-'.join(columns)}"
        offer(make_candidate, name, verdict=columns)
        return causes("kpi_verdict")[(KPI, columns.get("period", "2025-06"), "a")]

    assert verdict(score=1) == ["unexplained"]
    assert verdict(score=2, method_vintage="2026") == ["method"]
    assert verdict(score=2, is_deadline_passed=True, target_id="t2") == [
        *("target", "method", "deadline_passed")  # the method was taken back
    ]
    accept(STAFF, "2025-06", "staff-for-verdict")
    offer(make_candidate, "v-value", {"numerator": 20}, verdict={"current_value": 20})
    assert causes("kpi_verdict")[(KPI, "2025-06", "a")] == [
        *("target", "deadline_passed", "restated_file")
    ]
    target = {f"seed programme_target, {KPI}": "e2"}
    offer(
        make_candidate,
        "v-target",
        {"numerator": 20},
        parts=target,
        verdict={"current_value": 20, "target_value": 95},
    )
    assert causes("kpi_verdict") == {(KPI, "2025-06", "a"): ["target"]}
    accept(STAFF, "2025-07", "staff-for-verdict-7")
    offer(
        make_candidate,
        "v-period",
        {"numerator": 20},
        {"period": "2025-07", "numerator": 21},
        parts=target | {"model verdict": "d2"},
        verdict={"period": "2025-07", "current_value": 21, "target_value": 95},
    )
    assert causes("kpi_verdict") == {
        (KPI, "2025-07", "a"): ["new_period", "restated_file", "definition"]
    }


def test_any_two_releases_are_compared_in_either_order(
    make_candidate: MakeCandidate, tmp_path: Path
) -> None:
    first = offer(make_candidate, "diff-1", {"numerator": 30, "value": "30.0"})
    accept(STAFF, "2025-06", "staff-for-diff", reason="one hospital more")
    offer(make_candidate, "diff-2", {"numerator": 31, "value": 31})
    accept(HOUSES, "2025-07", "houses-for-diff")
    last = offer(
        make_candidate,
        "diff-3",
        {"numerator": 32, "value": 32},
        {"period": "2025-07", "value": "10.00", "caveat_en": "the same figure"},
        {"period": "2025-07", "kpi_id": "houses", "numerator": 40},
        parts={"model rate": "a9"},
        verdict={"verdict": "achieved", "current_value": 32},
    )
    lines = [
        ("figure", "houses", "2025-07", "restated_file", "10", "10", "10", "40", ""),
        ("figure", KPI, "2025-06", "restated_file,definition", "30.0", "32", "30", "32", ""),
        ("verdict", KPI, "2025-06", "restated_file,definition", "", "32", "", "", "achieved"),
    ]
    assert sorted(summary(difference(first, last))) == sorted(lines)
    turned = [(*row[:4], row[5], row[4], row[7], row[6], "limited_progress") for row in lines]
    assert sorted(summary(difference(last, first))) == sorted(
        row if row[0] == "verdict" else (*row[:8], "") for row in turned
    )
    assert difference(first, first) == []
    (line,) = (row for row in difference(first, last) if row["what"] == "verdict")
    assert "one hospital more" in line["evidence"] and "model rate" in line["evidence"]
    # The same through the command, with every changed input named once.
    target = tmp_path / "difference.csv"
    code, output = diff(first, last, "--csv", str(target))
    assert code == 0, output
    assert "reason: one hospital more" in output and "model rate: sha256 a → a9" in output
    assert "cơ quan gửi lại tệp / file sent again" in output
    assert len(target.read_text().splitlines()) == 4
    assert diff(first, last, "--csv", str(target))[0] == 1
    assert "there is no release 1999-01.1" in diff(first, "1999-01.1")[1]


def difference(a: str, b: str) -> list[dict[str, str]]:
    with connect(Role.AUDITOR) as connection, connection.cursor() as cursor:
        found = Difference(find_release(connection, a), find_release(connection, b))
        text = b"".join(difference_csv(cursor, found)).decode()
        counted = sum(line["lines"] for line in difference_summary(connection, found))
    lines = list(csv.DictReader(text.splitlines()))
    assert len(lines) == counted
    return lines


def summary(lines: list[dict[str, str]]) -> list[tuple[str, ...]]:
    names = ("what", "kpi_id", "period", "causes", "value_a", "value_b", "numerator_a")
    return [
        (*(line[name] for name in names), line["numerator_b"], line["verdict_b"]) for line in lines
    ]


def diff(*arguments: str) -> tuple[int, str]:
    """Exit code and output of `nq42 audit diff`."""
    done = subprocess.run(
        [sys.executable, "-m", "loaders.cli", "audit", "diff", *arguments],
        cwd=PROJECT_ROOT,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr
