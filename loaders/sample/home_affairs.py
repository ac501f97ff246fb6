"""People with merit, their fund, workers abroad and births, as typed records without damage."""

from __future__ import annotations

import datetime as dt
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
from loaders.sample.extract import (
    Extract,
    ethnic_of,
    flag_of,
    household_key_of,
    report_month_of,
    unit_code_of,
)
from loaders.sample.province import NEVER, Month, Province, dates, day, stream

SOURCE = "home_affairs"
#: Merit statuses: (code, share of the beneficiaries, allowance as a multiple of the standard).
STATUSES = (
    ("LS", 0.45, 1.0),
    ("TB", 0.25, 1.3),
    ("CDHH", 0.12, 1.1),
    ("BB", 0.06, 1.5),
    ("TDBT", 0.05, 0.6),
    ("CCVCM", 0.07, 0.6),
)
MOTHER, MOTHER_MULTIPLE, MOTHERS_BORN_BY, MOTHERS_SHARE = "BMVNAH", 3.0, 1945, 0.15
#: The second status of those who hold two.
SECOND_STATUS = {"LS": "TDBT", "TB": "CDHH", "CDHH": "TB", "BB": "CDHH", "TDBT": "LS",
                 "CCVCM": "LS", MOTHER: "LS"}  # fmt: skip
#: The standard allowance, dong, and the month in which it rose.
STANDARDS, RISE = (2_055_000, 2_789_000), "2024-07"
UNPAID_SHARE = 0.015
COUNTRIES = ("TW", "JP", "KR", "DE", "HU", "MY")
COUNTRY_BOUNDS = (0.35, 0.65, 0.85, 0.91, 0.96)


def extracts(province: Province, month: Month) -> Iterator[Extract]:
    """Every extract of the domain whose period ends with the month."""
    people = merit_people(province, month)
    yield Extract(SOURCE, "merit_people", month.period, people)
    workers = overseas_workers(province, month)
    yield Extract(SOURCE, "overseas_workers", month.period, workers)
    if month.quarter:
        yield Extract(SOURCE, "gratitude_fund", month.quarter, gratitude_fund(province, month))
    if month.year_label:
        review = merit_household_review(province, month, people)
        yield Extract(SOURCE, "merit_household_review", month.year_label, review)
        yield Extract("civil_registration", "births", month.year_label, births(province, month))


# ---------------------------------------------------------------------- people with merit


def merit_people(province: Province, month: Month) -> pl.DataFrame:
    """Rows of the payment list: one per person and status, and the arrears of the month before.

    The dead stay on it for some weeks.
    """
    holders = _holders(province)
    person = holders["_person"].to_numpy()
    lag = 20 + (province.uniform("merit list lag")[person] * 70).astype(int)
    listed = (province.death[person] > month.end - lag) & (province.birth[person] <= month.end)
    late = province.uniform(f"merit unpaid/{month.period}")[person] < UNPAID_SHARE
    was_late = province.uniform(f"merit unpaid/{_month_before(month)}")[person] < UNPAID_SHARE
    current = holders.with_columns(
        _arrears=pl.lit(False), _paid=pl.Series(~late), _at=pl.Series(listed)
    )
    arrears = holders.with_columns(
        _arrears=pl.lit(True), _paid=pl.lit(True), _at=pl.Series(listed & was_late)
    )
    rows = pl.concat([current.filter("_at"), arrears.filter("_at")])
    person = rows["_person"].to_numpy()
    place = province.place(person, month.end)
    died = np.where(province.death[person] <= month.end, province.death[person], NEVER)
    frame = rows.with_columns(
        _unit=pl.Series(province.geography.unit[month.era][place]),
        _household=pl.Series(province.household[person]),
        _delivered=pl.Series(province.is_delivered(place, month)),
        _deceased=pl.Series(died < NEVER),
        _method=pl.Series(_method(province, month, rows)),
        birth_month=dates(province.birth[person]),
        death_month=dates(died),
        is_supported=flag_of(
            (rows["category_code"] == MOTHER).to_numpy()
            & (province.uniform("mother supported")[person] < 0.88 + 0.003 * month.index)
        ),
        is_id_verified=flag_of(
            province.uniform("merit verified")[person] < 0.80 + 0.005 * month.index
        ),
        _relative=pl.Series(province.uniform("account of a relative")[person] < 0.06),
    ).with_columns(_cashless=pl.col("_paid") & (pl.col("_method") != "TM"))
    frame = frame.filter("_delivered").sort("_unit", "_person", "_line", "_arrears")
    first = dt.date(month.year, month.number, 1)
    before = (first - dt.timedelta(days=1)).replace(day=1)
    standard = STANDARDS[month.period >= RISE]
    return _person_columns(province, frame).with_columns(
        report_month=report_month_of(month),
        entitled_month=pl.when("_arrears").then(pl.lit(before)).otherwise(pl.lit(first)),
        household_key=household_key_of(province, frame["_household"].to_numpy()),
        amount_vnd=((pl.col("_multiple") * standard / 1000).round() * 1000).cast(pl.Int64),
        is_paid=pl.col("_paid").cast(pl.Int8).cast(pl.String),
        method_code=pl.when("_paid").then("_method"),
        account_holder_code=pl.when("_cashless").then(
            pl.when("_relative").then(pl.lit("NT")).otherwise(pl.lit("CC"))
        ),
    )


