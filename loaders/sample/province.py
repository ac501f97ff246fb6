"""The invented people: everybody who lives in the province at some time from 2024 to 2027.

All of a person's life is drawn once, by streams of random numbers named after what they decide;
a month only looks at it. So a month is the same whichever months are asked for.
"""

from __future__ import annotations

import calendar
import datetime as dt
import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from loaders.periods import period_in
from loaders.sample.geography import Geography, SampleError, delivered_provinces, era_of
from loaders.sample.names import full_names

NEVER = np.int32(2**30)
EPOCH = dt.date(1970, 1, 1)
HOUSEHOLD_SIZE = 3.6
MOVING_SHARE = 0.12
HOUSES_SHARE = 0.005
GOLDEN = (5**0.5 - 1) / 2
OLDEST_BIRTH_YEAR = 1926
#: Relative size of one year of birth by age in 2024: (up to age, size).
AGE_PROFILE = ((14, 1.55), (24, 1.25), (39, 1.6), (59, 1.35), (69, 1.0), (79, 0.55), (98, 0.17))
#: Yearly risk of dying by age in 2024: (up to age, risk).
DEATH_RISK = ((39, 0.0005), (59, 0.003), (69, 0.012), (79, 0.03), (200, 0.09))
#: Shares of ethnic groups by old district, invented in the order of size known of each district.
ETHNIC_MIX = {
    "525": {"30": 0.52, "01": 0.42, "14": 0.04, "19": 0.02},
    "529": {"19": 0.82, "01": 0.17, "14": 0.01},
    "530": {"14": 0.78, "19": 0.12, "01": 0.10},
    "531": {"19": 0.71, "01": 0.29},
    "535": {"19": 0.84, "01": 0.16},
    "608": {"01": 0.68, "13": 0.22, "14": 0.06, "10": 0.04},
    "610": {"27": 0.70, "14": 0.18, "01": 0.12},
    "611": {"01": 0.44, "14": 0.28, "27": 0.26, "52": 0.02},
    "612": {"14": 0.52, "01": 0.46, "13": 0.02},
    "613": {"14": 0.80, "01": 0.12, "19": 0.08},
    "614": {"14": 0.35, "01": 0.35, "13": 0.30},
    "615": {"01": 0.50, "14": 0.38, "13": 0.12},
    "616": {"01": 0.40, "10": 0.30, "14": 0.24, "54": 0.06},
    "617": {"14": 0.95, "01": 0.05},
    "618": {"03": 0.35, "01": 0.30, "10": 0.20, "06": 0.15},
}
ETHNIC_MIX_ELSEWHERE = {"01": 0.99, "19": 0.01}
#: Poor and near-poor share of households by zone.
POVERTY = {"plain": (0.04, 0.04), "mountain": (0.20, 0.10), "island": (0.05, 0.05)}


