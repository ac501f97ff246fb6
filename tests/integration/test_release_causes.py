"""Why a figure or a verdict changed: by what its KPI is made of, cell by cell."""

from __future__ import annotations

from typing import Any

import pytest
import structlog.testing

from loaders.postgres.database import Role, connect
from loaders.publication.reasons import CAUSES
from loaders.report import words
from tests.integration.releases import (
    HOUSES,
    KPI,
    PEOPLE,
    STAFF,
    accept,
    accept_first_files,
    causes,
    offer,
)

pytestmark = pytest.mark.usefixtures("warehouse")


@pytest.fixture(scope="module", autouse=True)
def _first(warehouse: object) -> None:
    accept_first_files()
    offer("c0")


@pytest.fixture(autouse=True)
def _settled(_first: None, request: pytest.FixtureRequest) -> None:
    """Every test starts from the rows as they are, so that only its own change is compared."""
    offer(f"start-{request.node.name}"[:90])


def test_every_cause_has_words() -> None:
    assert set(CAUSES) == set(words.CAUSES)


def test_the_first_release_is_new_data_and_nothing_is_unexplained() -> None:
    with connect(Role.AUDITOR) as connection:
        found = connection.execute(
            "select distinct causes from publication.kpi_value where release_seq = 1"
        ).fetchall()
    assert found == [(["new_data"],)]


