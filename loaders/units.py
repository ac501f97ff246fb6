"""From the name of an administrative unit, as an agency writes it, to the code of that day.

A name is resolved only when it is one unit's name on the day, but for spellings that mean the
same (case, spaces, Unicode forms, place of the tone mark, Lý/Lí, Đắk/Đăk, Eth for Đ, and in names
of highland languages the Vietnamese marks). Everything else is left to a person, with the nearest
names. The units are the dbt seeds ``geo_unit`` and ``geo_crosswalk``; where another official list
has another name for a unit, it stands in ``unit_aliases.csv``.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import polars as pl

from loaders import unit_spelling as spelling
from loaders.contracts.cells import UnitName
from loaders.settings import PROJECT_ROOT

SEEDS_DIR = PROJECT_ROOT / "dbt_project" / "seeds"
ALIASES = Path(__file__).parent / "unit_aliases.csv"
ABOVE = {"commune": "district", "district": "province"}
#: Share of common letter pairs (Dice) from which on a name is worth showing, and how many are.
NEAR, SHOWN = 0.5, 3
TO_DO_VI = "hãy sửa tên bằng tệp hiệu chỉnh hoặc yêu cầu gửi lại tệp"
TO_DO_EN = "correct the name in a corrections file or ask for the file again"


@dataclass(frozen=True)
class Unit:
    """One dated version of a unit; ``valid_to`` is its last day, None while it lasts."""

    id: str
    code: str
    level: str
    name: str
    full_name: str
    kind: str
    parent_id: str
    valid_from: dt.date
    valid_to: dt.date | None
    aliases: tuple[str, ...] = ()

    @property
    def parent_code(self) -> str:
        return self.parent_id.partition("@")[0]

    def is_valid(self, day: dt.date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True)
class _Register:
    units: dict[str, Unit]
    successors: dict[str, list[str]]
    predecessors: dict[str, list[str]]

    def became(self, unit: Unit, day: dt.date) -> list[Unit]:
        """The units of the day that took over a unit which had ended by then."""
        return [u for u in self._walk(unit, self.successors) if u.is_valid(day)]

    def is_inside(self, unit: Unit, above: Unit) -> bool:
        """True where the unit above holds the unit, or held one that it was made of."""
        if unit.parent_code == above.code:
            return True
        parts = self._walk(unit, self.predecessors)
        return any(above.code in (part.code, part.parent_code) for part in parts)

    def _walk(self, unit: Unit, steps: dict[str, list[str]]) -> list[Unit]:
        found: dict[str, Unit] = {}
        coming = list(steps.get(unit.id, ()))
        while coming:
            unit_id = coming.pop(0)
            if unit_id not in found and unit_id != unit.id:
                found[unit_id] = self.units[unit_id]
                coming += steps.get(unit_id, ())
        return list(found.values())


@dataclass
class _Index:
    """Names of one level: on one day, or (day None) of all days."""

    exact: dict[str, list[Unit]] = field(default_factory=lambda: defaultdict(list))
    highland: dict[str, list[Unit]] = field(default_factory=lambda: defaultdict(list))
    pairs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    sizes: dict[str, int] = field(default_factory=dict)
    codes: dict[str, Unit] = field(default_factory=dict)

    def add(self, unit: Unit) -> None:
        for name in (unit.name, *unit.aliases):
            self.exact[spelling.key(name)].append(unit)
            if spelling.is_highland(name):
                self.highland[spelling.bare_key(name)].append(unit)
        pairs = spelling.pairs(unit.name)
        for pair in pairs:
            self.pairs[pair].append(unit.id)
        self.sizes[unit.id] = len(pairs)
        self.codes[unit.code] = unit

    def named(self, name: str) -> list[Unit]:
        found = self.exact.get(spelling.key(name)) or self.highland.get(spelling.bare_key(name))
        return list(found or ())

    def near(self, name: str) -> list[Unit]:
        wanted = spelling.pairs(name)
        common = Counter(unit_id for pair in wanted for unit_id in self.pairs.get(pair, ()))
        scores = {
            unit_id: 2 * count / (len(wanted) + self.sizes[unit_id])
            for unit_id, count in common.items()
        }
        best = sorted((-score, unit_id) for unit_id, score in scores.items() if score >= NEAR)
        return [_register().units[unit_id] for _, unit_id in best[:SHOWN]]


@lru_cache(maxsize=1)
def _register() -> _Register:
    units: dict[str, Unit] = {}
    aliases, successors, predecessors = (defaultdict(list) for _ in range(3))
    for row in _rows(ALIASES):
        aliases[row["unit_id"]].append(row["name_vi"])
    for row in _rows(SEEDS_DIR / "geo_unit.csv"):
        units[row["unit_id"]] = Unit(
            id=row["unit_id"],
            code=row["unit_code"],
            level=row["unit_level"],
            name=row["name_vi"],
            full_name=row["full_name_vi"],
            kind=row["unit_type_vi"].lower(),
            parent_id=row["parent_unit_id"],
            valid_from=dt.date.fromisoformat(row["valid_from"]),
            valid_to=dt.date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
            aliases=tuple(aliases[row["unit_id"]]),
        )
    for row in _rows(SEEDS_DIR / "geo_crosswalk.csv"):
        successors[row["old_unit_id"]].append(row["new_unit_id"])
        predecessors[row["new_unit_id"]].append(row["old_unit_id"])
    return _Register(units, dict(successors), dict(predecessors))


def _rows(path: Path) -> Iterable[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


@lru_cache(maxsize=64)
def _index(level: str, day: dt.date | None) -> _Index:
    index = _Index()
    for unit in _register().units.values():
        if unit.level == level and (day is None or unit.is_valid(day)):
            index.add(unit)
    return index


@dataclass(frozen=True)
class Refusal:
    """Why a name has no code, in Vietnamese and English."""

    reason_vi: str
    reason_en: str


class UnitNames:
    """Resolves the names of one column for the last day of a delivery's period."""

    def __init__(self, options: UnitName, day: dt.date) -> None:
        self.options, self.day = options, day
        self._names = _index(options.level, day)
        level = ABOVE.get(options.level)
        self._above = [(level, _index(level, day))] if level else []
        if level == "district" and not _index(level, day).codes:
            # Lists go on naming the district that was: it must have held a part of the commune.
            self._above = [("province", _index("province", day)), (level, _index(level, None))]

    def codes(self, name: pl.Expr, within: pl.Expr | None = None) -> pl.Expr:
        """The code of each name, null where there is none; each distinct name is resolved once."""
        upper = pl.lit(None, dtype=pl.String) if within is None else within
        pair = pl.struct(name.alias("name"), upper.alias("within"))
        return pair.map_batches(self._codes, return_dtype=pl.String, is_elementwise=True)

    def _codes(self, cells: pl.Series) -> pl.Series:
        frame = cells.struct.unnest()
        distinct = frame.filter(pl.col("name").is_not_null()).unique()
        resolved = [self.resolve(name, within) for name, within in distinct.iter_rows()]
        codes = [code if isinstance(code, str) else None for code in resolved]
        distinct = distinct.with_columns(pl.Series("code", codes, dtype=pl.String))
        return frame.join(
            distinct, on=["name", "within"], how="left", nulls_equal=True, maintain_order="left"
        ).get_column("code")

    def resolve(self, written: str, within: str | None = None) -> str | Refusal:
        """The code, or the reason why there is none."""
        kind, name, stated = spelling.split(written, self.options.level)
        found = self._names.named(name)
        if not found:
            return self._not_of_the_day(name)
        upper = self._upper(within)
        if isinstance(upper, Refusal):
            return upper
        if upper is not None:
            inside = [unit for unit in found if _register().is_inside(unit, upper)]
            if not inside:
                return _refusal(
                    f"không có tên này ở {_label(upper)}; có ở nơi khác: {_labels(found)}",
                    f"the name is not in {_label(upper)}; elsewhere: {_labels(found)}",
                )
            found = inside
        typed = [unit for unit in found if kind in (None, unit.kind)]
        if not typed and not self.options.ignore_type:
            return _refusal(
                f"sai loại đơn vị; ngày {_vi(self.day)} có: {_labels(found)}",
                f"another type of unit; on {self.day} there is: {_labels(found)}",
            )
        found = typed or found
        if len(found) > 1:
            return _refusal(
                f"tên trùng ở nhiều đơn vị: {_labels(found)}; cần tên đơn vị cấp trên",
                f"several units have this name: {_labels(found)}; the unit above is needed",
            )
        if stated not in (None, found[0].code):
            return _refusal(
                f"tên và mã ghi kèm ({stated}) không khớp; tên này là {_labels(found)}",
                f"name and stated code ({stated}) contradict; the name is {_labels(found)}",
            )
        return found[0].code

    def _upper(self, within: str | None) -> Unit | Refusal | None:
        """The unit above, by name or code; None where none is stated."""
        if within is None or not self._above:
            return None
        near: list[Unit] = []
        for level, index in self._above:
            if within.strip() in index.codes:
                return index.codes[within.strip()]
            kind, name, _ = spelling.split(within, level)
            named = index.named(name)
            found = [unit for unit in named if kind in (None, unit.kind)]
            if len(found) == 1:
                return found[0]
            near += named or index.near(name)
        return _refusal(
            f"không tìm thấy đơn vị cấp trên ngày {_vi(self.day)}; gần nhất: {_labels(near)}",
            f"the unit above is not found on {self.day}; nearest: {_labels(near)}",
        )

    def _not_of_the_day(self, name: str) -> Refusal:
        level = self.options.level
        other = _index(level, None).named(name)
        if other:
            return _refusal(
                f"tên không có hiệu lực ngày {_vi(self.day)}: "
                + "; ".join(self._lifetime(unit)[0] for unit in other),
                f"the name is not valid on {self.day}: "
                + "; ".join(self._lifetime(unit)[1] for unit in other),
            )
        if not self._names.codes:
            return _refusal(
                f"ngày {_vi(self.day)} không còn cấp này", f"no unit of this level on {self.day}"
            )
        near = self._names.near(name)
        return _refusal(
            f"tên đơn vị không tìm thấy; gần nhất: {_labels(near)}",
            f"the unit's name is not found; nearest: {_labels(near)}",
        )

    def _lifetime(self, unit: Unit) -> tuple[str, str]:
        first, last = unit.valid_from, unit.valid_to
        label = _label(unit)
        if last is None or first > self.day:
            return f"{label} chỉ có từ {_vi(first)}", f"{label} exists only from {first} on"
        vi = f"{label} có từ {_vi(first)} đến {_vi(last)}"
        en = f"{label} existed from {first} to {last}"
        became = _register().became(unit, self.day)
        if became:
            vi, en = f"{vi}, nay thuộc {_labels(became)}", f"{en}, now in {_labels(became)}"
        return vi, en


def _refusal(vi: str, en: str) -> Refusal:
    return Refusal(f"{vi}; {TO_DO_VI}", f"{en}; {TO_DO_EN}")


def _vi(day: dt.date) -> str:
    return day.strftime("%d/%m/%Y")


def _label(unit: Unit) -> str:
    """Name, code and, where there is a district, the district."""
    above = _register().units.get(unit.parent_id)
    where = f", {above.full_name}" if above and above.level == "district" else ""
    return f"{unit.full_name} ({unit.code}{where})"


def _labels(units: Iterable[Unit]) -> str:
    return ", ".join(_label(unit) for unit in units) or "—"
