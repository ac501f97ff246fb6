"""Social insurance: who pays in, who draws a benefit, what care costs; older residents and the
labour force as their denominators.

Each person has one number per decision for life. The shares that it is held against rise month by
month, so people join one after the other and stay.
"""

from __future__ import annotations

from collections.abc import Iterator

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
from loaders.sample.extract import Extract, ethnic_of, report_month_of, unit_code_of
from loaders.sample.health import health_of
from loaders.sample.province import Month, Province, dates, day, spread, stream

#: Months of life at retirement by calendar year, 1 men and 2 women (Decree 135/2020, Article 4).
#: The years after the last one keep its age, those before 2021 had 60 and 55 years.
RETIREMENT_AGE = {
    1: {2020: 720} | {2021 + i: 723 + 3 * i for i in range(7)} | {2028: 744},
    2: {2020: 660} | {2021 + i: 664 + 4 * i for i in range(14)} | {2035: 720},
}
#: Household business owners are compulsory members from this month on (Law 41/2024/QH15).
OWNERS_COMPULSORY_FROM = 2025 * 12 + 6
#: Share of working-age people in January 2024 and its rise per month.
COMPULSORY, VOLUNTARY = (0.245, 0.0009), (0.032, 0.0007)
LABOUR_FORCE = {1: 0.91, 2: 0.83}
#: Relative standard error of the labour force survey in percent; it has fewer households in 62.
STANDARD_ERROR = {"51": 1.4, "62": 1.9}
PENSIONERS, EARLY_PENSIONERS = (0.16, 0.0006), 0.03
SURVIVORS, BENEFICIARIES = 0.03, 0.025
#: Pensions rise by 8 % on this day.
PENSION_RISE = day(2026, 7, 1)
#: Share of visits at grassroots facilities that the fund does not pay, and its fall per month.
UNPAID = (0.075, 0.0011)
#: Chance of a visit in a month: (age up to, chance).
VISITS = ((5, 0.16), (17, 0.07), (49, 0.07), (64, 0.14), (200, 0.24))


def extracts(province: Province, month: Month) -> Iterator[Extract]:
    """Members, benefits, claims, older residents, and in December the labour force."""
    yield Extract("social_insurance", "participants", month.period, participants(province, month))
    yield Extract("social_insurance", "pensions", month.period, pensions(province, month))
    yield Extract("social_insurance", "claims", month.period, claims(province, month))
    older = older_residents(province, month)
    yield Extract("population_register", "older_residents", month.period, older)
    if month.year_label:
        survey = labour_force(province, month.year)
        yield Extract("statistics_office", "labour_force", month.year_label, survey)


def month_number(month: Month) -> int:
    """Months since year 0."""
    return month.year * 12 + month.number - 1


def last_retired(now: int, sex: int) -> int:
    """Latest month of birth (months since year 0) of those past retirement age at a month's end.

    Somebody reaches the age in the first month whose year asks for no more than the months lived
    by then; later years ask for more, but take it from nobody.
    """
    ages = RETIREMENT_AGE[sex]
    year = now // 12
    asked = {y: ages[min(y, max(ages))] for y in range(min(ages), year + 1)}
    return max((now if y == year else y * 12 + 11) - age for y, age in asked.items())


def birth_number(province: Province, people: np.ndarray) -> np.ndarray:
    """Month of birth, months since year 0."""
    days = province.birth[people].astype("datetime64[D]")
    return days.astype("datetime64[M]").astype(np.int64) + 1970 * 12


def _month_ends(numbers: np.ndarray) -> np.ndarray:
    """Last days of months given as months since year 0."""
    following = (numbers - 1970 * 12 + 1).astype("datetime64[M]")
    return following.astype("datetime64[D]").astype(np.int64) - 1


def _is_past(province: Province, people: np.ndarray, now: int) -> np.ndarray:
    limit = np.array([0, last_retired(now, 1), last_retired(now, 2)])
    return birth_number(province, people) <= limit[province.sex[people]]


def _rising(share: tuple[float, float], now: int) -> float:
    start, rise = share
    return start + rise * (now - 2024 * 12)


