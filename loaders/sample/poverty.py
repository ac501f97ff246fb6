"""What the poverty review and the payers of social assistance know of the invented people.

Whether a household is poor follows from draws made once for it: when it leaves poverty, when one
comes in during a year, and whom the standard of 2026 takes in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from loaders.sample.defects import (
    Context,
    Kind,
    Row,
    citizen_kinds,
    duplicate_kind,
    set_date,
    set_to,
    unit_kinds,
)
from loaders.sample.extract import (
    Extract,
    ethnic_of,
    flag_of,
    household_key_of,
    report_month_of,
    unit_code_of,
)
from loaders.sample.province import GOLDEN, NEVER, Month, Province, dates, day, stream

#: Month in which the standard 2026-2030 begins, and that of the first social pensions.
NEW_STANDARD, FIRST_PENSION = Month("2026-01"), Month("2025-07")
#: Part of the poor and of the near-poor households that leaves the list within a year.
YEARLY_EXIT = {"HN": 0.22, "HCN": 0.15}
#: Base amount of assistance in VND, and its rise of July 2024 (from memory of Decree 76/2024).
BASE_VND, RISEN_BASE_VND, BASE_RISE = 360_000, 500_000, dt.date(2024, 7, 1)
#: Half-steps of the base amount by group, in the order in which a person's group is chosen.
GROUPS = {"NCT": 3, "KT": 3, "TE36": 3, "PNMT": 2, "KNLD": 2, "NCT80": 2, "KHAC": 2}
#: Part of each group that is paid, in January 2024, and its rise per month.
PAID_SHARE = {
    "NCT": (0.90, 0.003), "KT": (1.0, 0.0), "TE36": (0.88, 0.004), "PNMT": (0.25, 0.012),
    "KNLD": (0.70, 0.005), "NCT80": (0.6, 0.0), "KHAC": (1.0, 0.0),
}  # fmt: skip


def extracts(province: Province, month: Month) -> Iterator[Extract]:
    """Poverty lists, household totals, monthly assistance, social pension from July 2025."""
    poor = PoorHouseholds.of(province, month)
    review = "poverty_review"
    yield Extract(review, "poor_households", month.period, poor_households(province, month, poor))
    members = poor_household_members(province, month, poor)
    yield Extract(review, "poor_household_members", month.period, members)
    totals = household_totals(province, month, poor)
    yield Extract(review, "household_totals", month.period, totals)
    group = _assistance_group(province, month, poor)
    payments = assistance_payments(province, month, group)
    yield Extract("social_protection", "assistance_payments", month.period, payments)
    if month.index >= FIRST_PENSION.index:
        pension = social_pension(province, month, poor, group)
        yield Extract("social_protection", "social_pension", month.period, pension)


# ---------------------------------------------------------------------- who is poor


def poverty_class(province: Province, month: Month) -> np.ndarray:
    """H: "HN", "HCN" or "" at the end of the month."""
    return _poverty(province, month)[0]


def _poverty(province: Province, month: Month) -> tuple[np.ndarray, np.ndarray]:
    """H: class, and the month index since when the household is listed (-1: before 2024)."""
    size, now = province.household_count, month.index
    rng = stream(province.seed, "poverty path")
    leaves, lingers, fate, comes, lifted = (rng.random(size) for _ in range(5))
    exit_poor = _exit_month(leaves, YEARLY_EXIT["HN"])
    exit_near = _exit_month(lingers, YEARLY_EXIT["HCN"])
    # Of those who leave poverty most stay near-poor for a while.
    between = (fate < 0.6) & (now < exit_poor + 6 + exit_near)
    was_poor = np.where(now < exit_poor, "HN", np.where(between, "HCN", ""))
    was_near = np.where(now < exit_near, "HCN", "")
    # Storms, illness, a new household: one in a hundred comes in during the four years.
    entry = np.where(comes < 0.01, (comes * 4800).astype(int), 10_000)
    entered = (now >= entry) & (now < entry + 18)
    others = np.where(entered, np.where(fate < 0.5, "HN", "HCN"), "")
    found = np.select([province.is_poor, province.is_near_poor], [was_poor, was_near], others)
    since = np.where(province.is_poor | province.is_near_poor, -1, entry)
    if now >= NEW_STANDARD.index:
        taken_in = (found == "") & (lifted < 0.015)
        found = np.select([taken_in, (found == "HCN") & (lifted < 0.2)], ["HCN", "HN"], found)
        since = np.where(taken_in, NEW_STANDARD.index, since)
    return found.astype("<U3"), since


def _exit_month(draw: np.ndarray, yearly: float) -> np.ndarray:
    """Index of the month in which a household leaves; most wait for the review of December."""
    month = (np.log1p(-draw) / np.log1p(-yearly) * 12).astype(int)
    december = month // 12 * 12 + 11
    return np.where((draw * 1000) % 1 < 0.7, december, month)


@dataclass(frozen=True)
class PoorHouseholds:
    """The poverty list of a month.

    ``home`` are the listed households, ``people`` their living members; the other arrays have the
    length of all households (H) or of all people (N).
    """

    home: np.ndarray
    people: np.ndarray
    poverty: np.ndarray
    since: np.ndarray
    head: np.ndarray
    cannot_exit: np.ndarray
    is_difficult: np.ndarray
    is_pregnant: np.ndarray
    has_no_support: np.ndarray

    @classmethod
    def of(cls, province: Province, month: Month) -> PoorHouseholds:
        poverty, since = _poverty(province, month)
        living = province.living(month)
        people = living[poverty[province.household[living]] != ""]
        place = province.place(people, month.end)
        people = people[province.is_delivered(place, month)]
        home = np.unique(province.household[people])
        head = _eldest(province, people)
        place_of = np.zeros(province.household_count, dtype=np.int64)
        place_of[home] = province.place(head[home], month.end)
        return cls(
            home=home,
            people=people,
            poverty=poverty,
            since=since,
            head=head,
            cannot_exit=_cannot_exit(province, month, people, poverty),
            is_difficult=_is_difficult_place(province)[place_of],
            is_pregnant=_is_pregnant(province, month),
            has_no_support=_has_no_support(province, month),
        )


def _eldest(province: Province, people: np.ndarray) -> np.ndarray:
    """H: the eldest of these people in each household, -1 where there is none."""
    home = province.household[people]
    order = np.lexsort((people, province.birth[people], home))
    homes, first = np.unique(home[order], return_index=True)
    head = np.full(province.household_count, -1, dtype=np.int64)
    head[homes] = people[order][first]
    return head


def _cannot_exit(
    province: Province, month: Month, people: np.ndarray, poverty: np.ndarray
) -> np.ndarray:
    """H: poor and nobody of working age, or a few others that the commune marks."""
    age = month.year - province.birth_year[people].astype(int)
    works = np.zeros(province.household_count, dtype=bool)
    works[province.household[people[(age >= 16) & (age < 60)]]] = True
    draw = stream(province.seed, "unable to leave poverty").random(province.household_count)
    return (poverty == "HN") & (draw < np.where(works, 0.08, 0.95))


def _is_difficult_place(province: Province) -> np.ndarray:
    """P: especially difficult communes and villages, in the mountains."""
    draw = stream(province.seed, "difficult area").random(len(province.geography.zone))
    return (province.geography.zone == "mountain") & (draw < 0.7)


def _is_pregnant(province: Province, month: Month) -> np.ndarray:
    """N: women of 16 to 45, nine months once in the four years for some of them."""
    age = month.year - province.birth_year.astype(int)
    draw = province.uniform("pregnancy")
    begins = (draw / 0.35 * 57).astype(int) - 9
    expecting = (begins <= month.index) & (month.index < begins + 9)
    return (province.sex == 2) & (age >= 16) & (age <= 45) & (draw < 0.35) & expecting


def _has_no_support(province: Province, month: Month) -> np.ndarray:
    return (province.uniform("without support") < 0.2) & (_turns(province, 60) <= month.end)


def _turns(province: Province, years: int) -> np.ndarray:
    """N: the first day of the month in which a person reaches an age: lists know the month."""
    born = province.birth.astype("datetime64[D]").astype("datetime64[M]")
    return (born + 12 * years).astype("datetime64[D]").astype(np.int64)


# ---------------------------------------------------------------------- poverty review


def poor_households(province: Province, month: Month, poor: PoorHouseholds) -> pl.DataFrame:
    """The list of poor and near-poor households."""
    home, head = poor.home, poor.head[poor.home]
    standard = "2026-2030" if month.index >= NEW_STANDARD.index else "2021-2025"
    return (
        pl.DataFrame(
            {
                "_household": home.astype(np.int32),
                "_unit": province.geography.unit[month.era][province.place(head, month.end)],
                "_ethnic": province.ethnic[home],
                "class_code": poor.poverty[home],
                "deprivations": _deprivations(province, home, poor.poverty[home] == "HN"),
                "cannot_exit": flag_of(poor.cannot_exit[home]),
                "is_difficult_area": flag_of(poor.is_difficult[home]),
                "reviewed_on": _reviewed_on(month, home, poor.since[home]),
                "household_key": household_key_of(province, home),
                "person_key": province.citizen_number.gather(head),
                "full_name": province.full_name.gather(head),
            }
        )
        .sort("_unit", "_household")
        .with_columns(
            report_month=report_month_of(month),
            unit_code=unit_code_of("_unit"),
            ethnic_group_code="_ethnic",
            standard_version=pl.lit(standard),
            _is_near_poor=pl.col("class_code") == "HCN",
            # The new standard is not yet held against the number of deprivations.
            _is_judged_poor=(pl.col("class_code") == "HN") & (standard == "2021-2025"),
            _has_old_standard=pl.lit(standard == "2021-2025"),
        )
    )


def _deprivations(province: Province, home: np.ndarray, is_poor: np.ndarray) -> pl.Series:
    """Three to six of the twelve indicators for the poor, one or two for the near-poor."""
    rng = stream(province.seed, "deprivations")
    rank = rng.random((province.household_count, 12), dtype=np.float32)[home]
    rank = rank.argsort(axis=1).argsort(axis=1)
    more = stream(province.seed, "deprivation count").random(province.household_count)[home]
    count = np.where(is_poor, 3 + (more * 4).astype(int), 1 + (more * 2).astype(int))
    marks = np.where(rank < count[:, None], "1", "0")
    return pl.Series(np.ascontiguousarray(marks).view("<U12").ravel())


def _reviewed_on(month: Month, home: np.ndarray, since: np.ndarray) -> pl.Series:
    """The review of the last December that is over, or the day on which one was let in."""
    year = month.year if month.number == 12 else month.year - 1
    review = day(year, 12, 1) + home % 14
    starts = np.array([day(2024 + i // 12, i % 12 + 1, 1) for i in range(48)])
    let_in = starts[np.clip(since, 0, 47)] + home % 20
    return dates(np.where(since >= 0, np.maximum(review, let_in), review))


def poor_household_members(province: Province, month: Month, poor: PoorHouseholds) -> pl.DataFrame:
    """The people of those households."""
    people = poor.people
    home = province.household[people]
    return _person_columns(province, month, people).with_columns(
        _household=pl.Series(home),
        household_key=household_key_of(province, home),
        class_code=pl.Series(poor.poverty[home]),
        is_pregnant=flag_of(poor.is_pregnant[people]),
        has_no_support=flag_of(poor.has_no_support[people]),
        _is_male=pl.Series(province.sex[people] == 1),
        _is_under_60=pl.Series(_turns(province, 60)[people] > month.end),
    ).sort("_unit", "_household", "_person")  # fmt: skip


def household_totals(province: Province, month: Month, poor: PoorHouseholds) -> pl.DataFrame:
    """All households by commune and ethnic group."""
    is_listed = np.zeros(province.household_count, dtype=bool)
    is_listed[poor.home] = True
    place = province.place(province.head, month.end)
    keys = ["_unit", "_ethnic"]
    return (
        pl.DataFrame(
            {
                "_unit": province.geography.unit[month.era][place],
                "_ethnic": province.ethnic,
                "_is_listed": is_listed,
                "_delivered": province.is_delivered(place, month),
            }
        )
        .filter("_delivered")
        .group_by(keys)
        # Only rows without poor households are damaged: a rate stays below 100 %.
        .agg(households=pl.len().cast(pl.Int64), _may_break=~pl.col("_is_listed").any())
        .sort(keys)
        .with_columns(unit_code=unit_code_of("_unit"), ethnic_group_code="_ethnic")
    )


def _person_columns(province: Province, month: Month, people: np.ndarray) -> pl.DataFrame:
    place = province.place(people, month.end)
    return pl.DataFrame(
        {
            "_person": people.astype(np.int32),
            "_unit": province.geography.unit[month.era][place],
            "_sex": province.sex[people],
            "_birth": province.birth[people],
            "person_key": province.citizen_number.gather(people),
            "full_name": province.full_name.gather(people),
            "birth_month": dates(province.birth[people]),
        }
    ).with_columns(
        report_month=report_month_of(month),
        unit_code=unit_code_of("_unit"),
        sex_code=pl.col("_sex").cast(pl.String),
    )


# ---------------------------------------------------------------------- assistance and pension


def _assistance_group(province: Province, month: Month, poor: PoorHouseholds) -> np.ndarray:
    """N: the group in which a person is paid, "" for the others; the first that fits."""
    member = np.zeros(province.count, dtype=bool)
    member[poor.people] = True
    poverty = poor.poverty[province.household]
    age = month.year - province.birth_year.astype(int)
    draw, paid = province.uniform("assistance"), province.uniform("assistance paid")
    # Outside the decree's areas a few communes pay for small children out of their own means.
    is_difficult = poor.is_difficult[province.household] | (draw < 0.15)
    is_head = np.zeros(province.count, dtype=bool)
    is_head[poor.head[poor.home]] = True
    entitled = {
        "NCT": member & (poverty == "HN") & poor.has_no_support,
        "KT": draw < 0.011,
        "TE36": member & is_difficult & (_turns(province, 3) > month.end),
        "PNMT": member & poor.is_pregnant,
        "KNLD": member & is_head & poor.cannot_exit[province.household],
        "NCT80": (_turns(province, 80) <= month.end) & (month.index < FIRST_PENSION.index),
        "KHAC": (age < 16) & (draw > 0.996),
    }
    group = np.full(province.count, "", dtype="<U5")
    for code in GROUPS:
        share, rise = PAID_SHARE[code]
        is_paid = paid < min(share + rise * month.index, 0.985)
        group[(group == "") & entitled[code] & is_paid] = code
    return group


def assistance_payments(province: Province, month: Month, group: np.ndarray) -> pl.DataFrame:
    """Payments of the month; arrears of the month before; a few who have just died."""
    listed = (province.birth <= month.end) & (province.death > month.end - 60)
    people = np.flatnonzero((group != "") & listed)
    people = people[province.is_delivered(province.place(people, month.end), month)]
    # Three in a hundred are paid the month before only now, most of them beside this month.
    late = (province.uniform("arrears")[people] + month.index * GOLDEN) % 1
    # A person of several needs may stand under a second code.
    second = (province.uniform("second group")[people] < 0.03) & (group[people] != "KHAC")
    now = dt.date(month.year, month.number, 1)
    before = (now - dt.timedelta(days=1)).replace(day=1)
    parts = [
        _payments(province, month, people[chosen], codes[chosen], paid_for)
        for chosen, codes, paid_for in (
            (late >= 0.01, group[people], now),
            (late < 0.03, group[people], before),
            (second, np.full(len(people), "KHAC"), now),
        )
    ]
    return pl.concat(parts).sort("_unit", "_person", "group_code", "paid_for")


def _payments(
    province: Province, month: Month, people: np.ndarray, group: np.ndarray, paid_for: dt.date
) -> pl.DataFrame:
    base = RISEN_BASE_VND if paid_for >= BASE_RISE else BASE_VND
    method = _method(province, month, people)
    # The second code of a person is paid by hand.
    method = np.where(group == "KHAC", "TM", method)
    child = month.year - province.birth_year[people].astype(int) < 16
    own = province.uniform("account holder")[people] < 0.85
    holder = np.select([child | (~own & (group == "KT")), own], ["GH", "CC"], "NT")
    died, home = province.death[people], province.household[people]
    steps = np.array([GROUPS[code] for code in group], dtype=np.int64)
    return _person_columns(province, month, people).with_columns(
        _household=pl.Series(home),
        household_key=household_key_of(province, home),
        group_code=pl.Series(group),
        paid_for=pl.lit(paid_for),
        amount_vnd=pl.Series(steps * base // 2),
        method_code=pl.Series(method),
        account_holder_code=pl.Series(holder).set(pl.Series(method == "TM"), None),
        is_id_verified=_is_verified(province, month, people),
        died_on=dates(np.where(died <= month.end, died, NEVER)),
        _is_alive=pl.Series(died > month.end),
        _is_account=pl.Series(method != "TM"),
        _is_adult=pl.Series(~child),
    )  # fmt: skip


def _method(province: Province, month: Month, people: np.ndarray) -> np.ndarray:
    """Cash gives way to accounts, slowly; who has changed once stays with them."""
    draw = province.uniform("payment method")[people]
    share = 0.35 + 0.013 * month.index
    return np.where(draw >= share, "TM", np.where(draw < share * 0.15, "VDT", "TK"))


def _is_verified(province: Province, month: Month, people: np.ndarray) -> pl.Series:
    return flag_of(province.uniform("number verified")[people] < 0.82 + 0.0035 * month.index)


def social_pension(
    province: Province, month: Month, poor: PoorHouseholds, group: np.ndarray
) -> pl.DataFrame:
    """From 75 without another pension, from 70 in poor and near-poor households."""
    living = province.living(month)
    people = living[_turns(province, 70)[living] <= month.end]
    people = people[province.is_delivered(province.place(people, month.end), month)]
    old = _turns(province, 75)[people] <= month.end
    is_poor = poor.poverty[province.household[people]] != ""
    draw = province.uniform("social pension")[people]
    # Assistance of the lonely is the higher benefit: they keep it instead.
    takes = (group[people] != "NCT") & (draw < np.where(old, 0.58, 0.8 + 0.005 * month.index))
    chosen = takes & (old | is_poor)
    people, old = people[chosen], old[chosen]
    unpaid = (province.uniform("pension unpaid")[people] + month.index * GOLDEN) % 1 < 0.03
    return _person_columns(province, month, people).with_columns(
        ethnic_group_code=ethnic_of(province, pl.Series(people)),
        basis_code=pl.Series(np.where(old, "75", "70HN")),
        amount_vnd=pl.lit(RISEN_BASE_VND),
        method_code=pl.Series(_method(province, month, people)),
        is_paid=flag_of(~unpaid),
        is_id_verified=_is_verified(province, month, people),
        _is_under_75=pl.Series(~old),
    ).sort("_unit", "_person")  # fmt: skip


# ---------------------------------------------------------------------- damage


def _other_standard(row: Row, _: Context) -> None:
    other = {"2021-2025": "2026-2030", "2026-2030": "2021-2025"}
    row["standard_version"] = other[str(row["standard_version"])]


def _eleven_indicators(row: Row, _: Context) -> None:
    row["deprivations"] = str(row["deprivations"])[:11]


#: Every kind of damage by dataset, in the order in which they are used in turn.
KINDS: dict[str, list[Kind]] = {
    "poor_households": [
        Kind("class_unknown", "contract.enum", set_to("class_code", "TB")),
        Kind("eleven_indicators", "contract.pattern", _eleven_indicators),
        Kind("no_deprivation", "poor_households.deprivations_fit_class",
             set_to("deprivations", "0" * 12), "_is_judged_poor"),
        Kind("other_standard", "poor_households.standard_of_period", _other_standard,
             "_has_old_standard"),
        Kind("near_poor_cannot_exit", "poor_households.cannot_exit_is_poor",
             set_to("cannot_exit", "1"), "_is_near_poor"),
        Kind("reviewed_next_year", "poor_households.reviewed_within_a_year",
             set_date("reviewed_on", 1, 3, 10)),
        Kind("reviewed_on_31_february", "contract.type", set_date("reviewed_on", 0, 2, 31)),
        *citizen_kinds(None),
        *unit_kinds("poor_households", "unit_code"),
        duplicate_kind("poor_households"),
    ],
    "poor_household_members": [
        *citizen_kinds("members.birth_not_in_future"),
        Kind("pregnant_man", "members.pregnant_is_female", set_to("is_pregnant", "1"), "_is_male"),
        Kind("without_support_below_60", "members.no_support_is_elderly",
             set_to("has_no_support", "1"), "_is_under_60"),
        Kind("class_missing", "contract.required", set_to("class_code", None)),
        *unit_kinds("members", "unit_code"),
        duplicate_kind("members"),
    ],
    "household_totals": [
        Kind("households_missing", "contract.required", set_to("households", None), "_may_break"),
        Kind("households_negative", "contract.range", set_to("households", "-4"), "_may_break"),
        Kind("too_many_households", "household_totals.households_plausible",
             set_to("households", "99999"), "_may_break"),
        Kind("ethnic_group_in_words", "contract.pattern",
             set_to("ethnic_group_code", "Hrê"), "_may_break"),
        *unit_kinds("household_totals", "unit_code", "_may_break"),
        duplicate_kind("household_totals"),
    ],
    "assistance_payments": [
        *citizen_kinds("payments.birth_not_in_future"),
        Kind("method_unknown", "contract.enum", set_to("method_code", "XX")),
        Kind("amount_missing", "contract.required", set_to("amount_vnd", None)),
        Kind("amount_zero", "contract.range", set_to("amount_vnd", "0")),
        Kind("paid_for_next_year", "payments.paid_for_not_in_future",
             set_date("paid_for", 1, 1, 1)),
        Kind("adult_as_child", "payments.child_is_under_36_months", set_to("group_code", "TE36"),
             "_is_adult"),
        Kind("account_without_holder", "payments.account_has_holder",
             set_to("account_holder_code", None), "_is_account"),
        *unit_kinds("payments", "unit_code"),
        duplicate_kind("payments"),
    ],
    "social_pension": [
        *citizen_kinds("pension.birth_not_in_future"),
        Kind("basis_missing", "contract.required", set_to("basis_code", None)),
        Kind("younger_than_75", "pension.age_fits_basis", set_to("basis_code", "75"),
             "_is_under_75"),
        Kind("amount_negative", "contract.range", set_to("amount_vnd", "-500000")),
        *unit_kinds("pension", "unit_code"),
        duplicate_kind("pension"),
    ],
}  # fmt: skip