def stream(seed: int, purpose: str) -> np.random.Generator:
    """A stream of random numbers of its own for each purpose."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def spread(rng: np.random.Generator, count: int) -> np.ndarray:
    """``count`` numbers in [0, 1), evenly spread and in random order: shares hold at any size."""
    return rng.permutation((np.arange(count) + 0.5) / max(count, 1))


def day(year: int, month: int, number: int) -> int:
    """Days since 1970-01-01."""
    return (dt.date(year, month, number) - EPOCH).days


WINDOW = (day(2024, 1, 1), day(2028, 1, 1))


@dataclass(frozen=True)
class Month:
    """One month and what follows from the calendar."""

    period: str

    def __post_init__(self) -> None:
        era_of(self.period)

    @property
    def year(self) -> int:
        return int(self.period[:4])

    @property
    def number(self) -> int:
        return int(self.period[5:])

    @property
    def index(self) -> int:
        """Months since 2024-01."""
        return (self.year - 2024) * 12 + self.number - 1

    @property
    def quarter(self) -> str | None:
        """The quarter that ends with the month, "2025-Q2", or None."""
        return period_in("quarterly", self.period)

    @property
    def year_label(self) -> str | None:
        """The year that ends with the month, "2025", or None."""
        return period_in("annual", self.period)

    @property
    def end(self) -> int:
        return day(self.year, self.number, calendar.monthrange(self.year, self.number)[1])

    @property
    def era(self) -> int:
        return era_of(self.period)

    @property
    def provinces(self) -> tuple[str, ...]:
        return delivered_provinces(self.period)

    @property
    def school_start_year(self) -> int:
        return self.year if self.number >= 9 else self.year - 1


class Province:
    """The invented people at one scale (1 = 1.86 million in mid-2024) and seed.

    Attributes are arrays of length N (people) or H (households); ``household`` joins them. Days
    count from 1970-01-01.
    """

    def __init__(self, geography: Geography, scale: float, seed: int) -> None:
        if not 0 < scale <= 2:
            raise SampleError(f"scale {scale}: give a number above 0 and up to 2")
        self.geography, self.scale, self.seed = geography, scale, seed
        self.size_2024 = geography.weight.sum() * scale
        self._draw_people()
        self._draw_deaths()
        self._draw_households()

    def uniform(self, purpose: str) -> np.ndarray:
        """One number in [0, 1) per person, always the same for a purpose."""
        return stream(self.seed, purpose).random(self.count, dtype=np.float32)

    def _draw_people(self) -> None:
        years = np.arange(OLDEST_BIRTH_YEAR, 2028)
        age = np.maximum(2024 - years, 0)
        size = np.select([age <= limit for limit, _ in AGE_PROFILE], [s for _, s in AGE_PROFILE])
        size = size / (size[years < 2024].sum() + size[years == 2024].sum() / 2)
        counts = np.maximum(np.rint(size * self.size_2024 * 1.003), 1).astype(int)
        self.count = int(counts.sum())
        self.birth_year = np.repeat(years, counts).astype(np.int16)
        first = np.array([day(int(year), 1, 1) for year in years])
        length = np.array([365 + calendar.isleap(int(year)) for year in years])
        offset = self.uniform("birth") * np.repeat(length, counts)
        self.birth = (np.repeat(first, counts) + offset.astype(np.int64)).astype(np.int32)
        boys = np.where(self.birth_year >= 2005, 0.525, 0.498)
        self.sex = np.where(self.uniform("sex") < boys, 1, 2).astype(np.int8)

    def _draw_households(self) -> None:
        geography, seed = self.geography, self.seed
        self.household_count = households = max(round(self.count / HOUSEHOLD_SIZE), 1)
        rng = stream(seed, "household")
        if households < len(geography.weight):
            raise SampleError(
                f"scale {self.scale}: too small, some commune would have no household"
            )
        self.household = rng.integers(0, households, self.count, dtype=np.int32)
        # Every household has somebody who was there before 2024 and stays alive.
        settled = np.flatnonzero((self.birth_year < 2024) & (self.death == NEVER))
        self.household[rng.permutation(settled)[:households]] = np.arange(households)
        self.first_place = self._homes(households)
        rng = stream(seed, "moves")
        moves = rng.random(households) < MOVING_SHARE
        # The first household of a place stays: a commune is never empty.
        moves[np.unique(self.first_place, return_index=True)[1]] = False
        self.move_day = np.where(moves, rng.integers(*WINDOW, households), NEVER).astype(np.int32)
        self.second_place = self.other_place("moves", self.first_place, leave_share=0.08)
        rng = stream(seed, "poverty")
        zones = geography.zone[self.first_place]
        draw = rng.random(households)
        poor = np.array([POVERTY[zone][0] for zone in ("plain", "mountain", "island")])
        near = np.array([POVERTY[zone][1] for zone in ("plain", "mountain", "island")])
        kind = np.select([zones == "plain", zones == "mountain"], [0, 1], 2)
        self.is_poor = draw < poor[kind]
        self.is_near_poor = ~self.is_poor & (draw < poor[kind] + near[kind])
        self.is_merit = rng.random(households) < 0.035
        self.ethnic = self._draw_ethnic()
        self.family = stream(seed, "family").integers(0, 1 << 16, households, dtype=np.int32)

    def _homes(self, households: int) -> np.ndarray:
        """H: first place of each household, in proportion to the places, at least one each."""
        weight = self.geography.weight
        exact = np.cumsum(weight / weight.sum() * (households - len(weight)))
        bounds = np.rint(exact).astype(int) + np.arange(1, len(weight) + 1)
        return np.searchsorted(bounds, np.arange(households), side="right").astype(np.int16)

    def other_place(self, purpose: str, place: np.ndarray, leave_share: float) -> np.ndarray:
        """Another place for each given one: in the same old province but for ``leave_share``."""
        geography = self.geography
        rng = stream(self.seed, f"place/{purpose}")
        stay = rng.random(len(place)) >= leave_share
        in_first = (geography.province[place] == "51") == stay
        draw = rng.random(len(place))
        other = np.empty(len(place), dtype=np.int16)
        for code, chosen in (("51", in_first), ("62", ~in_first)):
            inside = np.flatnonzero(geography.province == code)
            share = np.cumsum(geography.weight[inside]) / geography.weight[inside].sum()
            found = np.searchsorted(share, draw[chosen])
            other[chosen] = inside[np.minimum(found, len(inside) - 1)]
        return other

    def _draw_ethnic(self) -> np.ndarray:
        districts = self.geography.district[self.first_place]
        draw = stream(self.seed, "ethnic").random(self.household_count)
        ethnic = np.full(self.household_count, "01", dtype="<U2")
        for district in np.unique(districts):
            mix = ETHNIC_MIX.get(str(district), ETHNIC_MIX_ELSEWHERE)
            chosen = districts == district
            bounds = np.cumsum(list(mix.values()))[:-1]
            ethnic[chosen] = np.array(list(mix))[np.searchsorted(bounds, draw[chosen])]
        return ethnic

    def _draw_deaths(self) -> None:
        age = 2024 - self.birth_year.astype(int)
        risk = np.select([age <= limit for limit, _ in DEATH_RISK], [r for _, r in DEATH_RISK])
        dies = (self.uniform("death") < 1 - (1 - risk) ** 4) & (age > 0)
        when = stream(self.seed, "death day").integers(*WINDOW, self.count)
        self.death = np.where(dies, when, NEVER).astype(np.int32)

    # ------------------------------------------------------------------ identities

    @cached_property
    def citizen_number(self) -> pl.Series:
        """Twelve digits, unique: province, century and sex, year, serial number."""
        home = self.geography.province[self.first_place[self.household]]
        province = np.where(home == "51", 51, 62).astype(np.int64)
        century = (self.birth_year.astype(np.int64) - 1900) // 100
        front = (province * 10 + century * 2 + self.sex - 1) * 100 + self.birth_year % 100
        order = np.argsort(front, kind="stable")
        ordered = front[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        rank = np.empty(self.count, dtype=np.int64)
        lengths = np.diff(np.r_[starts, self.count])
        rank[order] = np.arange(self.count) - np.repeat(starts, lengths)
        # The factor has no common divisor with a million: equal fronts get different serials.
        serial = (rank * 387_421 + front * 7_919) % 1_000_000
        return _digits(front * 1_000_000 + serial, 12, "person_key")

    @cached_property
    def insurance_number(self) -> pl.Series:
        """Ten digits, unique."""
        home = self.geography.province[self.first_place[self.household]]
        serial = (np.arange(self.count, dtype=np.int64) * 61_803_399 + 12_345_678) % 100_000_000
        number = np.where(home == "51", 51, 62).astype(np.int64) * 100_000_000 + serial
        return _digits(number, 10, "social_insurance_key")

    @cached_property
    def full_name(self) -> pl.Series:
        rng = stream(self.seed, "names")
        return full_names(
            self.ethnic[self.household],
            self.sex,
            self.family[self.household],
            rng.integers(0, 1 << 15, self.count, dtype=np.int32),
            rng.integers(0, 1 << 15, self.count, dtype=np.int32),
        )

    @cached_property
    def head(self) -> np.ndarray:
        """H: the eldest member of each household."""
        order = np.lexsort((self.birth, self.household))
        ordered = self.household[order]
        first = np.r_[True, ordered[1:] != ordered[:-1]]
        head = np.full(self.household_count, -1, dtype=np.int64)
        head[ordered[first]] = order[first]
        return head

    @cached_property
    def other_address(self) -> np.ndarray:
        """N: a place where the person once lived, for records that nobody brought up to date."""
        return self.other_place("address", self.first_place[self.household], leave_share=0.0)

    @cached_property
    def houses(self) -> pl.DataFrame:
        """Households approved for a new or repaired house, one row per programme, days as integers.

        ``_line`` 2 is the second programme of a household.
        """
        rng = stream(self.seed, "houses")
        size = self.household_count
        need = np.select([self.is_poor, self.is_near_poor, self.is_merit], [4.5, 2.5, 2.0], 0.3)
        # The highlands of Kon Tum rebuilt most of theirs before 2024.
        need[self.geography.province[self.first_place] == "62"] *= 0.5
        need[(self.birth_year[self.head] > 1999) | (self.move_day != NEVER)] = 0
        # Households stand in order of place: equal steps along them, and golden steps in time,
        # keep the shares of places and months right even for a few dozen houses.
        steps = np.cumsum(need) * (HOUSES_SHARE * size / need.sum()) + rng.random()
        home = np.flatnonzero(np.diff(np.floor(steps), prepend=0.0) > 0)
        wave = (np.arange(len(home)) * GOLDEN + rng.random()) % 1
        edges = [day(2023, 7, 1), day(2024, 7, 1), day(2025, 7, 1), day(2027, 10, 1)]
        approved = np.interp(wave, [0, 0.75, 0.92, 1], edges).astype(np.int64)
        started = approved + rng.integers(15, 75, len(home))
        completed = np.where(
            rng.random(len(home)) < 0.97, started + rng.integers(45, 700, len(home)), NEVER
        )
        group = np.select(
            [self.is_merit[home], self.is_poor[home], self.is_near_poor[home]],
            ["NCC", "HN", "HCN"],
            "KHAC",
        )
        frame = pl.DataFrame(
            {
                "_household": home,
                "_head": self.head[home],
                "_place": self.first_place[home].astype(np.int64),
                "_line": np.ones(len(home), dtype=np.int64),
                "_approved": approved,
                "_started": started,
                "_completed": completed,
                "household_group_code": group,
                "work_kind_code": np.where(rng.random(len(home)) < 0.7, "XM", "SC"),
            }
        ).with_columns(
            programme_code=pl.col("household_group_code").replace_strict(
                {"NCC": "NCC", "HN": "GN", "HCN": "GN", "KHAC": "PD"}
            )
        )
        twice, lagging = rng.random(len(home)) < 0.03, rng.random(len(home)) < 0.5
        # The second programme may lag behind, and may see the household in another group.
        second = frame.with_columns(
            _line=pl.lit(2, dtype=pl.Int64),
            _approved=pl.col("_approved") + 30,
            _started=pl.when(pl.Series(lagging)).then(int(NEVER)).otherwise("_started"),
            _completed=pl.when(pl.Series(lagging)).then(int(NEVER)).otherwise("_completed"),
            household_group_code=pl.col("household_group_code").replace_strict(
                {"NCC": "HN", "HN": "NCC", "HCN": "HN", "KHAC": "HCN"}
            ),
            programme_code=pl.when(pl.col("programme_code") == "GN")
            .then(pl.lit("PD"))
            .otherwise(pl.lit("GN")),
        )
        return pl.concat([frame, second.filter(pl.Series(twice))])

    # ------------------------------------------------------------------ state at a month's end

    def living(self, month: Month) -> np.ndarray:
        """Indexes of the people alive on the last day of the month."""
        return np.flatnonzero((self.birth <= month.end) & (self.death > month.end))

    def place(self, people: np.ndarray, on: int) -> np.ndarray:
        """Place where people live on a day."""
        home = self.household[people]
        moved = self.move_day[home] <= on
        return np.where(moved, self.second_place[home], self.first_place[home])

    def is_delivered(self, place: np.ndarray, month: Month) -> np.ndarray:
        """Whether rows of these places stand in the extracts of the month."""
        geography = self.geography
        known = np.isin(geography.province, month.provinces) & (geography.unit[month.era] > 0)
        return known[place]


def _digits(numbers: np.ndarray, width: int, name: str) -> pl.Series:
    return pl.Series(name, numbers).cast(pl.String).str.zfill(width)


def dates(days: np.ndarray) -> pl.Series:
    """Days since 1970-01-01 as dates; NEVER becomes null."""
    series = pl.Series(days.astype(np.int32))
    frame = pl.DataFrame({"day": series})
    return frame.select(pl.when(pl.col("day") < int(NEVER)).then(pl.col("day")).cast(pl.Date))[
        "day"
    ]
