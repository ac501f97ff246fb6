"""Schools, decisions on universal education, graduates and vocational learners, without damage."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from loaders.sample.defects import (
    Kind,
    citizen_kinds,
    duplicate_kind,
    set_date,
    set_to,
    unit_kinds,
)
from loaders.sample.extract import Extract, ethnic_of, unit_code_of
from loaders.sample.province import Month, Province, dates, day, spread, stream

SOURCE = "education"
#: Level → (a school in every n-th place, satellites at most in the mountains, and elsewhere).
LEVELS = {"01": (1, 4, 1), "02": (1, 3, 1), "03": (1, 0, 0), "04": (5, 0, 0)}
#: Level → (school age in the last year, share that graduates, of them into vocational education,
#: rise of that share per year, day of graduation).
GRADUATION = {
    "THCS": (14, 0.97, 0.12, 0.012, (6, 10)),
    "THPT": (17, 0.68, 0.24, 0.008, (7, 20)),
}
#: Where graduates of a level enrol: (share of the first, first, second).
TRACKS = {"THCS": (0.8, "TC", "SC"), "THPT": (0.6, "CD", "TC")}


def extracts(province: Province, month: Month) -> Iterator[Extract]:
    """Every extract of the domain whose period ends with the month."""
    if month.year_label is None:
        return
    yield Extract(SOURCE, "schools", month.year_label, schools(province, month))
    yield Extract(SOURCE, "universalisation", month.year_label, universalisation(province, month))
    finished = graduates(province, month)
    yield Extract(SOURCE, "graduates", month.year_label, finished)
    learners = vocational_enrolments(province, month, finished)
    yield Extract(SOURCE, "vocational_enrolments", month.year_label, learners)


# ---------------------------------------------------------------------- schools


def schools(province: Province, month: Month) -> pl.DataFrame:
    """One row per campus; the register keeps its yes/no fields for main campuses only."""
    geography = province.geography
    mountain = geography.zone == "mountain"
    rng = stream(province.seed, "schools")
    parts = []
    for level, (every, in_mountains, elsewhere) in LEVELS.items():
        place = np.arange(0, len(mountain), every)
        most = np.where(mountain[place], in_mountains, elsewhere)
        parts.append(
            pl.DataFrame(
                {
                    "_place": place,
                    "level_code": [level] * len(place),
                    "_satellites": rng.integers(0, most + 1),
                    "_sanitation": spread(rng, len(place)) + 0.15 * mountain[place],
                    "_toilets": rng.random(len(place)),
                    "_water": rng.random(len(place)),
                }
            )
        )
    frame = pl.concat(parts)
    frame = frame.with_columns(_commune=_old_commune(province, frame["_place"]))
    number = pl.int_range(1, pl.len() + 1).over("_commune", "level_code")
    frame = frame.with_columns(
        school_code=pl.concat_str(
            pl.Series(geography.province).gather(frame["_place"]),
            "_commune",
            pl.col("level_code").str.slice(1),
            number.cast(pl.String).str.zfill(2),
        ),
        _campus=pl.int_ranges(0, pl.col("_satellites") + 1),
    ).explode("_campus")
    place = frame["_place"].to_numpy()
    main = pl.col("_campus") == 0
    meets = pl.col("_sanitation") < 0.74 + 0.04 * (month.year - 2024)
    first_year = month.school_start_year
    return (
        frame.with_columns(
            _unit=pl.Series(geography.unit[month.era][place]),
            _delivered=pl.Series(province.is_delivered(place, month)),
            _main=main,
            _up_to_standard=meets & main,
            _no_toilets=main & ~meets & (pl.col("_toilets") >= 0.6),
        )
        .filter("_delivered")
        .sort("school_code", "_campus")
        .with_columns(
            school_year=pl.lit(f"{first_year}-{first_year + 1}"),
            campus_code=pl.col("_campus").cast(pl.String).str.zfill(2),
            campus_kind_code=pl.when(main).then(pl.lit("C")).otherwise(pl.lit("L")),
            unit_code=unit_code_of("_unit"),
            has_clean_water=_main_flag(pl.col("_water") < 0.9),
            has_toilets_by_sex=_main_flag(~pl.col("_no_toilets")),
            meets_sanitation_standard=_main_flag(meets),
        )
    )


def _old_commune(province: Province, place: pl.Series) -> pl.Series:
    """School codes keep the commune code of before the reform."""
    before, after = province.geography.unit[1], province.geography.unit[2]
    return pl.Series(np.where(before > 0, before, after)).gather(place).cast(pl.String)


def _main_flag(value: pl.Expr) -> pl.Expr:
    return pl.when("_main").then(value.cast(pl.Int8).cast(pl.String))


# ---------------------------------------------------------------------- decisions


def universalisation(province: Province, month: Month) -> pl.DataFrame:
    """Preschool by commune; literacy by district while there are districts, then by commune.

    A commune formed of several takes over the state of the one that gave it its first place.
    """
    geography = province.geography
    place = np.flatnonzero(geography.station[month.era] == np.arange(len(geography.province)))
    place = place[province.is_delivered(place, month)]
    harder = 0.2 * (geography.zone[place] == "mountain")
    communes = geography.unit[month.era][place]
    preschool = stream(province.seed, "universal preschool").random(len(geography.province))[place]
    parts = [_examined(communes, "PCGDMN", preschool + harder < 0.66 + 0.08 * (month.year - 2024))]
    if month.era < 2:
        codes = np.array([c.district_code for c in geography.communes[month.era].values()])
        owner = np.array([c.province for c in geography.communes[month.era].values()])
        units = np.unique(codes[np.isin(owner, month.provinces)]).astype(np.int32)
        draw = stream(province.seed, "literacy of districts").random(1000)[units]
    else:
        units = communes
        draw = stream(province.seed, "literacy").random(len(geography.province))[place] + harder
    parts.append(_examined(units, "XMC", draw < 0.62 + 0.07 * (month.year - 2024)))
    frame = pl.concat(parts).sort("programme_code", "_unit")
    # One in seven units still works on level 1: its recognition is not the one that counts.
    second = pl.col("_unit") % 7 != 0
    decided = day(month.year, 10, 15) + (frame["_unit"] % 60).to_numpy()
    return frame.with_columns(
        unit_code=pl.when(pl.col("_unit") < 1000)
        .then(pl.col("_unit").cast(pl.String))
        .otherwise(unit_code_of("_unit")),
        level_code=pl.when(pl.col("programme_code") == "XMC").then(
            pl.when(second).then(pl.lit("2")).otherwise(pl.lit("1"))
        ),
        is_recognised=pl.col("_recognised").cast(pl.Int8).cast(pl.String),
        decision_no=pl.when("_recognised").then(pl.format("{}/QĐ-UBND", 100 + pl.col("_unit"))),
        decided_on=pl.when("_recognised").then(dates(decided)),
        _literacy=pl.col("programme_code") == "XMC",
    )


def _examined(units: np.ndarray, programme: str, recognised: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "_unit": units.astype(np.int32),
            "programme_code": [programme] * len(units),
            "_recognised": recognised,
        }
    )


# ---------------------------------------------------------------------- graduates and learners


def graduates(province: Province, month: Month) -> pl.DataFrame:
    """Graduates of the summer; one in eighty also stands on the list of the school before."""
    living = province.living(month)
    age = month.year - 1 - province.birth_year[living].astype(int)
    parts = []
    for level, (last_age, share, _, _, (number, first_day)) in GRADUATION.items():
        of_age = living[age == last_age]
        person = of_age[province.uniform(f"graduates/{level}")[of_age] < share]
        spread_days = (province.uniform("graduation day")[person] * 10).astype(np.int64)
        parts.append(
            pl.DataFrame(
                {
                    "_person": person,
                    "level_code": [level] * len(person),
                    "_graduated": day(month.year, number, first_day) + spread_days,
                    "_twice": province.uniform("graduate twice")[person] < 0.0125,
                }
            )
        )
    rows = pl.concat(parts)
    rows = pl.concat(
        [
            rows.with_columns(_school=pl.lit("01")),
            rows.filter("_twice").with_columns(_school=pl.lit("02")),
        ]
    )
    person = rows["_person"].to_numpy()
    place = province.place(person, month.end)
    frame = rows.with_columns(
        _unit=pl.Series(province.geography.unit[month.era][place]),
        _delivered=pl.Series(province.is_delivered(place, month)),
        _owner=pl.Series(province.geography.province[place]),
        _commune=_old_commune(province, pl.Series(place)),
        birth_month=dates(province.birth[person]),
        graduated_on=dates(rows["_graduated"].to_numpy()),
    )
    frame = frame.filter("_delivered").sort("_unit", "_person", "_school")
    return _person_columns(province, frame).with_columns(
        school_code=pl.concat_str(
            "_owner",
            "_commune",
            pl.when(pl.col("level_code") == "THCS").then(pl.lit("3")).otherwise(pl.lit("4")),
            "_school",
        ),
        ethnic_group_code=ethnic_of(province, frame["_person"]),
    )


def vocational_enrolments(province: Province, month: Month, finished: pl.DataFrame) -> pl.DataFrame:
    """Learners who began in the year: graduates in autumn, some twice, and others at any time."""
    once = finished.unique(["_person", "level_code"], maintain_order=True)
    person = once["_person"].to_numpy()
    parts = []
    for level, (_, _, share, rise, _) in GRADUATION.items():
        enters = province.uniform(f"vocational/{level}")[person]
        is_level = (once["level_code"] == level).to_numpy()
        chosen = person[is_level & (enters < share + rise * (month.year - 2024))]
        first_share, first, second = TRACKS[level]
        first_choice = province.uniform("vocational track")[chosen] < first_share
        parts.append((chosen, np.where(first_choice, first, second), (9, 1), 75))
    # Some also take a short course: before they graduate, which does not count, or beside it.
    course = person[province.uniform("short course")[person] < 0.02]
    parts.append((course, np.full(len(course), "SC"), (2, 1), 60))
    entered = np.unique(np.concatenate([chosen for chosen, *_ in parts[:2]]))
    beside = entered[province.uniform("second course")[entered] < 0.05]
    parts.append((beside, np.full(len(beside), "SC"), (10, 1), 60))
    living = province.living(month)
    age = month.year - province.birth_year[living].astype(int)
    adults = living[(age >= 20) & (age <= 40)]
    adults = adults[province.uniform(f"vocational/adults/{month.year}")[adults] < 0.006]
    parts.append((adults, np.full(len(adults), "SC"), (1, 10), 340))
    rows = pl.concat(
        pl.DataFrame(
            {
                "_person": people,
                "level_code": track.astype(str),
                "_line": np.full(len(people), line),
                "_enrolled": day(month.year, *start)
                + (province.uniform("enrolment day")[people] * width).astype(np.int64),
            }
        )
        for line, (people, track, start, width) in enumerate(parts)
    )
    person = rows["_person"].to_numpy()
    place = province.place(person, month.end)
    frame = rows.with_columns(
        _unit=pl.Series(province.geography.unit[month.era][place]),
        _delivered=pl.Series(province.is_delivered(place, month)),
        birth_month=dates(province.birth[person]),
        enrolled_on=dates(rows["_enrolled"].to_numpy()),
        # Every line has institutions of its own, so no learner stands twice at one.
        institution_code=pl.concat_str(
            pl.Series(province.geography.province[place]),
            (900 + 10 * rows["_line"] + rows["_person"] % 7).cast(pl.String),
        ),
    )
    frame = frame.filter("_delivered").sort("_unit", "_person", "_line")
    return _person_columns(province, frame)


def _person_columns(province: Province, frame: pl.DataFrame) -> pl.DataFrame:
    person = frame["_person"]
    return frame.with_columns(
        person_key=province.citizen_number.gather(person),
        full_name=province.full_name.gather(person),
        sex_code=pl.Series(province.sex[person.to_numpy()]).cast(pl.String),
        residence_unit_code=unit_code_of("_unit"),
    )


# ---------------------------------------------------------------------- damage


#: Every kind of damage by dataset, in the order in which they are used in turn.
KINDS: dict[str, list[Kind]] = {
    "schools": [
        Kind("level_unknown", "contract.enum", set_to("level_code", "09")),
        Kind("main_campus_not_assessed", "schools.main_campus_is_assessed",
             set_to("meets_sanitation_standard", None), "_main"),
        Kind("standard_without_toilets", "schools.standard_needs_toilets",
             set_to("has_toilets_by_sex", "0"), "_up_to_standard"),
        Kind("school_year_of_before", "schools.school_year_of_period",
             set_to("school_year", "2019-2020")),
        Kind("school_code_missing", "contract.required", set_to("school_code", None)),
        *unit_kinds("schools", "unit_code"),
        duplicate_kind("schools"),
    ],
    "universalisation": [
        Kind("decision_missing", "universalisation.recognition_has_decision",
             set_to("decision_no", None), "_recognised"),
        Kind("decided_next_year", "universalisation.decided_by_period_end",
             set_date("decided_on", 1, 1, 15), "_recognised"),
        Kind("literacy_without_level", "universalisation.literacy_has_level",
             set_to("level_code", None), "_literacy"),
        Kind("programme_unknown", "contract.enum", set_to("programme_code", "XX")),
        Kind("recognition_missing", "contract.required", set_to("is_recognised", None)),
        *unit_kinds("universalisation", "unit_code"),
        duplicate_kind("universalisation"),
    ],
    "graduates": [
        *citizen_kinds("graduates.age_plausible"),
        Kind("graduated_a_year_ago", "graduates.graduated_in_year",
             set_date("graduated_on", -1, 6, 15)),
        Kind("level_missing", "contract.required", set_to("level_code", None)),
        *unit_kinds("graduates", "residence_unit_code"),
        duplicate_kind("graduates"),
    ],
    "vocational_enrolments": [
        *citizen_kinds("enrolments.age_plausible"),
        Kind("enrolled_a_year_ago", "enrolments.enrolled_in_year",
             set_date("enrolled_on", -1, 9, 15)),
        Kind("level_unknown", "contract.enum", set_to("level_code", "DH")),
        Kind("institution_too_short", "contract.pattern", set_to("institution_code", "519")),
        *unit_kinds("enrolments", "residence_unit_code"),
        duplicate_kind("enrolments"),
    ],
}  # fmt: skip