def _holders(province: Province) -> pl.DataFrame:
    """Persons with their statuses: the eldest of each merit household, and some of the next ones.

    ``_line`` counts the statuses of a person.
    """
    order = np.lexsort((province.birth, province.household))
    home = province.household[order]
    starts = np.flatnonzero(np.r_[True, home[1:] != home[:-1]])
    nexts = np.minimum(starts + 1, len(order) - 1)
    shared = (home[nexts] == home[starts]) & (nexts > starts)
    shared &= province.uniform("second person with merit")[order[nexts]] < 0.2
    # Merit was earned in the wars: nobody born after 1990 is on the list.
    chosen = np.concatenate([order[starts], order[nexts[shared]]])
    chosen = chosen[
        province.is_merit[province.household[chosen]] & (province.birth_year[chosen] <= 1990)
    ]
    bounds = np.cumsum([share for _, share, _ in STATUSES])[:-1]
    kind = np.searchsorted(bounds, province.uniform("merit status")[chosen])
    status = np.array([code for code, _, _ in STATUSES])[kind]
    mother = _mothers(province, chosen)
    status = np.where(mother, MOTHER, status)
    first = pl.DataFrame(
        {"_person": chosen, "_line": np.ones(len(chosen), dtype=np.int64), "category_code": status}
    )
    twice = province.uniform("second merit status")[chosen] < 0.2
    second = first.filter(pl.Series(twice)).with_columns(
        _line=pl.lit(2, dtype=pl.Int64),
        category_code=pl.col("category_code").replace_strict(SECOND_STATUS),
    )
    multiples = {code: multiple for code, _, multiple in STATUSES} | {MOTHER: MOTHER_MULTIPLE}
    return pl.concat([first, second]).with_columns(
        _multiple=pl.col("category_code").replace_strict(multiples, return_dtype=pl.Float64)
    )


def _mothers(province: Province, people: np.ndarray) -> np.ndarray:
    """Which of the people are heroic mothers: a few in each old province even in a small sample."""
    old = (province.sex[people] == 2) & (province.birth_year[people] <= MOTHERS_BORN_BY)
    home = province.geography.province[province.first_place[province.household[people]]]
    draw = province.uniform("heroic mother")[people]
    mother = np.zeros(len(people), dtype=bool)
    for code in np.unique(home):
        among = np.flatnonzero(old & (home == code))
        count = max(round(MOTHERS_SHARE * len(among)), 3)
        mother[among[np.argsort(draw[among], kind="stable")[:count]]] = True
    return mother


def _method(province: Province, month: Month, rows: pl.DataFrame) -> np.ndarray:
    """How a row is paid: accounts spread; a second status may still be paid in cash."""
    person = rows["_person"].to_numpy()
    cashless = province.uniform("merit cashless")[person] < 0.38 + 0.011 * month.index
    in_cash = (rows["_line"] == 2).to_numpy() & (
        province.uniform("second status in cash")[person] < 0.15
    )
    wallet = province.uniform("merit wallet")[person] < 0.12
    return np.where(cashless & ~in_cash, np.where(wallet, "VDT", "TK"), "TM")


