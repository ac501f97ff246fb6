"""Valid deliveries to damage: those of the corpus that load, and a longer one of every kind."""

from __future__ import annotations

import gzip
import io
import tempfile
import zipfile
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random

from loaders.contracts.model import Dataset, get_dataset
from loaders.readers.unpack import Unpack
from tests.deliveries.build import build
from tests.deliveries.case import Case, all_cases, contract_of

#: Long deliveries have nothing that short ones lack, and take their time.
MAX_BYTES = 100_000


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
    def kind(self) -> str:
        reader = self.dataset.extension.reader
        return reader.unpack.format if reader.unpack else reader.name


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


@cache
def seeds() -> dict[str, list[Seed]]:
    """Reader, or way of packing → its deliveries."""
    found: dict[str, list[Seed]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for name, case in all_cases().items():
            if _loads_alone(case):
                seed = _seed(name, case, Path(folder))
                if len(seed.content) <= MAX_BYTES:
                    found[seed.kind].append(seed)
    listed = _members_seed()
    # Half of the cases are of the list that everything hangs on.
    found["csv"] += [listed] * len(found["csv"])
    for pack in ("zip", "gzip"):
        found[pack].append(_packed(listed, pack))
    return dict(found)


def _members_seed() -> Seed:
    content, personal = members(40, Random(42))
    dataset = get_dataset("social_insurance", "health_insurance_members")
    return Seed("members", dataset, "2025-06", content, None, personal)


def _packed(seed: Seed, pack: str) -> Seed:
    extension = seed.dataset.extension
    reader = extension.reader.model_copy(update={"unpack": Unpack(format=pack)})
    dataset = replace(seed.dataset, extension=extension.model_copy(update={"reader": reader}))
    if pack == "gzip":
        content = gzip.compress(seed.content, mtime=0)
    else:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("DS_THE_BHYT.csv"), seed.content)
        content = stream.getvalue()
    return replace(seed, name=f"{seed.name}, {pack}", dataset=dataset, content=content)


def _loads_alone(case: Case) -> bool:
    loads = case.expect.loaded is not None or case.expect.loaded_rows is not None
    return bool(loads and case.file and not case.before and not case.corrections)


def _seed(name: str, case: Case, folder: Path) -> Seed:
    assert case.file is not None
    dataset = contract_of(case, folder).datasets[0]
    note = case.note if isinstance(case.note, dict) else {}
    stated = note.get("control_totals", {}).get("rows")
    return Seed(name, dataset, case.period, build(case.file), stated, tuple(case.personal))