def _since(province: Province, people: np.ndarray, purpose: str, now: int) -> np.ndarray:
    """Months since the start of the one event of this kind in a person's four years, or before
    it, negative."""
    return now - 2024 * 12 - (province.uniform(purpose)[people] * 48).astype(np.int64)


# ---------------------------------------------------------------------- members


def participants(province: Province, month: Month) -> pl.DataFrame:
    """Contracts on the list: suspended and lapsed ones too, second employers, movers, elders."""
    now = month_number(month)
    people = province.living(month)
    scheme, before = _schemes(province, people, now), _schemes(province, people, now - 1)
    second = (scheme == "BB") & (province.uniform("second employer")[people] < 0.04)
    moved = (scheme == "BB") & (before == "TN")
    parts = [
        (scheme != "", scheme, 1),
        (moved, np.where(moved, "TN", ""), 1),
        (second, scheme, 2),
    ]
    contracts = pl.concat(
        pl.DataFrame(
            {
                "_person": people[chosen].astype(np.int32),
                "scheme_code": codes[chosen],
                "_contract": np.full(int(chosen.sum()), number, dtype=np.int32),
            }
        )
        for chosen, codes, number in parts
    )
    person = contracts["_person"].to_numpy()
    place = province.place(person, month.end)
    # Not every employer hears of a move.
    stale = (contracts["_contract"] == 2).to_numpy()
    stale &= province.uniform("second employer address")[person] < 0.3
    place = np.where(stale, province.other_address[person], place)
    frame = contracts.with_columns(
        _unit=pl.Series(province.geography.unit[month.era][place]),
        _sex=pl.Series(province.sex[person]),
        _birth=pl.Series(birth_number(province, person)),
        _delivered=pl.Series(province.is_delivered(place, month)),
        birth_month=dates(province.birth[person]),
        person_key=province.citizen_number.gather(person),
        full_name=province.full_name.gather(person),
        ethnic_group_code=ethnic_of(province, contracts["_person"]),
        **_contract_columns(province, contracts, now),
    )
    return (
        frame.filter("_delivered")
        .sort("_unit", "_person", "scheme_code", "_contract")
        .with_columns(
            report_month=report_month_of(month),
            sex_code=pl.col("_sex").cast(pl.String),
            residence_unit_code=unit_code_of("_unit"),
            _is_voluntary=pl.col("scheme_code") == "TN",
            _is_compulsory=pl.col("scheme_code") == "BB",
        )
    )


def _schemes(province: Province, people: np.ndarray, now: int) -> np.ndarray:
    """Scheme of each person in a month: BB, TN or none."""
    age = (now - birth_number(province, people)) // 12
    past = _is_past(province, people, now)
    chance = province.uniform("social insurance")[people]
    works_on = (age < 68) & (province.uniform("works past retirement age")[people] < 0.06)
    hired = (age >= 18) & (~past | works_on) & (chance < _rising(COMPULSORY, now))
    owner = _employer_types(province, people) == "HKD"
    if now >= OWNERS_COMPULSORY_FROM:
        owner = np.zeros(len(people), dtype=bool)
    careful = province.uniform("owner insured before the law")[people] < 0.3
    above = _rising(COMPULSORY, now) + _rising(VOLUNTARY, now)
    joins = (age >= 15) & ~past & (chance >= _rising(COMPULSORY, now)) & (chance < above)
    voluntary = joins | (hired & owner & careful & ~past)
    return np.select([hired & ~owner, voluntary], ["BB", "TN"], "")


def _employer_types(province: Province, people: np.ndarray) -> np.ndarray:
    kind = province.uniform("employer")[people]
    return np.select([kind < 0.2, kind < 0.77, kind < 0.91], ["NN", "DN", "FDI"], "HKD")


