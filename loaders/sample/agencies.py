"""What each agency knows of the invented people in a month, as undamaged typed records.

Every function returns one row per row of the agency's file, in file order. Columns have the names
of the contract; columns that begin with ``_`` are for the truth only and are never written.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from loaders.sample.extract import Extract, ethnic_of, report_month_of, unit_code_of
from loaders.sample.health import health_of
from loaders.sample.province import NEVER, Month, Province, dates, day

#: Insured share in January 2024 and its rise per month: (age up to, share, rise).
INSURED = (
    (5, 0.985, 0.0),
    (15, 0.975, 0.0003),
    (24, 0.885, 0.0012),
    (59, 0.905, 0.0011),
    (200, 0.965, 0.0004),
)
#: Benefit digit that goes with the insured group; CN has digit 2 from 2026 on.
BENEFIT = {
    "TE": 1, "CC": 1, "HN": 2, "DT": 2, "BT": 2, "CN": 3, "HT": 3, "TC": 3,
    "DN": 4, "HC": 4, "HS": 4, "SV": 4, "GD": 4,
}  # fmt: skip
CN_DIGIT_CHANGE = day(2026, 1, 1)
ELSEWHERE_CARDS = ("01", "48", "79")
#: Share of an age group that is enrolled at its level, and its rise per school year.
ENROLLED = {1: (0.999, 0.0), 2: (0.975, 0.002), 3: (0.715, 0.006)}


def extracts(province: Province, month: Month) -> Iterator[Extract]:
    """Health insurance, facilities and staff, pupils, temporary houses, population."""
    health = health_of(province)
    cards = health_insurance_members(province, month, health.station_codes)
    yield Extract("social_insurance", "health_insurance_members", month.period, cards)
    del cards
    # Only newly licensed places without staff are damaged: see Health.
    facilities = health.facilities_of(month).with_columns(_may_break=~pl.col("_has_staff"))
    yield Extract("health", "facilities", month.period, facilities)
    yield Extract("health", "staff", month.period, health.staff_of(month))
    learners = pupils(province, month).with_columns(_has_grade=pl.col("grade").is_not_null())
    yield Extract("education", "pupils", month.period, learners)
    houses = temporary_houses(province, month)
    yield Extract("housing", "temporary_houses", month.period, houses)
    population = commune_population(province, month)
    yield Extract("statistics_office", "commune_population", month.period, population)


def commune_population(province: Province, month: Month) -> pl.DataFrame:
    """Residents by commune, sex and year of birth."""
    people = province.living(month)
    place = province.place(people, month.end)
    frame = pl.DataFrame(
        {
            "_unit": province.geography.unit[month.era][place],
            "_sex": province.sex[people],
            "birth_year": province.birth_year[people].astype(np.int32),
            "_delivered": province.is_delivered(place, month),
        }
    )
    keys = ["_unit", "_sex", "birth_year"]
    counted = frame.filter("_delivered").group_by(keys).agg(population=pl.len().cast(pl.Int64))
    return counted.sort(keys).with_columns(
        report_month=report_month_of(month),
        unit_code=unit_code_of("_unit"),
        sex_code=pl.col("_sex").cast(pl.String),
    )


def health_insurance_members(
    province: Province, month: Month, station_codes: pl.Series
) -> pl.DataFrame:
    """Cards on the list: valid, expired and future ones; a few people hold two.

    ``station_codes`` is the code of the health station of each place.
    """
    people = province.living(month)
    card = _first_cards(province, month, people)
    listed = card["listed"]
    second = _second_cards(province, month, people, card)
    person = np.concatenate([people[listed], people[second["holder"]]])
    place = province.place(person, month.end)
    first_count = int(listed.sum())
    stale = np.flatnonzero(second["stale"])
    place[first_count + stale] = province.other_address[person[first_count + stale]]
    start = np.concatenate([card["start"][listed], second["start"]])
    issuer = np.concatenate([card["issuer"][listed], second["issuer"]])
    station = province.geography.station[month.era][place]
    frame = pl.DataFrame(
        {
            "_person": person.astype(np.int32),
            "_unit": province.geography.unit[month.era][place],
            "_sex": province.sex[person],
            "_birth_year": province.birth_year[person].astype(np.int32),
            "_delivered": province.is_delivered(place, month),
            "_start": start,
            "_object": np.concatenate([card["object"][listed], second["object"]]),
            "_issuer": issuer,
            "_station": station.astype(np.int32),
        }
    ).with_columns(
        birth_month=dates(province.birth[person]),
        valid_from=dates(start),
        valid_to=dates(np.concatenate([card["end"][listed], second["end"]])),
    )
    frame = frame.filter("_delivered").sort("_unit", "_person", "_start", maintain_order=True)
    return _member_columns(province, month, frame, station_codes)


def _member_columns(
    province: Province, month: Month, frame: pl.DataFrame, station_codes: pl.Series
) -> pl.DataFrame:
    digit = (
        pl.when((pl.col("_object") == "CN") & (pl.col("_start") >= CN_DIGIT_CHANGE))
        .then(pl.lit("2"))
        .otherwise(pl.col("_object").replace_strict({k: str(v) for k, v in BENEFIT.items()}))
    )
    person = frame["_person"]
    insurance = province.insurance_number.gather(person)
    elsewhere = pl.col("_issuer").is_in(list(ELSEWHERE_CARDS))
    stations = station_codes.gather(frame["_station"])
    return frame.with_columns(
        report_month=report_month_of(month),
        person_key=province.citizen_number.gather(person),
        social_insurance_key=insurance,
        full_name=province.full_name.gather(person),
        sex_code=pl.col("_sex").cast(pl.String),
        ethnic_group_code=ethnic_of(province, person),
        residence_unit_code=unit_code_of("_unit"),
        card_key=pl.concat_str(pl.col("_object"), digit, pl.col("_issuer"), insurance),
        registered_facility_code=pl.when(elsewhere)
        .then(pl.col("_issuer") + "001")
        .otherwise(stations),
    )


def _first_cards(province: Province, month: Month, people: np.ndarray) -> dict[str, np.ndarray]:
    """The main card of each person as of the month; ``listed`` where there is one."""
    birth_year = province.birth_year[people].astype(int)
    age = month.year - birth_year
    home = province.household[people]
    kind = province.uniform("card kind")[people]
    is_child = (age < 6) | ((age == 6) & (month.number <= 9))
    highland = province.geography.zone[province.first_place[home]] == "mountain"
    conditions = [
        (is_child, "TE"),
        (province.is_poor[home], "HN"),
        (province.is_near_poor[home], "CN"),
        (highland & (province.ethnic[home] != "01"), "DT"),
        (province.is_merit[home] & (kind < 0.5), "CC"),
        (age <= 17, "HS"),
        ((age <= 22) & (kind < 0.35), "SV"),
        ((age >= 60) & (kind < 0.4), "HT"),
        (age >= 78, "BT"),
        ((age < 60) & (kind > 0.62) & (kind < 0.9), "DN"),
        ((age < 60) & (kind >= 0.9), "HC"),
    ]
    objects = np.select([c for c, _ in conditions], [code for _, code in conditions], "GD")
    start, end = _validity(province, month, people, objects)
    threshold = _insured_share(age, start)
    chance = province.uniform("insured")[people]
    insured = chance < threshold
    # Those without: some still stand with last year's card, some with one that begins next month.
    rest = (chance - threshold) / (1 - threshold)
    expired = ~insured & ~is_child & (rest < 0.25)
    coming = ~insured & ~is_child & (rest >= 0.25) & (rest < 0.35)
    start = np.where(expired, start - 365, np.where(coming, month.end + 1, start))
    end = np.where(expired, start + 364, np.where(coming, month.end + 365, end))
    own = province.geography.province[province.first_place[home]]
    issuer = np.where(start >= day(2025, 7, 1), "51", own)
    foreign = province.uniform("card elsewhere")[people]
    issuer = np.where(
        ~is_child & (foreign < 0.02),
        np.array(ELSEWHERE_CARDS)[(foreign * 50 * len(ELSEWHERE_CARDS)).astype(int).clip(0, 2)],
        issuer,
    )
    listed = insured | expired | coming
    columns = {"object": objects, "start": start, "end": end, "issuer": issuer, "listed": listed}
    return columns | {"insured": insured}


def _validity(
    province: Province, month: Month, people: np.ndarray, objects: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """First and last day of the current card: child, household (any month) or calendar year."""
    birth = province.birth[people]
    sixth = province.birth_year[people].astype(int) + 6
    begins = 1 + (province.uniform("card month")[people] * 12).astype(int)
    start = np.full(len(people), day(month.year, 1, 1), dtype=np.int64)
    end = np.full(len(people), day(month.year, 12, 31), dtype=np.int64)
    household = objects == "GD"
    for number in range(1, 13):
        year = month.year if number <= month.number else month.year - 1
        chosen = household & (begins == number)
        start[chosen] = day(year, number, 1)
        end[chosen] = day(year + 1, number, 1) - 1
    child = objects == "TE"
    start[child] = birth[child]
    years = np.arange(sixth.min(initial=1990), sixth.max(initial=1990) + 1)
    autumn = np.array([day(int(year), 9, 30) for year in years])
    end[child] = autumn[sixth[child] - years[0]]
    # The school card follows the child card.
    fresh = ~child & (sixth == month.year)
    start[fresh] = np.maximum(start[fresh], day(month.year, 10, 1))
    end[fresh] = np.maximum(end[fresh], start[fresh] + 91)
    return start, end


def _insured_share(age: np.ndarray, start: np.ndarray) -> np.ndarray:
    begun = np.clip((start - day(2024, 1, 1)) / 30.44, 0, 47)
    limits = [age <= limit for limit, _, _ in INSURED]
    base = np.select(limits, [share for _, share, _ in INSURED])
    rise = np.select(limits, [rise for _, _, rise in INSURED])
    return np.minimum(base + rise * begun, 0.995)


def _second_cards(
    province: Province, month: Month, people: np.ndarray, card: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Second cards of 2 % of the insured; some carry an address of before."""
    holder = np.flatnonzero(card["insured"] & (province.uniform("second card")[people] < 0.02))
    kind = province.uniform("second card kind")[people[holder]]
    first = card["start"][holder]
    january = day(month.year, 1, 1)
    april = day(month.year, 4, 1) if month.number >= 4 else january
    start = np.select(
        [kind < 0.5, kind < 0.75, kind < 0.9], [first, april, january - 365], month.end + 1
    )
    end = np.select(
        [kind < 0.5, kind < 0.75, kind < 0.9],
        [card["end"][holder], day(month.year, 12, 31), january - 1],
        month.end + 365,
    )
    return {
        "holder": holder,
        "start": start,
        "end": end,
        "object": np.where(card["object"][holder] == "TC", "BT", "TC"),
        "issuer": np.where(card["issuer"][holder] == "62", "62", "51"),
        "stale": province.uniform("second card address")[people[holder]] < 0.3,
    }


