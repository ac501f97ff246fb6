"""Valid deliveries to damage: those of the corpus that load, and a longer one of every kind."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

from loaders.contracts.model import Dataset
from tests.deliveries.build import build
from tests.deliveries.case import Case, all_cases, contract_of


@dataclass(frozen=True)
class Seed:
    """A delivery that loads. ``personal``: texts that may stand in no message."""

    name: str
    dataset: Dataset = field(repr=False)
    period: str
    content: bytes = field(repr=False)
    stated_rows: int | None
    personal: tuple[str, ...] = field(repr=False)

    @property
    def reader(self) -> str:
        return self.dataset.extension.reader.name


@cache
def seeds() -> dict[str, list[Seed]]:
    """Reader → its deliveries."""
    found: dict[str, list[Seed]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for name, case in all_cases().items():
            if _loads_alone(case):
                seed = _seed(name, case, Path(folder))
                found[seed.reader].append(seed)
    return dict(found)


def _loads_alone(case: Case) -> bool:
    loads = case.expect.loaded is not None or case.expect.loaded_rows is not None
    return bool(loads and case.file and not case.before and not case.corrections)


def _seed(name: str, case: Case, folder: Path) -> Seed:
    assert case.file is not None
    dataset = contract_of(case, folder).datasets[0]
    note = case.note if isinstance(case.note, dict) else {}
    stated = note.get("control_totals", {}).get("rows")
    return Seed(name, dataset, case.period, build(case.file), stated, tuple(case.personal))


MEMBERS_HEADER = (
    "KY;SO_DINH_DANH;MA_SO_BHXH;HO_TEN;NGAY_SINH;GIOI_TINH;MA_DAN_TOC;MA_XA;MA_THE;TU_NGAY;"
    "DEN_NGAY;MA_CSKCB"
)


def members(rows: int, random: Random) -> tuple[bytes, tuple[str, ...]]:
    """A card list with quoted names, and the personal texts in it."""
    lines, personal = [MEMBERS_HEADER], []
    for number in range(rows):
        person, name = f"051185{random.randrange(10**6):06d}", f"Nguyễn Thị Hoa {number:04d}"
        insurance = f"51{random.randrange(10**8):08d}"
        personal += [person, insurance, name]
        shown = f'"{name}; ""Bé"""' if number % 5 == 0 else name
        lines.append(
            f"06/2025;{person};{insurance};{shown};17/03/1985;2;01;21010;GD451{insurance};"
            "01/01/2025;31/12/2025;51001"
        )
    return ("\ufeff" + "\n".join(lines) + "\n").encode(), tuple(personal)
