"""Health of the invented people: records, immunisation, nutrition, diseases, sanitation."""

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
    written_date,
)
from loaders.sample.extract import Extract, ethnic_of, report_month_of, unit_code_of
from loaders.sample.health import health_of
from loaders.sample.province import WINDOW, Month, Province, dates, day, spread, stream

#: Share with an electronic record in January 2024 by age: (age up to, share).
WITH_RECORD = ((5, 0.90), (15, 0.86), (24, 0.74), (59, 0.81), (200, 0.93))
RECORD_RISE = 0.0022
#: Share of the records that were updated in the last 12 months, and its rise per month.
KEPT_UP, KEPT_UP_RISE = 0.80, 0.0035
#: Share of children with every dose in time, for those born in January 2024, by zone.
IMMUNISED = {"plain": 0.945, "mountain": 0.87, "island": 0.92}
IMMUNISED_RISE = 0.001
#: Mean height-for-age z-score in 2024 by zone, and its rise per year.
MEAN_Z = {"plain": -0.85, "mountain": -1.5, "island": -0.95}
Z_RISE = 0.05
#: At least so many children are measured, and at least this share of them at full size.
SURVEYED_CHILDREN, SURVEYED_SHARE = 600, 0.03
#: Disease → (new cases per 100,000 and year: plain or island, mountain; share that dies).
DISEASES = {
    "HIV": ((7, 5), 0.10),
    "LAO": ((55, 85), 0.04),
    "SR": ((1, 14), 0.0),
}
#: (old province, disease) → (decision number, day of the decision); the others have none.
RECOGNISED = {
    ("51", "SR"): ("1874/QĐ-MAU", dt.date(2025, 10, 20)),
    ("62", "SR"): ("0912/QĐ-MAU", dt.date(2027, 4, 26)),
    ("51", "HIV"): ("2210/QĐ-MAU", dt.date(2027, 11, 30)),
}


def extracts(province: Province, month: Month) -> Iterator[Extract]:
    """What the health department knows of the month beyond facilities and staff."""
    yield Extract("health", "health_records", month.period, health_records(province, month))
    children = immunisation_children(province, month)
    yield Extract("health", "immunisation_children", month.period, children)
    doses = immunisation_doses(province, month)
    yield Extract("health", "immunisation_doses", month.period, doses)
    yield Extract("health", "disease_cases", month.period, disease_cases(province, month))
    if month.year_label:
        yield Extract(
            "health", "nutrition_survey", month.year_label, nutrition_survey(province, month)
        )
        yield Extract("health", "disease_status", month.year_label, disease_status(month))
        sanitation = facility_sanitation(province, month)
        yield Extract("health", "facility_sanitation", month.year_label, sanitation)


# ---------------------------------------------------------------------- health records


def health_records(province: Province, month: Month) -> pl.DataFrame:
    """Residents with a record, and with one that is kept up to date, counted by the platform."""
    people = province.living(month)
    place = province.place(people, month.end)
    age = month.year - province.birth_year[people].astype(int)
    share = np.select([age <= limit for limit, _ in WITH_RECORD], [s for _, s in WITH_RECORD])
    has_record = province.uniform("health record")[people] < share + RECORD_RISE * month.index
    kept_up = KEPT_UP + KEPT_UP_RISE * month.index
    managed = has_record & (province.uniform("record kept up to date")[people] < kept_up)
    frame = pl.DataFrame(
        {
            "_unit": province.geography.unit[month.era][place],
            "_sex": province.sex[people],
            "birth_year": province.birth_year[people].astype(np.int32),
            "persons_with_record": has_record.astype(np.int64),
            "persons_managed": managed.astype(np.int64),
            "_delivered": province.is_delivered(place, month),
        }
    )
    keys = ["_unit", "_sex", "birth_year"]
    return (
        frame.filter("_delivered")
        .group_by(keys)
        .agg(pl.col("persons_with_record", "persons_managed").sum())
        .filter(pl.col("persons_with_record") > 0)
        .sort(keys)
        .with_columns(
            report_month=report_month_of(month),
            unit_code=unit_code_of("_unit"),
            sex_code=pl.col("_sex").cast(pl.String),
        )
    )