def pupils(province: Province, month: Month) -> pl.DataFrame:
    """Pupil records of the school year, all versions; movers may have two open records."""
    living = province.living(month)
    first_year = month.school_start_year
    age = first_year - province.birth_year[living].astype(int)
    people = living[(age >= 6) & (age <= 18)]
    age = first_year - province.birth_year[people].astype(int)
    stage = age - (province.uniform("late at school")[people] < 0.01)
    level = np.select([stage <= 10, stage <= 14], [1, 2], 3)
    share = np.select(
        [level == code for code in ENROLLED],
        [base + rise * (first_year - 2023) for base, rise in ENROLLED.values()],
    )
    away = province.uniform("school elsewhere")[people]
    at_school = (stage >= 6) & (stage <= 17) & (away >= 0.002)
    at_school &= province.uniform("at school")[people] < share
    people, stage, level, away = (a[at_school] for a in (people, stage, level, away))
    kind = province.uniform("upper secondary kind")[people]
    level = np.where((level == 3) & (kind < 0.2), np.where(kind < 0.12, 4, 5), level)

    home = province.household[people]
    place = province.place(people, month.end)
    september = day(first_year, 9, 1)
    moved = (province.move_day[home] > september) & (province.move_day[home] <= month.end)
    changes = province.uniform("record change")[people]
    # A change happens at some month of the school year, so the figures move within it.
    passed = ((month.number - 9) % 12 + 1) / 12
    changed = ~moved & (changes < 0.012 * passed)
    reason = province.uniform("record reason")[people]
    wrong = changed & (reason >= 0.6)
    other = province.other_address[people]
    old = np.where(moved, province.first_place[home], np.where(wrong, other, place))
    closed = moved & (reason < 0.5)
    parts = [
        # record number, version, status, which pupils, place
        (1, 1, np.ones(len(people)), np.ones(len(people), dtype=bool), old),
        (1, 2, np.full(len(people), 2), closed, old),
        (1, 2, np.where(wrong, 1, np.where(reason < 0.3, 3, 2)), changed, place),
        (2, 1, np.ones(len(people)), moved, place),
    ]
    rows = pl.concat(
        pl.DataFrame(
            {
                "_row": np.flatnonzero(chosen).astype(np.int64),
                "_record": np.full(int(chosen.sum()), record, dtype=np.int64),
                "record_version": np.full(int(chosen.sum()), version, dtype=np.int64),
                "_status": status[chosen].astype(np.int64),
                "_place": at[chosen].astype(np.int64),
            }
        )
        for record, version, status, chosen, at in parts
    )
    index = rows["_row"].to_numpy()
    person, at = people[index], rows["_place"].to_numpy()
    frame = rows.with_columns(
        _person=pl.Series(person.astype(np.int32)),
        _unit=pl.Series(province.geography.unit[month.era][at]),
        _sex=pl.Series(province.sex[person]),
        _birth_year=pl.Series(province.birth_year[person].astype(np.int32)),
        _level=pl.Series(level[index].astype(np.int32)),
        _grade=pl.Series((stage[index] - 5).astype(np.int64)),
        _away=pl.Series(away[index] < 0.006),
        _delivered=pl.Series(province.is_delivered(at, month)),
        birth_month=dates(province.birth[person]),
    ).filter("_delivered")
    frame = frame.sort("_unit", "_person", "_record", "record_version")
    return _pupil_columns(province, month, frame)