def merit_household_review(province: Province, month: Month, people: pl.DataFrame) -> pl.DataFrame:
    """Households of the people on the list of December; the review misses a few."""
    homes = people["_household"].unique().sort().to_numpy()
    reviewed = stream(province.seed, "merit review").random(province.household_count) < 0.985
    homes = homes[reviewed[homes]]
    place = province.place(province.head[homes], month.end)
    draw = stream(province.seed, "living standard").random(province.household_count)[homes]
    upper = 0.72 + 0.05 * (month.year - 2024)
    poor, near = province.is_poor[homes], province.is_near_poor[homes]
    standard = np.select([poor, near, draw >= upper, draw < 0.3 * upper], ["1", "2", "3", "5"], "4")
    frame = pl.DataFrame(
        {
            "_household": homes,
            "_unit": province.geography.unit[month.era][place],
            "ethnic_group_code": province.ethnic[homes],
            "poverty_class": np.select([poor, near], ["HN", "HCN"], "KHAC"),
            "living_standard_code": standard,
            "_well_off": draw < upper,
        }
    ).sort("_unit", "_household")
    return frame.with_columns(
        household_key=household_key_of(province, frame["_household"].to_numpy()),
        unit_code=unit_code_of("_unit"),
        method_version=pl.lit("PP01-2023" if month.year < 2026 else "PP02-2026"),
        _poor=pl.col("poverty_class") != "KHAC",
    )


# ---------------------------------------------------------------------- workers abroad


def overseas_workers(province: Province, month: Month) -> pl.DataFrame:
    """Departures of the month; each month is drawn anew, so somebody may leave again later."""
    people = province.living(month)
    age = month.year - province.birth_year[people].astype(int)
    people = people[(age >= 19) & (age <= 45)]
    place = province.place(people, month.end)
    minority = province.ethnic[province.household[people]] != "01"
    order = province.uniform(f"overseas/{month.period}")[people] * np.where(minority, 1.6, 1.0)
    leaving = []
    for code in month.provinces:
        inside = np.flatnonzero(province.geography.province[place] == code)
        # Even in a small sample somebody leaves, or the province would look as if it sent no list.
        count = max(round(0.0003 * (1 + 0.012 * month.index) * len(inside)), 2)
        leaving.append(people[inside[np.argsort(order[inside], kind="stable")[:count]]])
    people = np.sort(np.concatenate(leaving))
    home, place = province.household[people], province.place(people, month.end)
    start = day(month.year, month.number, 1)
    offset = province.uniform("overseas day")[people] * (month.end - start + 1)
    departed = np.minimum(start + offset.astype(np.int64), month.end)
    country = np.searchsorted(COUNTRY_BOUNDS, province.uniform("overseas country")[people])
    frame = pl.DataFrame(
        {
            "_person": people,
            "_unit": province.geography.unit[month.era][place],
            "_delivered": province.is_delivered(place, month),
            "household_group_code": np.select(
                [province.is_poor[home], province.is_near_poor[home]], ["HN", "HCN"], "KHAC"
            ),
            "country_code": np.array(COUNTRIES)[country],
        }
    ).with_columns(departed_on=dates(departed), birth_month=dates(province.birth[people]))
    frame = frame.filter("_delivered").sort("_unit", "_person")
    return _person_columns(province, frame).with_columns(report_month=report_month_of(month))


# ---------------------------------------------------------------------- gratitude fund