# ---------------------------------------------------------------------- immunisation


def _month_number(days: np.ndarray) -> np.ndarray:
    """Months since January 2024 of days since 1970."""
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(int) - (2024 - 1970) * 12


def _children(province: Province, month: Month, oldest: int) -> np.ndarray:
    """Children in the immunisation system who were born at most ``oldest`` months before."""
    age = month.index - _month_number(province.birth)
    listed = province.uniform("immunisation system") < 0.985
    return np.flatnonzero((province.birth <= month.end) & (age <= oldest) & listed)


def immunisation_children(province: Province, month: Month) -> pl.DataFrame:
    """Entries of children; movers and children entered under another telephone have several."""
    people = _children(province, month, oldest=23)
    home, birth = province.household[people], province.birth[people].astype(np.int64)
    moves = province.move_day[home].astype(np.int64)
    moved = (moves > birth) & (moves <= month.end)
    born_at = np.where(moves <= birth, province.second_place[home], province.first_place[home])
    again = province.uniform("entered again")[people]
    elsewhere = np.where(again < 0.015, province.other_address[people], born_at)
    delay = (province.uniform("entry delay")[people] * 20).astype(np.int64)
    # A commune that lost a child does not always close its entry.
    closed = moved & (province.uniform("old entry closed")[people] < 0.7)
    every = np.ones(len(people), dtype=bool)
    parts = [
        # entry number, which children, place, day of the entry, closed by moving out
        (1, every, born_at, birth + delay // 2, closed),
        (2, moved, province.second_place[home], moves + delay, ~every),
        (3, again < 0.03, elsewhere, birth + 5 + 5 * delay, ~every),
    ]
    rows = pl.concat(
        pl.DataFrame(
            {
                "_person": people[chosen].astype(np.int32),
                "_entry": np.full(int(chosen.sum()), entry, dtype=np.int64),
                "_place": place[chosen].astype(np.int64),
                "_registered": on[chosen],
                "_closed": gone[chosen],
            }
        )
        for entry, chosen, place, on, gone in parts
    ).filter(pl.col("_registered") <= month.end)
    place = rows["_place"].to_numpy()
    rows = rows.with_columns(_unit=pl.Series(province.geography.unit[month.era][place]))
    rows = rows.filter(pl.Series(province.is_delivered(place, month)))
    return _child_columns(province, month, rows.sort("_unit", "_person", "_entry"))


def _child_columns(province: Province, month: Month, rows: pl.DataFrame) -> pl.DataFrame:
    person = rows["_person"].to_numpy()
    return rows.with_columns(
        _sex=pl.Series(province.sex[person]),
        _ethnic=ethnic_of(province, rows["_person"]),
        _birth_index=pl.Series(_month_number(province.birth[person])),
        report_month=report_month_of(month),
        record_key=pl.format(
            "{}{}{}",
            pl.Series(province.geography.province).gather(rows["_place"]),
            pl.col("_person").cast(pl.String).str.zfill(8),
            "_entry",
        ),
        person_key=province.citizen_number.gather(rows["_person"]),
        full_name=province.full_name.gather(rows["_person"]),
        birth_month=dates(province.birth[person]),
        unit_code=unit_code_of("_unit"),
        registered_on=dates(rows["_registered"].to_numpy()),
        status_code=pl.when(pl.Series(province.death[person] <= month.end))
        .then(pl.lit("TV"))
        .when("_closed")
        .then(pl.lit("CD"))
        .otherwise(pl.lit("QL")),
    ).with_columns(
        sex_code=pl.col("_sex").cast(pl.String),
        ethnic_group_code="_ethnic",
    )


def immunisation_doses(province: Province, month: Month) -> pl.DataFrame:
    """Records of doses of children up to the month of their first birthday."""
    people = _children(province, month, oldest=12)
    people = people[province.death[people] > month.end]
    place = province.place(people, month.end)
    birth = province.birth[people].astype(np.int64)
    late = (province.uniform("dose delay")[people] * 21).astype(np.int64)
    every, elsewhere = np.ones(len(people), dtype=bool), province.uniform("dose elsewhere")[people]
    parts = []
    for vaccine, number, age, takes in _schedule(province, people):
        kind = np.full(len(people), "TT", dtype="<U2")
        if vaccine in ("BCG", "VGBSS"):
            kind[elsewhere < 0.8] = "BV"
        elif vaccine in ("6IN1", "SQR"):
            kind[every] = "DV"
        kind[(elsewhere >= 0.97) & (age > 30)] = "NT"
        taken = np.flatnonzero(takes)
        parts.append(_dose_rows(people, place, taken, vaccine, number, birth + age + late, kind))
        if vaccine in ("DPT5", "6IN1") and number == 2:
            # The station and the hospital both record one dose: two records, not two doses.
            twice = np.flatnonzero(takes & (province.uniform("dose recorded twice")[people] < 0.05))
            other = np.full(len(people), "BV", dtype="<U2")
            parts.append(_dose_rows(people, place, twice, vaccine, 3, birth + age + late, other))
    rows = pl.concat(parts).filter(pl.col("_given") <= month.end)
    at = rows["_place"].to_numpy()
    rows = rows.with_columns(_unit=pl.Series(province.geography.unit[month.era][at]))
    rows = rows.filter(pl.Series(province.is_delivered(at, month)))
    rows = rows.sort("_unit", "_person", "_given", "vaccine_code", "dose_number", "place_code")
    return rows.with_columns(
        report_month=report_month_of(month),
        person_key=province.citizen_number.gather(rows["_person"]),
        unit_code=unit_code_of("_unit"),
        given_on=dates(rows["_given"].to_numpy()),
    )


def _schedule(province: Province, people: np.ndarray) -> Iterator[tuple[str, int, int, np.ndarray]]:
    """Vaccine, number of the dose, age in days, and who takes it."""
    home = province.household[people]
    zone = province.geography.zone[province.first_place[home]]
    share = np.select([zone == name for name in IMMUNISED], list(IMMUNISED.values()))
    share = share + IMMUNISED_RISE * _month_number(province.birth[people])
    complete = province.uniform("fully immunised")[people] < share
    missing = np.where(complete, 1.0, province.uniform("missing dose")[people])
    takes_third = missing >= 0.4
    in_time = (missing < 0.4) | (missing >= 0.65)
    # Paid vaccines: all doses, or from the second one on.
    paid = province.uniform("paid vaccine")[people]
    all_paid, partly_paid = paid < 0.2, (paid >= 0.2) & (paid < 0.25)
    free = ~all_paid & ~partly_paid
    yield "BCG", 1, 5, (missing < 0.65) | (missing >= 0.78)
    yield "VGBSS", 1, 0, (missing < 0.78) | (missing >= 0.9)
    yield "DPT5", 1, 61, ~all_paid
    yield "OPV", 1, 61, ~all_paid
    yield "6IN1", 1, 61, all_paid
    for number, age in ((2, 92), (3, 122)):
        goes_on = takes_third if number == 3 else np.ones(len(people), dtype=bool)
        yield "DPT5", number, age, free & goes_on
        yield "OPV", number, age, free & goes_on
        yield "6IN1", number, age, ~free & goes_on
    yield "IPV", 1, 152, free & ((missing < 0.9) | (missing >= 1))
    yield "SOI", 1, 275, free & in_time
    yield "SQR", 1, 280, ~free & in_time
    yield "SOI", 1, 400, ~in_time


def _dose_rows(
    people: np.ndarray,
    place: np.ndarray,
    taken: np.ndarray,
    vaccine: str,
    number: int,
    given: np.ndarray,
    kind: np.ndarray,
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "_person": people[taken].astype(np.int32),
            "_place": place[taken].astype(np.int64),
            "_given": given[taken],
            "vaccine_code": pl.Series([vaccine] * len(taken), dtype=pl.String),
            "dose_number": np.full(len(taken), number, dtype=np.int64),
            "place_code": kind[taken],
        }
    )


