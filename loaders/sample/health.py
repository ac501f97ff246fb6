"""Health facilities and their staff: the same invented people, now as doctors and nurses."""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np
import polars as pl

from loaders.sample.extract import unit_code_of
from loaders.sample.province import NEVER, Month, Province, dates, spread, stream

#: First number of the facility codes of a kind, after the two digits of the province.
FIRST_NUMBER = {"BV": 1, "PKDK": 101, "TYT": 201, "PK": 501, "NT": 701}
#: Facilities per province kind: (count at scale 1, least count), for 51 and 62.
FACILITY_COUNTS = {
    "BV": {"51": (18, 7), "62": (11, 4)},
    "PKDK": {"51": (20, 6), "62": (9, 4)},
    "PK": {"51": (130, 20), "62": (60, 12)},
    "NT": {"51": (250, 34), "62": (120, 20)},
}
NAMES = {
    "BV": "Bệnh viện mẫu số",
    "PKDK": "Phòng khám đa khoa mẫu số",
    "PK": "Phòng khám mẫu số",
    "NT": "Nhà thuốc mẫu số",
}
BEDS_PER_10K = {"BV": 26.0, "PKDK": 3.5}
#: Profession → (staff per 10,000 at the end of 2027, where they work).
PROFESSIONS = {
    "BS": (8.9, {"BV": 0.62, "PKDK": 0.12, "TYT": 0.16, "PK": 0.10}),
    "DS": (5.0, {"BV": 0.30, "PKDK": 0.10, "NT": 0.60}),
    "DD": (15.2, {"BV": 0.70, "PKDK": 0.12, "TYT": 0.18}),
    "HS": (4.0, {"BV": 0.50, "TYT": 0.50}),
    "YS": (5.0, {"BV": 0.30, "TYT": 0.70}),
    "KTY": (3.5, {"BV": 0.80, "PKDK": 0.20}),
}
#: Degrees with their shares; a doctor with less than a university degree is a data oddity.
DEGREES = {
    "BS": (("DH", 0.70), ("SDH", 0.29), ("CD", 0.01)),
    "DS": (("DH", 0.38), ("SDH", 0.04), ("CD", 0.38), ("TC", 0.20)),
    "DD": (("DH", 0.35), ("SDH", 0.01), ("CD", 0.44), ("TC", 0.20)),
    "HS": (("DH", 0.20), ("CD", 0.50), ("TC", 0.30)),
    "YS": (("CD", 0.30), ("TC", 0.70)),
    "KTY": (("DH", 0.40), ("CD", 0.40), ("TC", 0.20)),
}