def _contract_columns(
    province: Province, contracts: pl.DataFrame, now: int
) -> dict[str, pl.Series]:
    person = contracts["_person"].to_numpy()
    compulsory = (contracts["scheme_code"] == "BB").to_numpy()
    second = (contracts["_contract"] == 2).to_numpy()
    kind = np.where(second, "DN", _employer_types(province, person))
    number = (province.uniform("employer number")[person] * 900).astype(int) + 9_000 * second
    official = (kind == "NN") & (province.uniform("official")[person] < 0.45)
    # Unemployment insurance goes with the first contract.
    unemployment = compulsory & ~second & ~official & (kind != "HKD")
    # Maternity, unpaid leave: four months, once, of every third person; the first contract rests.
    rests = province.uniform("suspended")[person] < 0.33
    since = _since(province, person, "suspended from", now)
    suspended = compulsory & ~second & rests & (since >= 0) & (since < 4)
    plan = (province.uniform("months paid ahead")[person] * 4).astype(int)
    length = np.array([1, 3, 6, 12])[plan]
    phase = (province.uniform("month of payment")[person] * length).astype(int)
    position = (now + phase) % length
    since = _since(province, person, "forgets to pay", now)
    lapsed = (province.uniform("forgetful")[person] < 0.5) & (since >= 0) & (since < 3)
    covered = np.where(lapsed, now - since - 1, now - position + length - 1)
    state = np.select(
        [compulsory & suspended, compulsory, lapsed, position == 0], ["TD", "DD", "TD", "DD"], "TT"
    )
    home = province.household[person]
    group = np.select([province.is_poor[home], province.is_near_poor[home]], ["HN", "HCN"], "KHAC")
    frame = pl.DataFrame({"kind": kind, "number": number, "bb": compulsory}).with_columns(
        employer_code=pl.when("bb").then(
            pl.col("kind") + pl.col("number").cast(pl.String).str.zfill(4)
        ),
        employer_type_code=pl.when("bb").then("kind"),
        covered_to=pl.when(~pl.col("bb")).then(dates(_month_ends(covered))),
    )
    return {
        "employer_code": frame["employer_code"],
        "employer_type_code": frame["employer_type_code"],
        "has_unemployment_insurance": pl.Series(np.where(unemployment, "1", "0")),
        "contribution_state_code": pl.Series(state),
        "covered_to": frame["covered_to"],
        "support_group_code": pl.Series(group),
    }


# ---------------------------------------------------------------------- benefits