# ---------------------------------------------------------------------- nutrition


def nutrition_survey(province: Province, month: Month) -> pl.DataFrame:
    """A sample of the children of 0-59 months, measured in October and November."""
    purpose = f"nutrition survey {month.year}"
    first, last = day(month.year, 10, 1), day(month.year, 11, 30)
    people = province.living(month)
    measured = first + (province.uniform(f"{purpose} day")[people] * (last - first + 1)).astype(int)
    age = _completed_months(province.birth[people], measured)
    place = province.place(people, month.end)
    young = (age >= 0) & (age <= 59) & province.is_delivered(place, month)
    share = max(SURVEYED_SHARE, SURVEYED_CHILDREN / max(int(young.sum()), 1))
    taken = young & (province.uniform(purpose)[people] < share)
    people, measured, age, place = (a[taken] for a in (people, measured, age, place))
    zone = province.geography.zone[place]
    mean = np.select([zone == name for name in MEAN_Z], list(MEAN_Z.values()))
    # Its stature is the child's own and stays; the survey of another year meets it again.
    own = stream(province.seed, "height for age").standard_normal(province.count)[people]
    z = np.round(mean + Z_RISE * (month.year - 2024) + 1.05 * own, 2)
    mistyped = province.uniform(f"{purpose} mistyped")[people]
    z = np.where(mistyped < 0.006, np.round(z - 7, 2), z)
    lies = np.where(mistyped > 0.98, age >= 24, age < 24)
    # Close to the median heights of WHO: 50 cm at birth, 76 at one year, 108 at five.
    height = 49.9 + 25.9 * np.sqrt(age / 12) + (1.9 + 0.047 * age) * z
    return (
        pl.DataFrame(
            {
                "_person": people.astype(np.int32),
                "_unit": province.geography.unit[month.era][place],
                "_sex": province.sex[people],
                "age_months": age,
                "is_measured_lying": np.where(lies, "1", "0"),
                "height_cm": np.round(np.clip(height, 31, 139), 1),
                "height_for_age_z": z,
                "measured_on": dates(measured),
            }
        )
        .with_columns(_ethnic=ethnic_of(province, pl.Series(people)))
        .sort("_unit", "_person")
        .with_columns(
            child_key=pl.format(
                "{}-{}",
                pl.lit(month.year),
                pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(7),
            ),
            unit_code=unit_code_of("_unit"),
            sex_code=pl.col("_sex").cast(pl.String),
            ethnic_group_code="_ethnic",
        )
    )