def test_a_restated_file_explains_its_own_kpi_and_month_only() -> None:
    accept(STAFF, "2025-06", "staff-again", reason="a hospital was forgotten")
    with structlog.testing.capture_logs() as logs:
        offer(
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


def test_another_population_is_the_denominator_and_says_from_where() -> None:
    accept(PEOPLE, "2025-07", "people-again")
    accept(HOUSES, "2025-07", "houses-again")
    offer(
        "population",
        {"period": "2025-07", "denominator": 90, "denominator_vintage": "v2"},
        # numerator and denominator of one file: its vintage is only the batch
        {"period": "2025-07", "kpi_id": "houses", "numerator": 9, "denominator_vintage": "h2"},
    )
    assert causes() == {
        (KPI, "2025-07", "a"): ["denominator_vintage", "restated_file"],
        ("houses", "2025-07", "a"): ["restated_file"],
    }


def test_a_file_that_came_after_the_build_belongs_to_the_next_release() -> None:
    with connect(Role.AUDITOR) as connection:
        (in_raw,) = connection.execute(
            "select array_agg(result_id) from audit.batch_accepted"
        ).fetchone()
    accept(STAFF, "2025-06", "staff-while-it-waited")
    offer("waited", {"numerator": 8}, acceptances=in_raw)
    assert causes() == {(KPI, "2025-06", "a"): ["unexplained"]}
    offer("built-after", {"numerator": 9})
    assert causes() == {(KPI, "2025-06", "a"): ["restated_file"]}


def test_corrections_and_rules_are_told_apart_from_another_file() -> None:
    accept(STAFF, "2025-06", "staff-corrected", sha256="same", corrections="k1")
    accept(HOUSES, "2025-06", "houses-judged", sha256="file")
    offer("before-rules")
    accept(STAFF, "2025-06", "staff-corrected-2", sha256="same", corrections="k2")
    accept(HOUSES, "2025-06", "houses-judged", suite_sha256="s2", rows_id="houses-judged.2")
    changed = ({"numerator": 5}, {"kpi_id": "houses", "numerator": 5})
    offer("rules", *changed)
    assert causes() == {
        (KPI, "2025-06", "a"): ["corrected_file"],
        ("houses", "2025-06", "a"): ["rule_change"],
    }
    # Judged again to the same rows, nothing has happened to the figures.
    accept(HOUSES, "2025-06", "houses-judged", suite_sha256="s3", rows_id="houses-judged.2")
    offer("same-rows", {"numerator": 5}, {"kpi_id": "houses", "numerator": 6})
    assert causes() == {("houses", "2025-06", "a"): ["unexplained"]}
    # Another file under other rules: both.
    accept(HOUSES, "2025-06", "houses-other", suite_sha256="s4")
    offer("both", {"numerator": 5}, {"kpi_id": "houses", "numerator": 7})
    assert causes() == {("houses", "2025-06", "a"): ["restated_file", "rule_change"]}


def test_a_changed_model_explains_the_kpis_that_use_it() -> None:
    changed = ({"numerator": 5}, {"kpi_id": "houses", "numerator": 5})
    offer("model", *changed, parts={"model rate": "a2"})
    assert causes() == {
        (KPI, "2025-06", "a"): ["definition"],
        ("houses", "2025-06", "a"): ["unexplained"],
    }
    changed = ({"numerator": 6}, {"kpi_id": "houses", "numerator": 6})
    offer("shared", *changed, parts={"model rate": "a2", "model shared": "c2"})
    assert set(map(tuple, causes().values())) == {("definition",)}


def test_an_annual_file_explains_the_months_that_carry_it() -> None:
    accept(PEOPLE, "2024", "people-of-2024")
    offer("annual", {"numerator": 5}, {"kpi_id": "houses", "numerator": 5})
    assert causes()[(KPI, "2025-06", "a")] == ["new_data"]
    assert causes()[("houses", "2025-06", "a")] == ["unexplained"]


def test_what_is_beside_the_figure_is_named_before_what_is_behind_it() -> None:
    accept(STAFF, "2025-06", "staff-final")
    offer(
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
    offer("beside-2", {"maturity": "final", "numerator": 3, "caveat_en": "x"})
    assert causes()[(KPI, "2025-06", "a")] == ["restated_file", "maturity", "caveat"]


def test_an_agencys_own_figure_comes_from_its_latest_delivery() -> None:
    own = {"denominator_id": None, "denominator_vintage": None, "value": 7}
    printed = "statistics_office__printed"
    accept(printed, "2025-06", "printed-6")
    offer("printed-1", own)
    accept(printed, "2025-07", "printed-7")
    offer("printed-2", own | {"denominator_vintage": "printed-7", "value": 8})
    assert causes() == {(KPI, "2025-06", "a"): ["new_data"]}
    accept(printed, "2025-06", "printed-6-again")  # not the latest any more
    offer("printed-3", own | {"denominator_vintage": "printed-7", "value": 9})
    assert causes() == {(KPI, "2025-06", "a"): ["unexplained"]}


def test_a_verdict_changes_for_its_values_its_target_or_its_time() -> None:
    def verdict(**columns: Any) -> list[str]:
        name = f"verdict-{len(columns)}-{'-'.join(columns)}"
        offer(name, verdict=columns)
        return causes("kpi_verdict")[(KPI, columns.get("period", "2025-06"), "a")]

    assert verdict(score=1) == ["unexplained"]
    assert verdict(score=2, method_vintage="2026") == ["method"]
    assert verdict(score=2, is_deadline_passed=True, target_id="t2") == [
        *("target", "method", "deadline_passed")  # the method was taken back
    ]
    accept(STAFF, "2025-06", "staff-for-verdict")
    offer("v-value", {"numerator": 20}, verdict={"current_value": 20})
    assert causes("kpi_verdict")[(KPI, "2025-06", "a")] == [
        *("target", "deadline_passed", "restated_file")
    ]
    target = {f"seed programme_target, {KPI}": "e2"}
    offer(
        "v-target",
        {"numerator": 20},
        parts=target,
        verdict={"current_value": 20, "target_value": 95},
    )
    assert causes("kpi_verdict") == {(KPI, "2025-06", "a"): ["target"]}
    accept(STAFF, "2025-07", "staff-for-verdict-7")
    offer(
        "v-period",
        {"numerator": 20},
        {"period": "2025-07", "numerator": 21},
        parts=target | {"model verdict": "d2"},
        verdict={"period": "2025-07", "current_value": 21, "target_value": 95},
    )
    assert causes("kpi_verdict") == {
        (KPI, "2025-07", "a"): ["new_period", "restated_file", "definition"]
    }
