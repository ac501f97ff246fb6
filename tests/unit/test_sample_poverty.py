"""Poverty and assistance of the invented province: what its files say is what the truth says."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest

from loaders.quality.suites import get_suite
from loaders.sample.poverty import KINDS
from tests.unit.written import Row, Written

#: Before and after the reform and the first social pension, and under the next poverty standard.
MONTHS = ["2025-06", "2025-07", "2025-12", "2026-01"]
SOURCES = {
    "poor_households": "poverty_review",
    "poor_household_members": "poverty_review",
    "household_totals": "poverty_review",
    "assistance_payments": "social_protection",
    "social_pension": "social_protection",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(MONTHS, tmp_path_factory.mktemp("poverty"))


def _date(text: str) -> dt.date:
    day, month, year = text.split("/")
    return dt.date(int(year), int(month), int(day))


def _months_old(row: Row, month: str) -> int:
    born = _date(row["birth_month"])
    return (int(month[:4]) - born.year) * 12 + int(month[5:]) - born.month


def _living(rows: list[Row]) -> list[Row]:
    return [row for row in rows if not row["died_on"]]


def _pensions(written: Written, month: str) -> list[Row]:
    return written.good("social_pension", month) if month >= "2025-07" else []


def _listed(written: Written, month: str) -> list[tuple[Row, Row]]:
    """Members with the row of their household, where both are left."""
    households = {row["household_key"]: row for row in written.good("poor_households", month)}
    return [
        (member, households[member["household_key"]])
        for member in written.good("poor_household_members", month)
        if member["household_key"] in households
    ]


@pytest.mark.parametrize("month", MONTHS)
def test_the_poverty_rate_is_the_list_over_all_households(written: Written, month: str) -> None:
    households = written.good("poor_households", month)
    everybody = sum(int(row["households"]) for row in written.good("household_totals", month))
    classes = Counter(row["class_code"] for row in households)
    standard = "2026_2030" if month >= "2026" else "2021_2025"
    for name, listed in (
        ("poor", classes["HN"]),
        ("near_poor", classes["HCN"]),
        ("poor_and_near_poor", classes["HN"] + classes["HCN"]),
    ):
        found = written.total("poverty_rate_multidimensional", month, series=f"{name}_{standard}")
        assert found == (listed, everybody)
    assert {row["standard_version"].replace("-", "_") for row in households} == {standard}


def test_the_reform_makes_nobody_poor_and_the_next_standard_does(written: Written) -> None:
    homes = [{r["household_key"] for r in written.good("poor_households", m)} for m in MONTHS]
    june, july, december, january = homes
    assert len(june ^ july) < 0.05 * len(june)
    assert len(december) < len(july)
    assert len(january) > 1.02 * len(december)


@pytest.mark.parametrize("month", MONTHS)
def test_a_household_with_small_children_counts_once(written: Written, month: str) -> None:
    paid = {row["person_key"] for row in _living(written.good("assistance_payments", month))}
    homes: dict[str, Row] = {}
    helped = set()
    for member, household in _listed(written, month):
        if _months_old(member, month) < 36:
            homes[member["household_key"]] = household
            if member["person_key"] in paid:
                helped.add(member["household_key"])
    difficult = {key for key, row in homes.items() if row["is_difficult_area"] == "1"}
    kpi_id = "assistance_poor_children_u36m"
    wording = written.total(kpi_id, month, series="programme_wording")
    assert wording == (len(helped), len(homes))
    decree = written.total(kpi_id, month, series="decree_20_2021")
    assert decree == (len(helped & difficult), len(difficult))
    # Who asks for all households asks for more than the decree gives.
    assert wording[0] * decree[1] < decree[0] * wording[1]


@pytest.mark.parametrize("month", MONTHS)
def test_pregnant_women_have_no_class_in_the_decree(written: Written, month: str) -> None:
    paid = {row["person_key"] for row in _living(written.good("assistance_payments", month))}
    women = {m["person_key"] for m, _ in _listed(written, month) if m["is_pregnant"] == "1"}
    kpi_id = "assistance_poor_pregnant_women"
    found = written.total(kpi_id, month, series="programme_wording")
    assert found == (len(women & paid), len(women))
    assert {row["series"] for row in written.truth if row["kpi_id"] == kpi_id} == {
        "programme_wording"
    }


@pytest.mark.parametrize("month", MONTHS)
def test_a_social_pension_counts_for_the_lonely(written: Written, month: str) -> None:
    assisted = {row["person_key"] for row in _living(written.good("assistance_payments", month))}
    pensioned = {row["person_key"] for row in _pensions(written, month) if row["is_paid"] == "1"}
    lonely = {m["person_key"]: h for m, h in _listed(written, month) if m["has_no_support"] == "1"}
    poor = {key for key, household in lonely.items() if household["class_code"] == "HN"}
    paid = (assisted | pensioned) & set(lonely)
    kpi_id = "assistance_poor_lonely_elderly"
    assert written.total(kpi_id, month, series="programme_wording") == (len(paid), len(lonely))
    assert written.total(kpi_id, month, series="decree_20_2021") == (len(paid & poor), len(poor))
    # From July 2025 the pension reaches some whom assistance does not.
    assert bool(paid - assisted) == (month >= "2025-07")


def test_one_paid_member_is_enough_for_the_household(written: Written) -> None:
    month = "2025-12"
    paid = {row["household_key"] for row in _living(written.good("assistance_payments", month))}
    pensioned = {row["person_key"] for row in _pensions(written, month) if row["is_paid"] == "1"}
    paid |= {m["household_key"] for m, _ in _listed(written, month) if m["person_key"] in pensioned}
    marked = {
        row["household_key"]
        for row in written.good("poor_households", month)
        if row["cannot_exit"] == "1"
    }
    kpi_id = "assistance_poor_households_no_exit"
    assert written.total(kpi_id, "2025") == (len(marked & paid), len(marked))
    assert 0 < len(marked & paid) < len(marked)


def test_the_social_pension_begins_in_july_2025(written: Written) -> None:
    delivered = {file.period for file in written.files if file.dataset == "social_pension"}
    assert delivered == {"2025-07", "2025-12", "2026-01"}
    groups = {m: Counter(r["group_code"] for r in written.good("assistance_payments", m))
              for m in MONTHS}  # fmt: skip
    assert groups["2025-06"]["NCT80"] > 0
    assert groups["2025-07"]["NCT80"] == 0


@pytest.mark.parametrize("month", MONTHS)
def test_the_hard_cases_of_payment_are_there(written: Written, month: str) -> None:
    rows = written.good("assistance_payments", month)
    by_person = Counter(row["person_key"] for row in rows)
    assert max(by_person.values()) >= 2
    assert {row["paid_for"] for row in rows if row["paid_for"] < month}
    assert {row["method_code"] for row in rows} == {"TM", "TK", "VDT"}
    assert {row["account_holder_code"] for row in rows} == {None, "CC", "GH", "NT"}
    mixed = Counter()
    for row in rows:
        mixed[row["person_key"], row["method_code"] == "TM"] += 1
    assert any(mixed[person, True] and mixed[person, False] for person in by_person)


def test_the_dead_stay_on_the_list_for_a_while(written: Written) -> None:
    rows = [row for month in MONTHS for row in written.good("assistance_payments", month)]
    assert any(row["died_on"] for row in rows)


@pytest.mark.parametrize("month", MONTHS)
def test_a_person_is_paid_without_cash_when_all_of_it_is(written: Written, month: str) -> None:
    payments: dict[str, list[tuple[bool, int]]] = {}
    for row in _living(written.good("assistance_payments", month)):
        own = row["account_holder_code"] in ("CC", "GH")
        payments.setdefault(row["person_key"], []).append((own, int(row["amount_vnd"])))
    wholly = sum(all(own for own, _ in rows) for rows in payments.values())
    through = sum(vnd for rows in payments.values() for own, vnd in rows if own)
    paid = sum(vnd for rows in payments.values() for _, vnd in rows)
    kpi_id = "cashless_payment_social_assistance"
    assert written.total(kpi_id, month, series="persons") == (wholly, len(payments))
    assert written.total(kpi_id, month, series="amount") == (through, paid)


@pytest.mark.parametrize("month", MONTHS)
def test_a_person_of_several_lists_is_one_beneficiary(written: Written, month: str) -> None:
    lists = {
        "assistance": _living(written.good("assistance_payments", month)),
        "social_pension": _pensions(written, month),
        "merit": [r for r in written.good("merit_people", month) if not r["death_month"]],
    }
    dead = {r["person_key"] for r in written.good("assistance_payments", month) if r["died_on"]}
    dead |= {r["person_key"] for r in written.good("merit_people", month) if r["death_month"]}
    schemes: dict[str, set[str]] = {}
    verified = set()
    for scheme, rows in lists.items():
        for row in (row for row in rows if row["person_key"] not in dead):
            schemes.setdefault(row["person_key"], set()).add(scheme)
            if row["is_id_verified"] == "1":
                verified.add(row["person_key"])
    kpi_id = "social_security_code_coverage"
    assert written.total(kpi_id, month) == (len(verified), len(schemes))
    several = {person for person, found in schemes.items() if len(found) > 1}
    assert written.total(kpi_id, month, "several") == (len(verified & several), len(several))


@pytest.mark.parametrize("name", KINDS)
def test_the_damage_is_of_rules_that_are_there(name: str) -> None:
    """Of some rules only: `tests/guards` has rows for each."""
    suite = get_suite("intake", f"{SOURCES[name]}__{name}")
    rules = {rule.meta.id for rule in suite.rules if rule.meta.kind == "row"}
    damaged = {kind.rule for kind in KINDS[name] if not kind.rule.startswith("contract.")}
    assert damaged and damaged <= rules