def _completed_months(birth: np.ndarray, on: np.ndarray) -> np.ndarray:
    born, met = (days.astype("datetime64[D]") for days in (birth, on))
    months = _month_number(on) - _month_number(birth)
    born_day, met_day = (
        (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(int)
        for days in (born, met)
    )
    return (months - (met_day < born_day)).astype(np.int64)


# ---------------------------------------------------------------------- diseases


def disease_cases(province: Province, month: Month) -> pl.DataFrame:
    """Cases of the month for every commune and disease; nobody's case is drawn twice."""
    people = province.living(month)
    place = province.place(people, month.end)
    mountain = province.geography.zone[place] == "mountain"
    start = day(month.year, month.number, 1)
    parts = []
    for code, ((elsewhere, upland), deadly) in DISEASES.items():
        rate = np.where(mountain, upland, elsewhere) * 4 / 100_000
        when = WINDOW[0] + (
            province.uniform(f"{code} day")[people] * (WINDOW[1] - WINDOW[0])
        ).astype(int)
        ill = (province.uniform(f"{code} case")[people] < rate) & (when >= start)
        ill &= when <= month.end
        fate = province.uniform(f"{code} fate")[people[ill]]
        # Most malaria is brought home from elsewhere.
        indigenous = (fate > 0.7) & mountain[ill]
        parts.append(
            pl.DataFrame(
                {
                    "_unit": province.geography.unit[month.era][place[ill]],
                    "disease_code": pl.Series([code] * int(ill.sum()), dtype=pl.String),
                    "new_cases": np.ones(int(ill.sum()), dtype=np.int64),
                    "indigenous_cases": indigenous.astype(np.int64),
                    "deaths": (fate < deadly).astype(np.int64),
                }
            )
        )
    communes = [
        int(code)
        for code, commune in province.geography.communes[month.era].items()
        if commune.province in month.provinces
    ]
    grid = pl.DataFrame({"_unit": communes}, schema={"_unit": pl.Int32}).join(
        pl.DataFrame({"disease_code": list(DISEASES)}), how="cross"
    )
    keys = ["_unit", "disease_code"]
    counted = pl.concat(parts).group_by(keys).agg(pl.all().sum())
    is_malaria = pl.col("disease_code") == "SR"
    return (
        grid.join(counted, on=keys, how="left")
        .with_columns(pl.col("new_cases", "indigenous_cases", "deaths").fill_null(0))
        .sort(keys)
        .with_columns(
            _is_malaria=is_malaria,
            indigenous_cases=pl.when(is_malaria).then("indigenous_cases"),
            report_month=report_month_of(month),
            unit_code=unit_code_of("_unit"),
        )
    )


def disease_status(month: Month) -> pl.DataFrame:
    """One row per old province and disease; a decision counts from its day on."""
    end = dt.date(month.year, 12, 31)
    rows = []
    for code in month.provinces:
        for disease in DISEASES:
            number, on = RECOGNISED.get((code, disease), (None, None))
            is_ended = on is not None and on <= end
            rows.append(
                {
                    "_unit": int(code),
                    "unit_code": code,
                    "disease_code": disease,
                    "is_ended": "1" if is_ended else "0",
                    "decision_number": number if is_ended else None,
                    "decided_on": on if is_ended else None,
                }
            )
    return pl.DataFrame(
        rows, schema_overrides={"decision_number": pl.String, "decided_on": pl.Date}
    )


# ---------------------------------------------------------------------- sanitation


def facility_sanitation(province: Province, month: Month) -> pl.DataFrame:
    """Stations of the communes; stations of communes that merged go on as points."""
    geography = province.geography
    place = np.arange(len(geography.province))
    is_station = geography.station[month.era] == place
    # The district island had no commune, and no station of one, before the reform.
    was_station = (geography.station[1] == place) & (geography.unit[1] > 0)
    rng = stream(province.seed, "sanitation of stations")
    toilet, water = spread(rng, len(place)), spread(rng, len(place))
    years = month.year - 2024
    # Little is built at a point, and nothing is lost there.
    has_toilet = toilet < 0.80 + np.where(is_station, 0.04, 0.01) * years
    has_water = (water < 0.90 + 0.02 * years) | (has_toilet & (water < 0.99))
    frame = pl.DataFrame(
        {
            "_unit": geography.unit[month.era],
            "facility_code": health_of(province).station_codes,
            "_is_station": is_station,
            "has_standard_toilet": np.where(has_toilet, "1", "0"),
            "has_clean_water": np.where(has_water, "1", "0"),
            "_listed": (is_station | was_station) & province.is_delivered(place, month),
        }
    )
    return (
        frame.filter("_listed")
        .sort("facility_code")
        .with_columns(
            unit_code=unit_code_of("_unit"),
            station_kind_code=pl.when("_is_station").then(pl.lit("TRAM")).otherwise(pl.lit("DIEM")),
        )
    )


# ---------------------------------------------------------------------- damage


def _managed_more_than_recorded(row: Row, _: Context) -> None:
    row["persons_managed"] = str(int(row["persons_with_record"] or 0) + 3)


def _born_too_early(row: Row, context: Context) -> None:
    # In the citizen number too, so that only the age is wrong.
    year, number = context.month.year - 7, str(row["person_key"])
    row["person_key"] = f"{number[:4]}{year % 100:02d}{number[6:]}"
    row["birth_month"] = written_date(context, "birth_month", year, 6, 15)


def _born_in_the_future(row: Row, context: Context) -> None:
    # Another year each time, so that no two damaged rows repeat each other.
    row["birth_year"] = str(context.month.year + 1 + context.position % 60)


def _unknown_unit(row: Row, context: Context) -> None:
    # Codes that do not exist: counts of one unknown code could repeat each other.
    row["unit_code"] = f"99{context.position % 1000:03d}"


def _units_of_counts(suite: str) -> list[Kind]:
    unknown, outdated = unit_kinds(suite, "unit_code")
    return [Kind(unknown.kind, unknown.rule, _unknown_unit), outdated]


def _more_indigenous_than_new(row: Row, _: Context) -> None:
    row["indigenous_cases"] = str(int(row["new_cases"] or 0) + 1)


#: Every kind of damage by dataset; the status list is too short to be damaged.
KINDS: dict[str, list[Kind]] = {
    "health_records": [
        Kind("managed_more_than_recorded", "records.managed_within_records",
             _managed_more_than_recorded),
        Kind("sex_code_9", "contract.enum", set_to("sex_code", "9")),
        Kind("birth_year_in_the_future", "records.birth_year_plausible", _born_in_the_future),
        Kind("records_missing", "contract.required", set_to("persons_with_record", None)),
        Kind("managed_negative", "contract.range", set_to("persons_managed", "-2")),
        *_units_of_counts("records"),
        duplicate_kind("records"),
    ],
    "immunisation_children": [
        *citizen_kinds("children.birth_not_in_future"),
        Kind("seven_years_old", "children.under_24_months", _born_too_early),
        Kind("status_unknown", "contract.enum", set_to("status_code", "XX")),
        Kind("registered_before_birth", "children.registered_after_birth",
             set_date("registered_on", -4, 3, 10)),
        *unit_kinds("children", "unit_code"),
        duplicate_kind("children"),
    ],
    "immunisation_doses": [
        Kind("vaccine_unknown", "contract.enum", set_to("vaccine_code", "COVID")),
        *citizen_kinds(None),
        Kind("dose_number_0", "contract.range", set_to("dose_number", "0")),
        Kind("given_in_the_future", "doses.given_by_period_end", set_date("given_on", 1, 3, 10)),
        Kind("given_years_ago", "doses.given_in_first_year", set_date("given_on", -5, 3, 10)),
        Kind("given_on_31_february", "contract.type", set_date("given_on", 0, 2, 31)),
        *unit_kinds("doses", "unit_code"),
        duplicate_kind("doses"),
    ],
    "nutrition_survey": [
        Kind("z_score_missing", "contract.required", set_to("height_for_age_z", None)),
        Kind("six_years_old", "contract.range", set_to("age_months", "75")),
        Kind("measured_in_another_year", "nutrition.measured_in_year",
             set_date("measured_on", -1, 3, 10)),
        Kind("measured_on_31_february", "contract.type", set_date("measured_on", 0, 2, 31)),
        Kind("sex_code_9", "contract.enum", set_to("sex_code", "9")),
        *unit_kinds("nutrition", "unit_code"),
        duplicate_kind("nutrition"),
    ],
    "disease_cases": [
        Kind("disease_unknown", "contract.enum", set_to("disease_code", "SXH")),
        Kind("cases_negative", "contract.range", set_to("new_cases", "-1")),
        Kind("more_indigenous_than_new", "cases.indigenous_within_new",
             _more_indigenous_than_new, "_is_malaria"),
        Kind("deaths_missing", "contract.required", set_to("deaths", None)),
        *_units_of_counts("cases"),
        duplicate_kind("cases"),
    ],
    "facility_sanitation": [
        Kind("toilet_missing", "contract.required", set_to("has_standard_toilet", None)),
        Kind("kind_unknown", "contract.enum", set_to("station_kind_code", "PK")),
        Kind("facility_code_too_short", "contract.pattern", set_to("facility_code", "5120")),
        *unit_kinds("sanitation", "unit_code"),
        duplicate_kind("sanitation"),
    ],
}  # fmt: skip
