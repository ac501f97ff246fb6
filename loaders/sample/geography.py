"""Where the invented people live: places below the communes, with the real dated units.

A place is the smallest area that never changes its shape between 2024 and 2027: part of one
commune in each era. So a person keeps the place while the code of the commune around it changes.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loaders.settings import PROJECT_ROOT

SEEDS_DIR = PROJECT_ROOT / "dbt_project" / "seeds"
#: First month of each era: the communes of 2024, those after the merger of 2025-01-01 and the
#: ones of the two-tier reform.
ERA_STARTS = ("2024-01", "2025-01", "2025-07")
FIRST_MONTH, LAST_MONTH = "2024-01", "2027-12"
KON_TUM_FROM = "2025-06"
REFORM = "2025-07"
#: Average population 2024 of the statistics office, persons, by old province.
POPULATION_2024 = {"51": 1_259_900, "62": 601_800}


class SampleError(ValueError):
    """The sample cannot be made; the message says what to change."""


@dataclass(frozen=True)
class Commune:
    """One commune as it stands in one era."""

    code: str
    name_vi: str
    province: str
    district_code: str
    is_urban: bool
    zone: str


@dataclass(frozen=True)
class Geography:
    """Places (arrays of length P) and communes by era.

    Attributes:
        province: old province of each place, ``51`` or ``62``.
        weight: expected persons in 2024 at scale 1.
        unit: era × P commune codes as integers, 0 where the place has no commune (the island
            district had none before the reform).
        station: era × P, the first place of the commune that holds the place.
        communes: one mapping code → commune per era.
        outdated: one list per era of codes that exist, but not in that era.
    """

    province: np.ndarray
    weight: np.ndarray
    unit: np.ndarray
    station: np.ndarray
    communes: tuple[dict[str, Commune], ...]
    outdated: tuple[list[str], ...]
    district: np.ndarray
    zone: np.ndarray


def era_of(period: str) -> int:
    """Index into :data:`ERA_STARTS` for a month.

    Raises:
        SampleError: a month outside 2024-01 … 2027-12.
    """
    if not FIRST_MONTH <= period <= LAST_MONTH:
        raise SampleError(f"month {period!r}: the sample covers {FIRST_MONTH} to {LAST_MONTH}")
    return sum(period >= start for start in ERA_STARTS) - 1


def delivered_provinces(period: str) -> tuple[str, ...]:
    """Old provinces whose people stand in the extracts of a month."""
    return ("51", "62") if period >= KON_TUM_FROM else ("51",)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise SampleError(f"{path} is missing: the sample takes its communes from the dbt seeds")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def _communes_of_era(rows: list[dict[str, str]], start: str) -> dict[str, Commune]:
    day = f"{start}-01"
    found = {}
    for row in rows:
        if row["unit_level"] != "commune" or row["old_province_code"] not in POPULATION_2024:
            continue
        if row["valid_from"] <= day and (not row["valid_to"] or day <= row["valid_to"]):
            found[row["unit_code"]] = Commune(
                code=row["unit_code"],
                name_vi=row["full_name_vi"] or row["name_vi"],
                province=row["old_province_code"],
                district_code=row["district_code"] if start < REFORM else "",
                is_urban=row["is_urban"].lower() == "true",
                zone=row["zone"],
            )
    return found


def _successors(
    levels: dict[str, str],
    crosswalk: list[dict[str, str]],
    before: dict[str, Commune],
    after: dict[str, Commune],
    start: str,
) -> list[tuple[str, str]]:
    """Pairs (code before, code after) on the first day of an era; "" where none was before."""
    pairs = set()
    for row in crosswalk:
        if row["effective_on"] != f"{start}-01":
            continue
        was_commune = levels.get(row["old_unit_id"]) == "commune"
        old = row["old_unit_id"].partition("@")[0] if was_commune else ""
        new = row["new_unit_id"].partition("@")[0]
        if new in after and (old in before or not old):
            pairs.add((old, new))
    known = {old for old, _ in pairs}
    for code in set(before) - known:
        if code not in after:
            raise SampleError(f"commune {code} ends before {start}-01 and no seed says into what")
        pairs.add((code, code))
    return sorted(pairs)


def read_geography(seeds: Path = SEEDS_DIR) -> Geography:
    """Places and their communes from ``geo_unit.csv`` and ``geo_crosswalk.csv``.

    Raises:
        SampleError: a seed is missing or does not carry every commune from era to era.
    """
    units, crosswalk = _read(seeds / "geo_unit.csv"), _read(seeds / "geo_crosswalk.csv")
    eras = tuple(_communes_of_era(units, start) for start in ERA_STARTS)
    levels = {row["unit_id"]: row["unit_level"] for row in units}
    first = _successors(levels, crosswalk, eras[0], eras[1], ERA_STARTS[1])
    second = _successors(levels, crosswalk, eras[1], eras[2], ERA_STARTS[2])
    chains = [
        (oldest, old, new)
        for old, new in second
        for oldest in ([o for o, n in first if n == old] if old else [""])
    ]
    missing = set(eras[2]) - {new for _, _, new in chains}
    if missing:
        raise SampleError(f"communes without a predecessor in the crosswalk: {sorted(missing)}")
    chains.sort(key=lambda chain: (chain[2], chain[1], chain[0]))
    register = {
        row["unit_code"]: float(row["register_population_2025"])
        for row in units
        if row["unit_level"] == "commune"
        and row["valid_from"] == f"{ERA_STARTS[2]}-01"
        and row["register_population_2025"]
    }
    unit = np.array([[int(code or 0) for code in chain] for chain in chains], dtype=np.int32).T
    return Geography(
        province=np.array([eras[2][new].province for *_, new in chains]),
        weight=_weights(chains, eras, register),
        unit=unit,
        station=_stations(unit),
        communes=eras,
        outdated=_outdated(units, eras),
        district=np.array([eras[0][c[0]].district_code if c[0] else "" for c in chains]),
        zone=np.array([eras[2][new].zone for *_, new in chains]),
    )


def _weights(
    chains: list[tuple[str, str, str]],
    eras: tuple[dict[str, Commune], ...],
    register: dict[str, float],
) -> np.ndarray:
    """Register population of the new commune, shared by its old ones, scaled to the province.

    The old communes' own populations are in no source: towns and wards get half as much again.
    """
    share = np.array([1.5 if o and eras[1][o].is_urban else 1.0 for _, o, _ in chains])
    halves = {}
    for chain in chains:
        halves[chain[1:]] = halves.get(chain[1:], 0) + 1
    share = share / np.array([halves[chain[1:]] for chain in chains])
    new = np.array([int(chain[2]) for chain in chains])
    codes, group = np.unique(new, return_inverse=True)
    total = np.array([register[str(code)] for code in codes])
    weight = share / np.bincount(group, weights=share)[group] * total[group]
    province = np.array([eras[2][chain[2]].province for chain in chains])
    for code, population in POPULATION_2024.items():
        inside = province == code
        weight[inside] *= population / weight[inside].sum()
    return weight


def _stations(unit: np.ndarray) -> np.ndarray:
    stations = np.empty_like(unit)
    for era, codes in enumerate(unit):
        _, first, group = np.unique(codes, return_index=True, return_inverse=True)
        stations[era] = first[group]
    return stations


def _outdated(
    units: list[dict[str, str]], eras: tuple[dict[str, Commune], ...]
) -> tuple[list[str], ...]:
    every = {row["unit_code"] for row in units if row["unit_level"] == "commune"}
    every |= {code for era in eras for code in era}
    return tuple(
        sorted(code for code in every - set(era) if len(code) == 5 and code.isdigit())
        for era in eras
    )