class Health:
    """Facilities (a frame, one row each) and staff of an invented province."""

    def __init__(self, province: Province) -> None:
        self.province = province
        self.facilities = self._draw_facilities()

    # ------------------------------------------------------------------ facilities

    def _draw_facilities(self) -> pl.DataFrame:
        parts = [self._stations()]
        for kind, counts in FACILITY_COUNTS.items():
            parts += [self._of_kind(kind, code, *size) for code, size in counts.items()]
        return pl.concat(parts).with_row_index("_facility")

    def _stations(self) -> pl.DataFrame:
        """One possible station per place; rows stand in the order of the places."""
        geography = self.province.geography
        places = np.arange(len(geography.province))
        first = geography.province == "51"
        number = np.where(first, np.cumsum(first), np.cumsum(~first)) - 1 + FIRST_NUMBER["TYT"]
        rng = stream(self.province.seed, "stations")
        return pl.DataFrame(
            {
                "_kind": ["TYT"] * len(places),
                "_place": places,
                "facility_code": [
                    f"{p}{n:03d}" for p, n in zip(geography.province, number, strict=True)
                ],
                "_name": [""] * len(places),
                "ownership_code": ["CL"] * len(places),
                "_beds": rng.integers(3, 7, len(places)),
                "_phase": np.zeros(len(places)),
                "_has_staff": [True] * len(places),
                "_weight": geography.weight / geography.weight.sum(),
            }
        )

    def _of_kind(self, kind: str, code: str, full: int, least: int) -> pl.DataFrame:
        province = self.province
        geography, rng = province.geography, stream(province.seed, f"facilities/{kind}/{code}")
        count = int(np.clip(round(full * np.sqrt(province.scale)), least, full))
        inside = np.flatnonzero((geography.province == code) & (geography.unit[0] > 0))
        weight = geography.weight[inside]
        if kind == "BV":
            # Hospitals stand in the largest places, so never two in one commune of 2024.
            place = inside[np.argsort(-weight, kind="stable")][:count]
        else:
            place = np.sort(rng.choice(inside, count, p=weight / weight.sum()))
        share = rng.uniform(0.6, 1.4, count)
        share = share / share.sum()
        people = geography.weight[geography.province == code].sum() * province.scale
        beds = np.maximum(np.rint(BEDS_PER_10K.get(kind, 0) * people / 10_000 * share), 1)
        return pl.DataFrame(
            {
                "_kind": [kind] * count,
                "_place": place,
                "facility_code": [f"{code}{FIRST_NUMBER[kind] + i:03d}" for i in range(count)],
                "_name": [f"{NAMES[kind]} {i + 1} ({code})" for i in range(count)],
                "ownership_code": [
                    "CL" if kind == "BV" and i % 6 != 5 else "TN" for i in range(count)
                ],
                "_beds": (beds if kind in BEDS_PER_10K else 0 * beds).astype(np.int64),
                "_phase": rng.random(count),
                # Newly licensed places without listed staff: only they are ever damaged, so a
                # quarantined facility takes no staff row with it.
                "_has_staff": [kind == "BV" or i % 3 != 2 for i in range(count)],
                "_weight": share * people / (province.size_2024),
            }
        )

    @cached_property
    def station_codes(self) -> pl.Series:
        """Facility code of the station of each place."""
        return self.facilities.filter(pl.col("_kind") == "TYT")["facility_code"]

    def facilities_of(self, month: Month) -> pl.DataFrame:
        """The register of the month: one station per commune, beds that grow slowly."""
        geography = self.province.geography
        place = self.facilities["_place"].to_numpy()
        unit = geography.unit[month.era][place]
        names = {int(code): c.name_vi for code, c in geography.communes[month.era].items()}
        is_station = self.facilities["_kind"].to_numpy() == "TYT"
        kept = ~is_station | (geography.station[month.era][place] == place)
        grown = pl.col("_beds") * 0.03 * month.index / 12 + pl.col("_phase")
        return (
            self.facilities.with_columns(
                _unit=pl.Series(unit),
                _delivered=pl.Series(self.province.is_delivered(place, month) & kept),
                planned_beds=pl.when(pl.col("_beds") > 0)
                .then(pl.col("_beds") + grown.floor().cast(pl.Int64))
                .otherwise(0),
                _commune=pl.Series([names.get(int(code), "") for code in unit]),
            )
            .filter("_delivered")
            .sort("facility_code")
            .with_columns(
                facility_name=pl.when(pl.col("_kind") == "TYT")
                .then(pl.lit("Trạm y tế ") + pl.col("_commune"))
                .otherwise("_name"),
                facility_type_code=pl.col("_kind"),
                unit_code=unit_code_of("_unit"),
                actual_beds=pl.col("planned_beds") + (pl.col("planned_beds") // 9),
            )
        )

    # ------------------------------------------------------------------ staff

    @cached_property
    def _staff(self) -> pl.DataFrame:
        """One row per person and registration, for all months."""
        province, rng = self.province, stream(self.province.seed, "staff")
        fit = (province.birth_year >= 1967) & (province.birth_year <= 1998)
        candidates = np.flatnonzero(fit & (province.death == NEVER))
        candidates = rng.permutation(candidates)
        parts, taken = [], 0
        for profession, (rate, places) in PROFESSIONS.items():
            count = min(max(round(rate * province.size_2024 / 10_000), 2), len(candidates) - taken)
            people = candidates[taken : taken + count]
            taken += count
            degrees, shares = zip(*DEGREES[profession], strict=True)
            degree = np.searchsorted(np.cumsum(shares)[:-1], spread(rng, count), side="right")
            parts.append(
                pl.DataFrame(
                    {
                        "_person": people,
                        "profession_code": [profession] * count,
                        "degree_code": np.array(degrees)[degree],
                        "_facility": self._workplaces(rng, places, count),
                        "_other": self._workplaces(rng, {"PKDK": 0.5, "PK": 0.5}, count),
                        # Most were there before 2024; the others join month by month.
                        "_from": np.where(spread(rng, count) < 0.88, 0, rng.integers(1, 48, count)),
                        "_leaves": np.where(
                            rng.random(count) < 0.04, rng.integers(-6, 60, count), 999
                        ),
                        "_twice": rng.random(count) < (0.05 if profession == "BS" else 0.0),
                    }
                )
            )
        staff = pl.concat(parts)
        main = staff.with_columns(is_main_workplace=pl.lit("1"))
        second = staff.filter(pl.col("_twice") & (pl.col("_other") != pl.col("_facility")))
        second = second.with_columns(_facility="_other", is_main_workplace=pl.lit("0"))
        return pl.concat([main, second])

    def _workplaces(
        self, rng: np.random.Generator, kinds: dict[str, float], count: int
    ) -> np.ndarray:
        facilities = self.facilities
        weight = facilities["_weight"].to_numpy() * facilities["_has_staff"].to_numpy()
        chance = np.zeros(len(weight))
        for kind, share in kinds.items():
            inside = facilities["_kind"].to_numpy() == kind
            chance[inside] = share * weight[inside] / weight[inside].sum()
        bounds = np.cumsum(chance) / chance.sum()
        return np.minimum(np.searchsorted(bounds, spread(rng, count)), len(chance) - 1)

    def staff_of(self, month: Month) -> pl.DataFrame:
        """Staff rows of the month; people of a closed station work at the one that stayed."""
        province, geography = self.province, self.province.geography
        staff = self._staff.filter(pl.col("_from") <= month.index)
        facility = staff["_facility"].to_numpy()
        place = self.facilities["_place"].to_numpy()[facility]
        # Stations are the first rows, one per place: their row number is their place.
        is_station = facility < len(geography.province)
        facility = np.where(is_station, geography.station[month.era][place], facility)
        place = np.where(is_station, facility, place)
        person = staff["_person"].to_numpy()
        return (
            staff.with_columns(
                _unit=pl.Series(geography.unit[month.era][place]),
                _delivered=pl.Series(province.is_delivered(place, month)),
                facility_code=self.facilities["facility_code"].gather(facility),
                person_key=province.citizen_number.gather(person),
                full_name=province.full_name.gather(person),
                licence_key=pl.format(
                    "{}/QNG-CCHN", pl.col("_person").cast(pl.String).str.zfill(7)
                ),
                birth_month=dates(province.birth[person]),
                sex_code=pl.Series(province.sex[person]).cast(pl.String),
                work_status_code=pl.when(pl.col("_leaves") <= month.index)
                .then(pl.lit("NGHI"))
                .otherwise(pl.lit("DLV")),
            )
            .filter("_delivered")
            .sort("facility_code", "_person")
        )


@lru_cache(maxsize=2)
def health_of(province: Province) -> Health:
    """The one health system of a province: every file of it is drawn from the same places."""
    return Health(province)
