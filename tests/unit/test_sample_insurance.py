"""Social insurance of the invented province: people keep their lives, payments add up, and every
trap of the definitions is there to fall into."""

from __future__ import annotations

import polars as pl
import pytest

from loaders.sample.geography import read_geography
from loaders.sample.insurance import (
    KINDS,
    claims,
    labour_force,
    last_retired,
    month_number,
    older_residents,
    participants,
    pensions,
)
from loaders.sample.province import Month, Province

BEFORE, AFTER = Month("2025-06"), Month("2025-07")


@pytest.fixture(scope="module")
def province() -> Province:
    return Province(read_geography(), 0.01, 7)


def test_a_month_is_the_same_whenever_it_is_asked_for(province: Province) -> None:
    again = Province(read_geography(), 0.01, 7)
    for extract in (participants, pensions, claims, older_residents):
        assert extract(province, AFTER).equals(extract(again, AFTER))


def test_the_reform_changes_codes_and_not_people(province: Province) -> None:
    """A month brings births of a benefit, deaths and new members, but no reshuffle."""
    for extract in (participants, pensions):
        old, new = (set(extract(province, m)["_person"]) for m in (BEFORE, AFTER))
        assert len(old & new) > 0.95 * len(old)
    old, new = (older_residents(province, m)["persons"].sum() for m in (BEFORE, AFTER))
    assert abs(new - old) < 0.02 * old


def test_household_owners_become_compulsory_members_in_july_2025(province: Province) -> None:
    owners = pl.col("employer_type_code") == "HKD"
    assert participants(province, BEFORE).filter(owners).is_empty()
    assert not participants(province, AFTER).filter(owners).is_empty()


def test_the_list_of_members_holds_every_trap(province: Province) -> None:
    rows = participants(province, AFTER)
    now = month_number(AFTER)
    several = rows.group_by("_person").agg(pl.len(), pl.col("scheme_code").n_unique())
    limit = pl.when(pl.col("_sex") == 1).then(last_retired(now, 1)).otherwise(last_retired(now, 2))
    end = pl.lit(AFTER.end).cast(pl.Int32).cast(pl.Date)
    traps = {
        "several contracts": several.filter(pl.col("len") > 1),
        "moved from voluntary to compulsory": several.filter(pl.col("scheme_code") > 1),
        "works on past the retirement age": rows.filter(pl.col("_birth") <= limit),
        "suspended": rows.filter(contribution_state_code="TD", scheme_code="BB"),
        "lapsed": rows.filter(pl.col("covered_to") < end),
        "prepaid": rows.filter(
            pl.col("covered_to") >= end, pl.col("contribution_state_code") == "TT"
        ),
        "civil servant": rows.filter(employer_type_code="NN", has_unemployment_insurance="0"),
    }
    assert [name for name, found in traps.items() if found.is_empty()] == []


def test_benefits_hold_early_retirees_and_people_with_two(province: Province) -> None:
    rows = pensions(province, AFTER)
    now = month_number(AFTER)
    limit = pl.when(pl.col("_sex") == 1).then(last_retired(now, 1)).otherwise(last_retired(now, 2))
    assert not rows.filter(pl.col("_birth") > limit, pl.col("benefit_code") == "LH").is_empty()
    assert rows["_person"].n_unique() < rows.height
    assert set(rows["is_paid"]) == {"0", "1"}


def test_the_payments_of_a_claim_make_its_total(province: Province) -> None:
    rows = claims(province, AFTER)
    parts = ["fund_vnd", "copay_vnd", "self_paid_vnd", "other_sources_vnd"]
    assert rows.select((pl.sum_horizontal(parts) == pl.col("total_vnd")).all()).item()
    assert rows.select(pl.min_horizontal(pl.col(parts).min()) >= 0).item()
    end = pl.lit(AFTER.end).cast(pl.Int32).cast(pl.Date)
    assert rows.filter(pl.col("discharged_on") > end).is_empty()


def test_a_claim_that_is_sent_again_says_something_else(province: Province) -> None:
    rows = claims(province, AFTER).sort("_claim", "submission_number")
    again = rows.filter(pl.len().over("_claim") > 1)
    assert not again.is_empty()
    first, last = again.filter(submission_number=1), again.filter(submission_number=2)
    assert first["_claim"].equals(last["_claim"])
    assert (first["submitted_on"] < last["submitted_on"]).all()
    assert (first["fund_vnd"] != last["fund_vnd"]).any()
    assert (first["total_vnd"] == last["total_vnd"]).all()


def test_the_survey_has_both_old_provinces_and_its_error(province: Province) -> None:
    survey = labour_force(province, 2024)
    assert survey["unit_code"].to_list() == ["51", "51", "62", "62"]
    assert survey["labour_force"].min() > 0
    assert survey["standard_error_pct"].min() > 0


def test_kinds_of_damage_have_names_of_their_own() -> None:
    for kinds in KINDS.values():
        names = [kind.kind for kind in kinds]
        assert len(names) == len(set(names))
