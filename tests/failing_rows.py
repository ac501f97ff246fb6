"""Lists of cards of which almost every row fails one rule: at reading, or at the gate."""

from __future__ import annotations

import json
from pathlib import Path

from loaders.connectors.base import SIDE_CAR_SUFFIX
from loaders.contracts.model import get_dataset
from loaders.postgres.database import Role, connect
from loaders.stages.gate import ensure_raw_tables

SOURCE, DATASET = "social_insurance", "health_insurance_members"
UNIT, UNKNOWN_UNIT = "21010", "21999"
#: Rule → sex and commune of its failing rows.
CASES = {
    "contract.enum": ("9", UNIT),
    "hi_members.unit_valid_on_date": ("2", UNKNOWN_UNIT),
}
#: A list in which no row fails, for comparison.
SOUND = "no rule"
HEADER = (
    "KY;SO_DINH_DANH;MA_SO_BHXH;HO_TEN;NGAY_SINH;GIOI_TINH;MA_DAN_TOC;MA_XA;MA_THE;TU_NGAY;"
    "DEN_NGAY;MA_CSKCB"
)
#: One good row before each so many failing ones, so that good and failing rows share blocks.
FAILING_PER_GOOD = 20


def prepare() -> None:
    """The raw table of the cards, and the one commune that there is."""
    with connect(Role.LOADER) as connection:
        ensure_raw_tables(connection, [get_dataset(SOURCE, DATASET)])
    with connect(Role.TRANSFORMER) as connection:
        connection.execute(
            "create table reference.geo_unit as select 'commune' as unit_level,"
            " %s::text as unit_code, date '2004-01-01' as valid_from, null::date as valid_to,"
            " '51' as old_province_code",
            (UNIT,),
        )


def write_cards(inbox: Path, period: str, rule: str, failing: int) -> set[int]:
    """Write a list with so many rows that fail the rule; their row numbers.

    Of `SOUND` those rows are as good as the others.
    """
    year, month = period.split("-")
    path = inbox / SOURCE / period / f"DS_THE_BHYT_{year}{month}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    found: set[int] = set()
    with path.open("w", encoding="utf-8-sig") as stream:
        stream.write(HEADER + "\n")
        number = 0
        while len(found) < failing:
            number += 1
            is_good = number % (FAILING_PER_GOOD + 1) == 1
            sex, unit = CASES.get(rule, ("2", UNIT)) if not is_good else ("2", UNIT)
            if not is_good:
                found.add(number)
            stream.write(
                f"{month}/{year};051185{number:06d};51{number:08d};Nguyễn Thị Hoa;17/03/1985;{sex};"
                f"01;{unit};GD451{5100000000 + number};01/01/{year};31/12/{year};51001\n"
            )
    note = {"data_label": "sample", "control_totals": {"rows": number}}
    path.with_name(path.name + SIDE_CAR_SUFFIX).write_text(json.dumps(note), "utf-8")
    return found