def _pupil_columns(province: Province, month: Month, frame: pl.DataFrame) -> pl.DataFrame:
    geography, first_year = province.geography, month.school_start_year
    # School codes keep the commune code of before the reform.
    communes = pl.Series(np.where(geography.unit[1] > 0, geography.unit[1], geography.unit[2]))
    commune = communes.gather(frame["_place"]).cast(pl.String)
    code = pl.Series(geography.province).gather(frame["_place"])
    number = pl.col("_level").cast(pl.String) + (1 + pl.col("_person") % 2).cast(
        pl.String
    ).str.zfill(2)
    return frame.with_columns(
        report_month=report_month_of(month),
        school_year=pl.lit(f"{first_year}-{first_year + 1}"),
        person_key=province.citizen_number.gather(frame["_person"]),
        pupil_key=code + pl.col("_person").cast(pl.String).str.zfill(10),
        full_name=province.full_name.gather(frame["_person"]),
        sex_code=pl.col("_sex").cast(pl.String),
        ethnic_group_code=ethnic_of(province, frame["_person"]),
        residence_unit_code=unit_code_of("_unit"),
        school_code=pl.when(pl.col("_away"))
        .then(pl.lit("4820194") + number)
        .otherwise(code + commune + number),
        level_code=pl.col("_level").cast(pl.String),
        grade=pl.when(pl.col("_level") < 5).then("_grade"),
        study_status_code=pl.col("_status").cast(pl.String),
    ).with_columns(
        record_key=pl.concat_str(
            pl.lit(str(first_year)), "pupil_key", pl.col("_record").cast(pl.String), separator="."
        )
    )