def gratitude_fund(province: Province, month: Month) -> pl.DataFrame:
    """Ledger entries of the quarter of the communal, district and provincial funds.

    A commune's fund collects in each of its places, so that it goes on when communes are merged.
    """
    geography = province.geography
    rng = stream(province.seed, f"gratitude fund/{month.quarter}")
    place = np.repeat(np.arange(len(geography.province)), rng.integers(1, 4, len(geography.weight)))
    parts = [
        _entries(
            rng, "X", geography.unit[month.era][place], geography.province[place], 6_000_000
        ).filter(pl.Series(province.is_delivered(place, month)))
    ]
    districts, first = np.unique(geography.district, return_index=True)
    for level, codes, owner, size, amount in (
        ("H", districts, geography.province[first], 4, 25_000_000),
        ("T", np.array(["51", "62"]), np.array(["51", "62"]), 8, 90_000_000),
    ):
        code = np.repeat(codes, size)
        unit = np.where(code == "", "0", code).astype(np.int32)
        owners = np.repeat(owner, size)
        kept = np.isin(owners, month.provinces) & (unit > 0)
        # The district funds closed with the districts.
        kept &= level == "T" or month.era < 2
        parts.append(_entries(rng, level, unit, owners, amount).filter(pl.Series(kept)))
    frame = pl.concat(parts)
    start = day(month.year, month.number - 2, 1)
    # People give most around War Invalids and Martyrs Day, 27 July.
    season = (2.5 if month.number == 9 else 1.0) * 1.05 ** (month.year - 2024)
    width = pl.col("level_code").replace_strict({"X": 5, "H": 3, "T": 2})
    return (
        frame.with_columns(
            booked_on=dates(
                start + (frame["_day"].to_numpy() * (month.end - start + 1)).astype(int)
            ),
            amount_vnd=((pl.col("_amount") * season / 10_000).round() * 10_000).cast(pl.Int64),
        )
        .sort("_unit", "booked_on", "_amount")
        .with_columns(
            unit_code=pl.col("_unit").cast(pl.String).str.zfill(width),
            entry_no=pl.concat_str(
                pl.when(pl.col("kind_code") == "THU").then(pl.lit("PT")).otherwise(pl.lit("PC")),
                pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(5),
            ),
        )
    )


def _entries(
    rng: np.random.Generator, level: str, unit: np.ndarray, owner: np.ndarray, amount: int
) -> pl.DataFrame:
    draw = rng.random(len(unit))
    content = np.select([draw < 0.62, draw < 0.67, draw < 0.78], ["DG", "LAI", "DC"], "HT")
    # The provincial fund passes money on, the others receive it.
    receipt = (content == "DG") | (content == "LAI") | ((content == "DC") & (level != "T"))
    return pl.DataFrame(
        {
            "_unit": unit.astype(np.int32),
            "_province": owner.astype(np.int32),
            "level_code": [level] * len(unit),
            "kind_code": np.where(receipt, "THU", "CHI"),
            "content_code": content,
            "_amount": amount * rng.uniform(0.2, 2.0, len(unit)),
            "_day": rng.random(len(unit)),
        }
    )


# ---------------------------------------------------------------------- births


def births(province: Province, month: Month) -> pl.DataFrame:
    """Registrations of the year: most within weeks of birth, some years late; and stillbirths."""
    years = province.birth_year.astype(int)
    people = np.flatnonzero((years >= month.year - 3) & (years <= month.year))
    draw = province.uniform("birth registration")[people]
    delay = np.where(draw < 0.975, 1 + draw / 0.975 * 44, 200 + (draw - 0.975) * 28_000).astype(int)
    registered = province.birth[people] + delay
    in_year = (registered >= day(month.year, 1, 1)) & (registered <= month.end)
    people, registered = people[in_year], registered[in_year]
    live = pl.DataFrame(
        {"_person": people, "_registered": registered, "_live": np.ones(len(people), dtype=bool)}
    )
    # A child born dead is nobody later: it takes the day and family of a birth that went well.
    still = live.filter(pl.Series(province.uniform("stillbirth")[people] < 0.006)).with_columns(
        _live=pl.lit(False)
    )
    rows = pl.concat([live, still])
    person = rows["_person"].to_numpy()
    place = province.place(person, month.end)
    owner = pl.Series(province.geography.province[place])
    frame = rows.with_columns(
        _unit=pl.Series(province.geography.unit[month.era][place]),
        _province=owner.cast(pl.Int32),
        _sex=pl.Series(province.sex[person]),
        _birth_year=pl.Series(province.birth_year[person].astype(np.int32)),
        _delivered=pl.Series(province.is_delivered(place, month)),
        birth_month=dates(province.birth[person]),
        registered_on=dates(rows["_registered"].to_numpy()),
        birth_record_key=pl.concat_str(
            owner,
            pl.lit(f".{month.year}."),
            rows["_person"].cast(pl.String).str.zfill(8),
            pl.when(rows["_live"]).then(pl.lit("")).otherwise(pl.lit("C")),
        ),
    )
    return (
        frame.filter("_delivered")
        .sort("_unit", "_person", "_live", descending=[False, False, True])
        .with_columns(
            sex_code=pl.col("_sex").cast(pl.String),
            residence_unit_code=unit_code_of("_unit"),
            is_live_birth=pl.col("_live").cast(pl.Int8).cast(pl.String),
        )
    )


