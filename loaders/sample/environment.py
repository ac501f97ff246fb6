"""Housing, water, sanitation, settlements, wastewater, culture, and the tasks of the programme.

The yearly figures count the invented households where they live, so that communes before and after
the reform add up; blocks, settlements and cubic metres have their real size at any scale.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from loaders.sample.defects import (
    Context,
    Kind,
    Row,
    duplicate_kind,
    set_date,
    set_to,
    unit_kinds,
)
from loaders.sample.extract import Extract, unit_code_of
from loaders.sample.geography import SEEDS_DIR
from loaders.sample.province import EPOCH, NEVER, Month, Province, dates, day, spread, stream

#: Cubic metres of wastewater a day and person: 80 % of the water used.
WASTEWATER_PER_PERSON = 0.8 * 0.12
#: Blocks of social housing by old province.
BLOCKS = {"51": 22, "62": 8}
BLOCK_TYPES = ("B", "LTCN", "B", "TM", "T")
#: Agencies whose day of succession nobody has proven report under the new name from here on.
SUCCEEDED_FROM = dt.date(2025, 4, 1)
#: Communes with these codes are urban, or rural, in every year of the sample.
URBAN_UNIT, RURAL_UNIT = "21025", "21034"


def extracts(province: Province, month: Month) -> Iterator[Extract]:
    """Social housing by month, tasks by quarter, everything else by year."""
    blocks = social_housing_blocks(province, month)
    yield Extract("housing", "social_housing_blocks", month.period, blocks)
    if month.quarter:
        tasks = task_progress(province, month)
        yield Extract("programme_office", "task_progress", month.quarter, tasks)
    year = month.year_label
    if not year:
        return
    homes = homes_of(province, month)
    yield Extract("housing", "floor_area", year, floor_area(province, month, homes))
    yield Extract("housing", "urban_water", year, urban_water(province, month, homes))
    agriculture = {
        "rural_water": rural_water(province, month, homes),
        "household_sanitation": household_sanitation(province, month, homes),
        "settlements": settlements(province, month),
        "wastewater": wastewater(province, month, homes),
    }
    for name, frame in agriculture.items():
        yield Extract("agriculture_environment", name, year, frame)
    yield Extract("culture", "commune_checklist", year, commune_checklist(province, month, homes))


# ---------------------------------------------------------------------- households


def homes_of(province: Province, month: Month) -> pl.DataFrame:
    """Every household in the extracts of the month with its place, commune and members."""
    geography = province.geography
    place = np.where(
        province.move_day <= month.end, province.second_place, province.first_place
    ).astype(np.int64)
    members = province.household[province.living(month)]
    frame = pl.DataFrame(
        {
            "_household": np.arange(province.household_count),
            "_place": place,
            "_unit": geography.unit[month.era][place],
            "_is_urban": _is_urban(province, month.era)[place],
            # A township stays a built-up area when its commune is called rural.
            "_is_town": _is_urban(province, 0)[place],
            "_is_mountain": geography.zone[place] == "mountain",
            "_one": 1,
            "_persons": np.bincount(members, minlength=province.household_count),
            "_delivered": province.is_delivered(place, month),
        }
    )
    return frame.filter("_delivered")


def _is_urban(province: Province, era: int) -> np.ndarray:
    """Whether each place lies in an urban commune of the era."""
    geography = province.geography
    urban = [int(code) for code, c in geography.communes[era].items() if c.is_urban]
    return np.isin(geography.unit[era], urban)


def _draw(province: Province, purpose: str, homes: pl.DataFrame) -> np.ndarray:
    """A number in [0, 1) per household, always the same: below a growing share once is for good."""
    rng = stream(province.seed, f"household/{purpose}")
    return spread(rng, province.household_count)[homes["_household"].to_numpy()]


def _years(month: Month) -> int:
    return month.year - 2024


def _sums(homes: pl.DataFrame, keys: list[str], parts: dict[str, pl.Expr]) -> pl.DataFrame:
    """One row per group, in order of the keys."""
    counted = homes.group_by(keys).agg(
        expression.sum().cast(pl.Int64).alias(name) for name, expression in parts.items()
    )
    return counted.sort(keys).with_columns(unit_code=unit_code_of("_unit"))


def floor_area(province: Province, month: Month, homes: pl.DataFrame) -> pl.DataFrame:
    """Houses and flats; over the years houses get another room."""
    size = _draw(province, "floor area", homes)
    # Some had theirs before 2024, some will have it after the sample.
    extended = day(2020, 1, 1) + 16 * 365 * _draw(province, "extension", homes)
    town = homes["_is_town"].to_numpy()
    flat = town & (_draw(province, "flat", homes) < 0.08)
    area = np.where(flat, 45 + 30 * size, 60 + 70 * size + 28 * (extended <= month.end))
    return _sums(
        homes.with_columns(
            area_type_code=_area_type("_is_urban"),
            house_type_code=pl.Series(np.where(flat, "CC", "RL")),
            _area=pl.Series(np.rint(area)),
        ),
        ["_unit", "area_type_code", "house_type_code"],
        {"floor_area_m2": pl.col("_area"), "persons": pl.col("_persons")},
    )


def _area_type(column: str) -> pl.Expr:
    return pl.when(column).then(pl.lit("DT")).otherwise(pl.lit("NT"))


def urban_water(province: Province, month: Month, homes: pl.DataFrame) -> pl.DataFrame:
    """Households of wards and townships by the utility of their place."""
    served = _draw(province, "urban water", homes) < 0.86 + 0.012 * _years(month)
    own_meter = _draw(province, "water meter", homes) < 0.94
    code = pl.Series(province.geography.province).gather(homes["_place"])
    return _sums(
        homes.with_columns(
            utility_code=pl.lit("CN") + code + (1 + pl.col("_place") % 2).cast(pl.String),
            _served=pl.Series(served),
            _meter=pl.Series(served & own_meter),
        ).filter("_is_urban"),
        ["_unit", "utility_code"],
        {
            "households": pl.col("_one"),
            "households_with_standard_water": pl.col("_served"),
            "meters": pl.col("_meter"),
        },
    )


def rural_water(province: Province, month: Month, homes: pl.DataFrame) -> pl.DataFrame:
    """Who has water up to the standard has hygienic water too."""
    draw, years = _draw(province, "rural water", homes), _years(month)
    mountain = homes["_is_mountain"].to_numpy()
    hygienic = draw < 0.94 + 0.006 * years - 0.04 * mountain
    standard = draw < 0.54 + 0.035 * years - 0.14 * mountain
    poor = province.is_poor[homes["_household"].to_numpy()]
    # Poor households are reached later.
    standard &= ~poor | (_draw(province, "rural water/poor", homes) < 0.7)
    centralised = standard & (_draw(province, "rural water/scheme", homes) < 0.72)
    counted = _sums(
        homes.with_columns(
            _01=pl.Series(hygienic),
            _02=pl.Series(standard),
            _scheme=pl.Series(centralised),
            _poor=pl.Series(poor),
        ).filter(~pl.col("_is_urban")),
        ["_unit"],
        {
            "households": pl.col("_one"),
            "households_indicator_01": pl.col("_01"),
            "households_indicator_02": pl.col("_02"),
            "households_02_centralised": pl.col("_scheme"),
            "poor_households": pl.col("_poor"),
            "poor_households_indicator_02": pl.col("_poor") & pl.col("_02"),
        },
    )
    return counted.with_columns(indicator_set_code=pl.lit("1893/2024"))


def household_sanitation(province: Province, month: Month, homes: pl.DataFrame) -> pl.DataFrame:
    """A few communes a year send only the households that the poverty review visited."""
    index = homes["_household"].to_numpy()
    poor = province.is_poor[index]
    latrine = _draw(province, "latrine", homes) < 0.87 + 0.012 * _years(month) - 0.25 * poor
    geography = province.geography
    draw = stream(province.seed, f"sanitation/{month.year}").random(len(geography.province))
    first = geography.station[month.era][homes["_place"].to_numpy()]
    reviewed_only = draw[first] < 0.02
    kept = ~reviewed_only | poor | province.is_near_poor[index]
    return _sums(
        homes.with_columns(
            coverage_code=pl.Series(np.where(reviewed_only, "RS", "TB")),
            _latrine=pl.Series(latrine),
            _kept=pl.Series(kept),
        ).filter("_kept"),
        ["_unit", "coverage_code"],
        {"households": pl.col("_one"), "households_with_standard_latrine": pl.col("_latrine")},
    )


def wastewater(province: Province, month: Month, homes: pl.DataFrame) -> pl.DataFrame:
    """Cubic metres of the whole province: those of a sample would round to nothing."""
    town, years = homes["_is_town"].to_numpy(), _years(month)
    share = np.where(town, 0.15 + 0.018 * years, 0.012 + 0.006 * years)
    connected = _draw(province, "sewer", homes) < share
    per_person = WASTEWATER_PER_PERSON / province.scale
    persons = _sums(
        homes.with_columns(area_type_code=_area_type("_is_town"), _connected=pl.Series(connected)),
        ["_unit", "area_type_code"],
        {"_all": pl.col("_persons"), "_treated": pl.col("_persons") * pl.col("_connected")},
    )
    return persons.with_columns(
        generated_m3_day=(pl.col("_all") * per_person).round().cast(pl.Int64),
        treated_m3_day=(pl.col("_treated") * per_person).round().cast(pl.Int64),
        method_code=pl.lit("80"),
    )


def commune_checklist(province: Province, month: Month, homes: pl.DataFrame) -> pl.DataFrame:
    """A commune is what most of it is: remote, mountain, with a house of culture."""
    mountain, years = homes["_is_mountain"].to_numpy(), _years(month)
    reached = _draw(province, "culture", homes) < 0.87 + 0.01 * years - 0.06 * mountain
    counted = _sums(
        homes.with_columns(_reached=pl.Series(reached)),
        ["_unit"],
        {
            "residents": pl.col("_persons"),
            "residents_with_access": pl.col("_persons") * pl.col("_reached"),
        },
    )
    geography = province.geography
    remote = stream(province.seed, "remote").random(len(geography.zone))
    hall = spread(stream(province.seed, "house of culture"), len(geography.zone))
    zone = geography.zone
    places = pl.DataFrame(
        {
            "_unit": geography.unit[month.era],
            "_weight": geography.weight,
            "_remote": np.select(
                [zone == "island", zone == "mountain"], [True, remote < 0.55], remote < 0.06
            ),
            "_mountain": zone == "mountain",
            "_hall": hall < 0.66 + 0.03 * years,
        }
    )
    mostly = places.group_by("_unit").agg(
        (pl.col(name) * pl.col("_weight")).sum() * 2 >= pl.col("_weight").sum()
        for name in ("_remote", "_mountain", "_hall")
    )
    access = pl.col("residents_with_access") * 4 >= pl.col("residents") * 3
    return counted.join(mostly, on="_unit", how="left", maintain_order="left").with_columns(
        is_remote_area=_flag(pl.col("_remote")),
        is_ethnic_mountain=_flag(pl.col("_mountain")),
        meets_criteria=_flag(pl.col("_hall") & access),
    )


def _flag(condition: pl.Expr) -> pl.Expr:
    return pl.when(condition).then(pl.lit("1")).otherwise(pl.lit("0"))


# ---------------------------------------------------------------------- settlements and blocks


def settlements(province: Province, month: Month) -> pl.DataFrame:
    """Villages of rural communes under the code that they got in 2024."""
    geography = province.geography
    rng = stream(province.seed, "settlements")
    place = np.repeat(np.arange(len(geography.province)), rng.integers(3, 9, len(geography.weight)))
    first = np.where(geography.unit[0] > 0, geography.unit[0], geography.unit[2])
    frame = pl.DataFrame(
        {
            "_place": place,
            "_first": first[place],
            "_province": geography.province[place],
            "_unit": geography.unit[month.era][place],
            "_collects": spread(rng, len(place)),
            "_concentrated": rng.random(len(place)) < 0.7,
            "_listed": province.is_delivered(place, month) & ~_is_urban(province, month.era)[place],
        }
    ).with_columns(_number=pl.int_range(1, pl.len() + 1).over("_first"))
    share = 0.115 + 0.017 * _years(month)
    collects = pl.when("_concentrated").then(share).otherwise(0.03) > pl.col("_collects")
    return (
        frame.filter("_listed")
        .with_columns(
            unit_code=unit_code_of("_unit"),
            settlement_code=pl.concat_str(
                "_province",
                pl.col("_first").cast(pl.String),
                pl.col("_number").cast(pl.String).str.zfill(2),
            ),
            is_concentrated=_flag(pl.col("_concentrated")),
            has_collection=_flag(collects),
        )
        .sort("_unit", "settlement_code")
    )


def social_housing_blocks(province: Province, month: Month) -> pl.DataFrame:
    """Blocks from licence to acceptance; the first are older than what the programme counts."""
    geography = province.geography
    parts = []
    for code, count in BLOCKS.items():
        rng = stream(province.seed, f"blocks/{code}")
        inside = np.flatnonzero((geography.province == code) & (geography.unit[0] > 0))
        weight = geography.weight[inside]
        number = np.arange(count)
        # Two blocks make a project and stand together.
        site = rng.choice(inside, (count + 1) // 2, p=weight / weight.sum())
        licensed = np.linspace(day(2018, 1, 1), day(2027, 6, 1), count) + rng.integers(0, 90, count)
        started = licensed + rng.integers(60, 240, count)
        parts.append(
            pl.DataFrame(
                {
                    "project_code": [f"NOXH{code}{1 + n // 2:02d}" for n in number],
                    "project_name": [f"Khu nhà ở mẫu số {1 + n // 2} ({code})" for n in number],
                    "block_code": [f"K{1 + n % 2}" for n in number],
                    "type_code": [BLOCK_TYPES[n // 2 % len(BLOCK_TYPES)] for n in number],
                    "_place": site[number // 2],
                    "_licensed": licensed.astype(np.int64),
                    "_started": started.astype(np.int64),
                    "_on_sale": (started + rng.integers(200, 400, count)).astype(np.int64),
                    "_accepted": (started + rng.integers(450, 900, count)).astype(np.int64),
                    "units_planned": rng.integers(60, 320, count),
                }
            )
        )
    frame = pl.concat(parts)
    place = frame["_place"].to_numpy()
    length = pl.col("_accepted") - pl.col("_started")
    progress = ((month.end - pl.col("_started")) / length).clip(0, 1)
    return (
        frame.with_columns(
            _unit=pl.Series(geography.unit[month.era][place]),
            _delivered=pl.Series(province.is_delivered(place, month)),
            _is_accepted=pl.col("_accepted") <= month.end,
            accepted_on=dates(np.where(frame["_accepted"] <= month.end, frame["_accepted"], NEVER)),
            stage_code=pl.when(pl.col("_accepted") <= month.end)
            .then(pl.lit("HT"))
            .when(pl.col("_on_sale") <= month.end)
            .then(pl.lit("DBH"))
            .when(pl.col("_started") <= month.end)
            .then(pl.lit("KC"))
            .otherwise(pl.lit("CP")),
            # Some dwellings stand before the block is accepted.
            units_completed=(pl.col("units_planned") * progress).floor().cast(pl.Int64),
        )
        .filter(pl.col("_delivered") & (pl.col("_licensed") <= month.end))
        .with_columns(unit_code=unit_code_of("_unit"))
        .sort("project_code", "block_code")
    )


# ---------------------------------------------------------------------- tasks of the programme


def task_progress(province: Province, month: Month) -> pl.DataFrame:
    """What each implementing agency reports of each task; now and then one sends nothing."""
    agencies = {row["agency_id"]: row for row in _seed("programme_agency")}
    due = {row["task_id"]: row["due_on"] for row in _seed("programme_task")}
    pairs = [
        (row["task_id"], row["agency_id"])
        for row in _seed("programme_task_agency")
        if row["role"] == "implement"
    ]
    end = EPOCH + dt.timedelta(days=month.end)
    life = stream(province.seed, "tasks")
    begins, speed = life.integers(0, 6, len(pairs)), life.integers(4, 13, len(pairs))
    slow = life.random(len(pairs)) < 0.1
    rng = stream(province.seed, f"tasks/{month.quarter}")
    silent, days = rng.random(len(pairs)) < 0.04, rng.integers(1, 15, len(pairs))
    quarters = (month.index + 1) // 3
    rows = []
    for i, (task, agency) in enumerate(pairs):
        done = int(speed[i] * max(quarters - begins[i], 0))
        if due[task]:
            # Work with a day to be done by is done by most soon after it.
            done = 55 if slow[i] else 60 * quarters
        done = min(done, 100)
        status = "HT" if done == 100 else "CH" if slow[i] else "DTH" if done else "CTH"
        rows.append(
            {
                "task_id": task,
                "agency_id": _reporter(agencies, agency, end),
                "status_code": status,
                "percent_done": done,
                "reported_on": end + dt.timedelta(days=int(days[i])),
                "late_reason_code": ("VB", "KP", "NL")[i % 3] if status == "CH" else None,
                "note": "Báo cáo mẫu" if status == "CH" else None,
                "_sent": not silent[i],
            }
        )
    schema = {"late_reason_code": pl.String, "note": pl.String}
    return (
        pl.DataFrame(rows, schema_overrides=schema)
        .filter("_sent")
        .with_columns(_is_late=pl.col("status_code") == "CH")
    )


def _seed(name: str) -> list[dict[str, str]]:
    with (SEEDS_DIR / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _reporter(agencies: dict[str, dict[str, str]], agency: str, on: dt.date) -> str:
    """The agency itself, or its successor once there is one."""
    row = agencies[agency]
    last = row["valid_to"]
    over = on > dt.date.fromisoformat(last) if last else on >= SUCCEEDED_FROM
    return row["successor_agency_id"] if over and row["successor_agency_id"] else agency


# ---------------------------------------------------------------------- damage


def _more(column: str, than: str, *, times: int = 1) -> Callable[[Row, Context], None]:
    """A number that is one more than ``times`` another of its row."""

    def change(row: Row, _: Context) -> None:
        row[column] = str(int(row[than] or 0) * times + 1)

    return change


def _other_area(row: Row, _: Context) -> None:
    row["area_type_code"] = "NT" if row["area_type_code"] == "DT" else "DT"


def _done_at_nothing(row: Row, _: Context) -> None:
    row["status_code"], row["percent_done"], row["late_reason_code"] = "HT", "0", None


#: Every kind of damage by dataset, in the order in which they are used in turn.
KINDS: dict[str, list[Kind]] = {
    "social_housing_blocks": [
        Kind("built_more_than_planned", "blocks.built_within_plan",
             _more("units_completed", "units_planned")),
        Kind("completed_without_acceptance", "blocks.accepted_when_completed",
             set_to("accepted_on", None), "_is_accepted"),
        Kind("accepted_in_future", "blocks.not_in_future",
             set_date("accepted_on", 1, 6, 15), "_is_accepted"),
        Kind("accepted_on_31_february", "contract.type", set_date("accepted_on", 0, 2, 31)),
        Kind("stage_unknown", "contract.enum", set_to("stage_code", "XX")),
        *unit_kinds("blocks", "unit_code"),
        duplicate_kind("blocks"),
    ],
    "floor_area": [
        Kind("area_type_of_another_unit", "floor.area_type_fits_unit", _other_area),
        Kind("area_not_plausible", "floor.area_plausible",
             _more("floor_area_m2", "persons", times=300)),
        Kind("area_not_a_number", "contract.type", set_to("floor_area_m2", "không rõ")),
        Kind("persons_missing", "contract.required", set_to("persons", None)),
        *unit_kinds("floor", "unit_code"),
        duplicate_kind("floor"),
    ],
    "urban_water": [
        Kind("more_than_all_households", "urban_water.standard_within_all",
             _more("households_with_standard_water", "households")),
        Kind("unit_is_rural", "urban_water.unit_is_urban", set_to("unit_code", RURAL_UNIT)),
        Kind("households_negative", "contract.range", set_to("households", "-5")),
        *unit_kinds("urban_water", "unit_code"),
        duplicate_kind("urban_water"),
    ],
    "rural_water": [
        Kind("standard_more_than_hygienic", "rural_water.parts_within_whole",
             _more("households_indicator_02", "households")),
        Kind("older_indicator_set", "rural_water.set_in_force",
             set_to("indicator_set_code", "4826/2018")),
        Kind("unit_is_urban", "rural_water.unit_is_rural", set_to("unit_code", URBAN_UNIT)),
        Kind("households_missing", "contract.required", set_to("households", None)),
        *unit_kinds("rural_water", "unit_code"),
        duplicate_kind("rural_water"),
    ],
    "household_sanitation": [
        Kind("more_than_all_households", "latrines.standard_within_all",
             _more("households_with_standard_latrine", "households")),
        Kind("coverage_unknown", "contract.enum", set_to("coverage_code", "XX")),
        Kind("households_zero", "contract.range", set_to("households", "0")),
        *unit_kinds("latrines", "unit_code"),
        duplicate_kind("latrines"),
    ],
    "settlements": [
        Kind("code_too_short", "contract.pattern", set_to("settlement_code", "51")),
        Kind("flag_unknown", "contract.enum", set_to("is_concentrated", "2")),
        Kind("collection_missing", "contract.required", set_to("has_collection", None)),
        Kind("unit_is_urban", "settlements.unit_is_rural", set_to("unit_code", URBAN_UNIT)),
        *unit_kinds("settlements", "unit_code"),
        duplicate_kind("settlements"),
    ],
    "wastewater": [
        Kind("more_treated_than_generated", "wastewater.treated_within_generated",
             _more("treated_m3_day", "generated_m3_day")),
        Kind("generated_not_a_number", "contract.type", set_to("generated_m3_day", "khoảng 90")),
        Kind("method_unknown", "contract.enum", set_to("method_code", "90")),
        *unit_kinds("wastewater", "unit_code"),
        duplicate_kind("wastewater"),
    ],
    "commune_checklist": [
        Kind("more_than_all_residents", "checklist.access_within_residents",
             _more("residents_with_access", "residents")),
        Kind("list_flag_missing", "contract.required", set_to("is_remote_area", None)),
        Kind("criteria_unknown", "contract.enum", set_to("meets_criteria", "x")),
        *unit_kinds("checklist", "unit_code"),
        duplicate_kind("checklist"),
    ],
    "task_progress": [
        Kind("percent_above_100", "contract.range", set_to("percent_done", "140")),
        Kind("task_unknown", "tasks.agency_has_task", set_to("task_id", "IX.1")),
        Kind("done_at_nothing", "tasks.percent_fits_status", _done_at_nothing),
        Kind("late_without_reason", "tasks.late_has_reason",
             set_to("late_reason_code", None), "_is_late"),
        Kind("reported_before_quarter", "tasks.reported_after_period",
             set_date("reported_on", -1, 1, 15)),
        duplicate_kind("tasks"),
    ],
}  # fmt: skip