def temporary_houses(province: Province, month: Month) -> pl.DataFrame:
    """Approved households with their progress; some stand in two programmes."""
    houses = province.houses
    rows = houses.filter(pl.col("_approved") <= month.end)
    place = rows["_place"].to_numpy()
    started = np.where(rows["_started"] <= month.end, rows["_started"], NEVER)
    completed = np.where(rows["_completed"] <= month.end, rows["_completed"], NEVER)
    head = rows["_head"].to_numpy()
    code = pl.Series(province.geography.province).gather(rows["_place"])
    frame = rows.with_columns(
        _unit=pl.Series(province.geography.unit[month.era][place]),
        _delivered=pl.Series(province.is_delivered(place, month)),
        household_key=code + rows["_household"].cast(pl.String).str.zfill(8),
        person_key=province.citizen_number.gather(head),
        full_name=province.full_name.gather(head),
        approved_on=dates(rows["_approved"].to_numpy()),
        started_on=dates(started),
        completed_on=dates(completed),
    )
    return (
        frame.filter("_delivered")
        .sort("_unit", "_household", "_line")
        .with_columns(
            unit_code=unit_code_of("_unit"),
            address=pl.format(
                "Thôn {}, tổ {}", 1 + pl.col("_household") % 9, 1 + pl.col("_household") % 4
            ),
        )
    )