# ---------------------------------------------------------------------- columns


def _person_columns(province: Province, frame: pl.DataFrame) -> pl.DataFrame:
    person = frame["_person"]
    return frame.with_columns(
        person_key=province.citizen_number.gather(person),
        full_name=province.full_name.gather(person),
        sex_code=pl.Series(province.sex[person.to_numpy()]).cast(pl.String),
        ethnic_group_code=ethnic_of(province, person),
        residence_unit_code=unit_code_of("_unit"),
    )


def _month_before(month: Month) -> str:
    year, number = divmod(month.year * 12 + month.number - 2, 12)
    return f"{year}-{number + 1:02d}"


# ---------------------------------------------------------------------- damage


def _paid_without_method(row: Row, _: Context) -> None:
    row["method_code"] = row["account_holder_code"] = None


def _holder_missing(row: Row, _: Context) -> None:
    row["account_holder_code"] = None


def _expense_as_receipt(row: Row, _: Context) -> None:
    row["kind_code"], row["content_code"] = "THU", "HT"


#: Every kind of damage by dataset, in the order in which they are used in turn.
KINDS: dict[str, list[Kind]] = {
    "merit_people": [
        *citizen_kinds("merit.birth_not_in_future"),
        Kind("paid_without_method", "merit.payment_has_method", _paid_without_method, "_paid"),
        Kind("account_without_holder", "merit.account_fits_method", _holder_missing, "_cashless"),
        Kind("entitled_next_year", "merit.entitled_by_payment",
             set_date("entitled_month", 1, 12, 1)),
        Kind("status_unknown", "contract.enum", set_to("category_code", "XX")),
        Kind("amount_missing", "contract.required", set_to("amount_vnd", None)),
        Kind("amount_in_words", "contract.type", set_to("amount_vnd", "hai triệu")),
        *unit_kinds("merit", "residence_unit_code"),
        duplicate_kind("merit"),
    ],
    "merit_household_review": [
        Kind("well_off_and_poor", "merit_review.standard_fits_poverty_class",
             set_to("living_standard_code", "5"), "_poor"),
        Kind("standard_missing", "contract.required", set_to("living_standard_code", None)),
        Kind("standard_unknown", "contract.enum", set_to("living_standard_code", "9")),
        Kind("ethnic_group_as_word", "contract.pattern", set_to("ethnic_group_code", "Kinh")),
        *unit_kinds("merit_review", "unit_code"),
        duplicate_kind("merit_review"),
    ],
    "overseas_workers": [
        *citizen_kinds("departures.of_age"),
        Kind("departed_a_year_ago", "departures.departed_in_month",
             set_date("departed_on", -1, 1, 15)),
        Kind("departure_missing", "contract.required", set_to("departed_on", None)),
        Kind("country_as_word", "contract.pattern", set_to("country_code", "Nhật Bản")),
        *unit_kinds("departures", "residence_unit_code"),
        duplicate_kind("departures"),
    ],
    "gratitude_fund": [
        Kind("amount_negative", "contract.range", set_to("amount_vnd", "-500000")),
        Kind("amount_in_words", "contract.type", set_to("amount_vnd", "năm triệu")),
        Kind("kind_missing", "contract.required", set_to("kind_code", None)),
        Kind("booked_a_year_ago", "fund.booked_in_quarter", set_date("booked_on", -1, 1, 15)),
        Kind("support_as_receipt", "fund.content_fits_kind", _expense_as_receipt),
        *unit_kinds("fund", "unit_code"),
        duplicate_kind("fund"),
    ],
    "births": [
        Kind("sex_code_9", "contract.enum", set_to("sex_code", "9")),
        Kind("registered_next_year", "births.registered_in_year",
             set_date("registered_on", 1, 1, 15)),
        Kind("registration_number_missing", "contract.required", set_to("birth_record_key", None)),
        *unit_kinds("births", "residence_unit_code"),
        duplicate_kind("births"),
    ],
}  # fmt: skip