def pensions(province: Province, month: Month) -> pl.DataFrame:
    """Benefits of the month; a pension and a survivor's benefit may come together."""
    now = month_number(month)
    people = province.living(month)
    age = (now - birth_number(province, people)) // 12
    # The first pension is that of the month after the one in which the age is reached.
    retired = _is_past(province, people, now - 1)
    chance = province.uniform("pension")[people]
    early = (age >= 50) & (chance < EARLY_PENSIONERS)
    benefits = {
        "LH": early | (retired & (chance < _rising(PENSIONERS, now))),
        "TC": (age >= 40) & (province.uniform("monthly benefit")[people] < BENEFICIARIES),
        "TT": (age >= 55) & (province.uniform("survivor's benefit")[people] < SURVIVORS),
    }
    least = {"LH": 2_600_000, "TC": 1_800_000, "TT": 1_250_000}
    rows = pl.concat(
        pl.DataFrame(
            {
                "_person": people[drawn].astype(np.int32),
                "benefit_code": np.full(int(drawn.sum()), code),
                "_least": np.full(int(drawn.sum()), least[code], dtype=np.int64),
            }
        )
        for code, drawn in benefits.items()
    )
    person = rows["_person"].to_numpy()
    place = province.place(person, month.end)
    # Survivors often stay on the list of where the deceased was paid.
    stale = (rows["benefit_code"] == "TT").to_numpy()
    stale &= province.uniform("survivor's address")[person] < 0.1
    place = np.where(stale, province.other_address[person], place)
    least_vnd = rows["_least"].to_numpy()
    amount = least_vnd * (1 + 1.5 * province.uniform("amount of benefit")[person].astype(float))
    amount = amount * (1.08 if month.end >= PENSION_RISE else 1.0)
    since = _since(province, person, "payment stopped", now)
    stopped = (province.uniform("stopped")[person] < 0.2) & (since >= 0) & (since < 3)
    frame = rows.with_columns(
        _unit=pl.Series(province.geography.unit[month.era][place]),
        _sex=pl.Series(province.sex[person]),
        _birth=pl.Series(birth_number(province, person)),
        _delivered=pl.Series(province.is_delivered(place, month)),
        birth_month=dates(province.birth[person]),
        person_key=province.citizen_number.gather(person),
        full_name=province.full_name.gather(person),
        amount_vnd=pl.Series((amount // 100 * 100).astype(np.int64)),
        is_paid=pl.Series(np.where(stopped, "0", "1")),
        _is_paid=pl.Series(~stopped),
    )
    return (
        frame.filter("_delivered")
        .sort("_unit", "_person", "benefit_code")
        .with_columns(
            report_month=report_month_of(month),
            sex_code=pl.col("_sex").cast(pl.String),
            residence_unit_code=unit_code_of("_unit"),
        )
    )


# ---------------------------------------------------------------------- claims


def claims(province: Province, month: Month) -> pl.DataFrame:
    """Visits of residents that were settled in the month, every submission of them."""
    rng = stream(province.seed, f"claims/{month.period}")
    draw = rng.random((3, province.count), dtype=np.float32)
    people = province.living(month)
    age = month.year - province.birth_year[people].astype(int)
    chance = np.select([age <= limit for limit, _ in VISITS], [c for _, c in VISITS])
    visits = draw[0, people] < chance
    again = visits & (draw[1, people] < 0.2)
    person = np.concatenate([people[visits], people[again]])
    place = province.place(person, month.end)
    place = np.where(draw[2, person] < 0.01, province.other_address[person], place)
    delivered = province.is_delivered(place, month)
    visit = pl.DataFrame({"_person": person.astype(np.int32), "_place": place.astype(np.int64)})
    # Numbers are drawn for all visits, so that one is the same whoever else delivers.
    visit = visit.with_columns(_claim=pl.int_range(pl.len()), **_visit(province, month, rng, visit))
    visit = visit.filter(pl.Series(delivered))
    person, place = visit["_person"].to_numpy(), visit["_place"].to_numpy()
    frame = _submissions(visit).with_columns(
        discharged_on=pl.col("_discharged").cast(pl.Int32).cast(pl.Date),
        submitted_on=pl.col("_submitted").cast(pl.Int32).cast(pl.Date),
    )
    person, place = frame["_person"].to_numpy(), frame["_place"].to_numpy()
    return (
        frame.with_columns(
            _unit=pl.Series(province.geography.unit[month.era][place]),
            _sex=pl.Series(province.sex[person]),
            _birth_year=pl.Series(province.birth_year[person].astype(np.int32)),
            birth_month=dates(province.birth[person]),
            person_key=province.citizen_number.gather(person),
            full_name=province.full_name.gather(person),
        )
        .sort("_unit", "_claim", "submission_number")
        .with_columns(
            report_month=report_month_of(month),
            claim_key=pl.concat_str(
                "facility_code",
                pl.lit(month.period.replace("-", "")),
                pl.col("_claim").cast(pl.String).str.zfill(8),
                separator=".",
            ),
            sex_code=pl.col("_sex").cast(pl.String),
            residence_unit_code=unit_code_of("_unit"),
        )
    )


def _visit(
    province: Province, month: Month, rng: np.random.Generator, visit: pl.DataFrame
) -> dict[str, pl.Series]:
    """Facility, kind, days and payments of each visit."""
    person, place = visit["_person"].to_numpy(), visit["_place"].to_numpy()
    count = len(person)
    grassroots = rng.random(count) < 0.6
    inpatient = ~grassroots & (rng.random(count) < 0.25)
    kind = np.select([inpatient, rng.random(count) < 0.15], ["03", "02"], "01")
    cost = rng.lognormal(0, 0.5, count) * np.select([inpatient, grassroots], [3.2e6, 1.4e5], 4.5e5)
    total = (cost // 100 * 100).astype(np.int64) + 100
    home = province.household[person]
    share = np.select([province.is_poor[home], province.is_near_poor[home]], [0.0, 0.05], 0.2)
    index = month.index
    unpaid = grassroots & (spread(rng, count) < max(UNPAID[0] - UNPAID[1] * index, 0.01))
    other = np.where(rng.random(count) < 0.02, total // 10 // 100 * 100, 0)
    extra = np.where(rng.random(count) < 0.35, 0.14 * (1 - 0.004 * index), 0.0)
    own = np.where(unpaid, total - other, (total * extra) // 100 * 100).astype(np.int64)
    copay = np.where(unpaid, 0, ((total - other - own) * share) // 100 * 100).astype(np.int64)
    first = day(month.year, month.number, 1)
    length = month.end - first + 1
    discharged = first + (rng.random(count) * length).astype(np.int64)
    # Settled a month after the discharge.
    discharged = np.where(rng.random(count) < 0.05, first - 1 - discharged % 10, discharged)
    return {
        "facility_code": _facilities(province, month, rng, place, grassroots),
        "is_grassroots_facility": pl.Series(np.where(grassroots, "1", "0")),
        "care_kind_code": pl.Series(kind),
        "_discharged": pl.Series(discharged),
        "_submitted": pl.Series(discharged + rng.integers(1, 6, count)),
        "_resent": pl.Series(rng.random(count) < 0.03),
        "_refused": pl.Series(rng.random(count) < 0.5),
        "total_vnd": pl.Series(total),
        "other_sources_vnd": pl.Series(other),
        "self_paid_vnd": pl.Series(own),
        "copay_vnd": pl.Series(copay),
        "fund_vnd": pl.Series(total - other - own - copay),
    }


def _facilities(
    province: Province,
    month: Month,
    rng: np.random.Generator,
    place: np.ndarray,
    grassroots: np.ndarray,
) -> pl.Series:
    """The station of the commune, or a hospital of the old province."""
    geography, health = province.geography, health_of(province)
    code = health.station_codes.to_numpy()[geography.station[month.era][place]]
    draw = rng.random(len(place))
    hospitals = health.facilities.filter(pl.col("_kind") == "BV")["facility_code"].to_numpy()
    for own in ("51", "62"):
        near = np.array([name for name in hospitals if name.startswith(own)])
        chosen = ~grassroots & (geography.province[place] == own)
        code[chosen] = near[(draw[chosen] * len(near)).astype(int)]
    return pl.Series(code)


def _submissions(visit: pl.DataFrame) -> pl.DataFrame:
    """Each visit once, and before it what was first sent of those that were sent again.

    The first try forgot the patient's share, or asked nothing of the fund.
    """
    resent = visit.filter("_resent")
    insured = pl.col("fund_vnd") + pl.col("copay_vnd")
    first = resent.with_columns(
        submission_number=pl.lit(1),
        self_paid_vnd=pl.when("_refused")
        .then(pl.col("self_paid_vnd") + insured)
        .otherwise("self_paid_vnd"),
        fund_vnd=pl.when("_refused").then(0).otherwise(insured),
        copay_vnd=pl.lit(0, dtype=pl.Int64),
    )
    last = visit.with_columns(
        submission_number=pl.col("_resent").cast(pl.Int32) + 1,
        _submitted=pl.col("_submitted") + 7 * pl.col("_resent").cast(pl.Int64),
    )
    return pl.concat([first, last])


# ---------------------------------------------------------------------- denominators


def older_residents(province: Province, month: Month) -> pl.DataFrame:
    """Residents of 50 years or more by commune, sex and month of birth."""
    people = province.living(month)
    people = people[month_number(month) - birth_number(province, people) >= 50 * 12]
    place = province.place(people, month.end)
    keys = ["_unit", "_sex", "_birth"]
    residents = pl.DataFrame(
        {
            "_unit": province.geography.unit[month.era][place],
            "_sex": province.sex[people],
            "_birth": birth_number(province, people),
            "_delivered": province.is_delivered(place, month),
        }
    )
    return (
        residents.filter("_delivered")
        .group_by(keys)
        .agg(persons=pl.len().cast(pl.Int64))
        .sort(keys)
        .with_columns(
            report_month=report_month_of(month),
            unit_code=unit_code_of("_unit"),
            sex_code=pl.col("_sex").cast(pl.String),
            birth_month=pl.date(pl.col("_birth") // 12, pl.col("_birth") % 12 + 1, 1),
        )
    )


def labour_force(province: Province, year: int) -> pl.DataFrame:
    """The survey's estimate by old province and sex, also for the province that delivers later.

    The middle of the year stands for its average.
    """
    middle = Month(f"{year}-06")
    now = month_number(middle)
    people = province.living(middle)
    age = (now - birth_number(province, people)) // 12
    people = people[(age >= 15) & ~_is_past(province, people, now)]
    share = np.array([0, LABOUR_FORCE[1], LABOUR_FORCE[2]])[province.sex[people]]
    people = people[province.uniform("labour force")[people] < share]
    code = province.geography.province[province.place(people, middle.end)]
    rows = []
    for own, error in STANDARD_ERROR.items():
        for sex in (1, 2):
            counted = int(((code == own) & (province.sex[people] == sex)).sum())
            miss = stream(province.seed, f"labour force/{year}/{own}/{sex}").normal(0, error / 100)
            rows.append((int(own), own, sex, str(sex), round(counted * (1 + miss)), error))
    names = ["_unit", "unit_code", "_sex", "sex_code", "labour_force", "standard_error_pct"]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.col("_unit").cast(pl.Int32)
    )


# ---------------------------------------------------------------------- damage


def _total_too_large(row: Row, _: Context) -> None:
    row["total_vnd"] = str(int(str(row["total_vnd"])) + 1_000)


KINDS: dict[str, list[Kind]] = {
    "participants": [
        *citizen_kinds("participants.fifteen_or_older"),
        Kind("scheme_unknown", "contract.enum", set_to("scheme_code", "XX")),
        Kind("coverage_missing", "participants.voluntary_has_coverage",
             set_to("covered_to", None), "_is_voluntary"),
        Kind("employer_missing", "participants.compulsory_has_employer",
             set_to("employer_code", None), "_is_compulsory"),
        Kind("voluntary_with_unemployment", "participants.unemployment_is_compulsory",
             set_to("has_unemployment_insurance", "1"), "_is_voluntary"),
        Kind("state_missing", "contract.required", set_to("contribution_state_code", None)),
        *unit_kinds("participants", "residence_unit_code"),
        duplicate_kind("participants"),
    ],
    "pensions": [
        *citizen_kinds("pensions.age_plausible"),
        Kind("benefit_unknown", "contract.enum", set_to("benefit_code", "XX")),
        Kind("paid_nothing", "pensions.paid_means_amount", set_to("amount_vnd", "0"), "_is_paid"),
        Kind("amount_not_a_number", "contract.type", set_to("amount_vnd", "ba triệu")),
        Kind("paid_missing", "contract.required", set_to("is_paid", None)),
        *unit_kinds("pensions", "residence_unit_code"),
        duplicate_kind("pensions"),
    ],
    "claims": [
        *citizen_kinds("claims.born_by_then"),
        Kind("total_not_the_sum", "claims.parts_make_the_total", _total_too_large),
        Kind("discharged_after_settlement", "claims.discharged_before_settlement",
             set_date("discharged_on", 1, 12, 31)),
        Kind("fund_negative", "contract.range", set_to("fund_vnd", "-5000")),
        Kind("care_kind_unknown", "contract.pattern", set_to("care_kind_code", "99")),
        Kind("facility_missing", "contract.required", set_to("facility_code", None)),
        *unit_kinds("claims", "residence_unit_code"),
        duplicate_kind("claims"),
    ],
    "older_residents": [
        Kind("sex_code_9", "contract.enum", set_to("sex_code", "9")),
        Kind("persons_not_a_number", "contract.type", set_to("persons", "mười")),
        Kind("nobody_counted", "contract.range", set_to("persons", "0")),
        Kind("younger_than_fifty", "older_residents.fifty_or_older",
             set_date("birth_month", -30, 1, 1)),
        *unit_kinds("older_residents", "unit_code"),
        duplicate_kind("older_residents"),
    ],
}  # fmt: skip
