"""Fill an empty database as the code of one version did; run with that version's PYTHONPATH.

`python fill.py VERSION` takes the settings NQ42_DATABASE_URL, NQ42_HOME and NQ42_PSEUDONYM_KEY. Two
months of members are imported, one of them with a row for quarantine, and two releases are
published; a version that knows corrections judged again and approvals gets one of each.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from loaders.contracts.model import load_contracts
from loaders.postgres.database import Role, connect
from loaders.postgres.migrate import migrate
from loaders.settings import get_settings
from loaders.stages.gate import ensure_raw_tables
from loaders.stages.intake import import_dataset
from loaders.stages.publish import publish

SOURCE, DATASET = "social_insurance", "health_insurance_members"
HEADER = (
    "KY;SO_DINH_DANH;MA_SO_BHXH;HO_TEN;NGAY_SINH;GIOI_TINH;MA_DAN_TOC;MA_XA;MA_THE;TU_NGAY;"
    "DEN_NGAY;MA_CSKCB"
)


def deliver(month: str, numbers: range, wrong: int = 0) -> Path:
    """A list of invented members; the row of number `wrong` has a sex that there is not."""
    period = f"{month[3:]}-{month[:2]}"
    rows = [
        f"{month};051185{n:06d};51{n:08d};Người {n};17/03/1985;{9 if n == wrong else 2};01;21010;"
        f"GD451{5100000000 + n};01/01/2025;31/12/2025;51001"
        for n in numbers
    ]
    path = get_settings().inbox / SOURCE / period / f"DS_THE_BHYT_{period.replace('-', '')}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\ufeff" + "\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    note = path.with_name(path.name + ".delivery.json")
    note.write_text(json.dumps({"data_label": "sample"}), encoding="utf-8")
    return path


def take(period: str) -> None:
    found = import_dataset(SOURCE, DATASET, period)
    assert found.status == "accepted", found


def fill(version: int) -> None:
    """Everything that the version can hold."""
    name = "tests.candidates" if version >= 6 else "tests.integration.conftest"
    candidates = importlib.import_module(name)
    migrate()
    with connect(Role.LOADER) as connection:
        members = [d for c in load_contracts() for d in c.datasets if d.name == DATASET]
        ensure_raw_tables(connection, members)  # the others are made when it is upgraded
    with connect(Role.TRANSFORMER) as connection:
        connection.execute(
            "create table reference.geo_unit as"
            " select 'commune' as unit_level, '21010' as unit_code,"
            " date '2004-01-01' as valid_from, null::date as valid_to, '51' as old_province_code"
        )
    path = deliver("06/2025", range(1, 120), wrong=7)
    take("2025-06")
    candidates.make_candidate("2025-06-one", [{}, {"unit_code": "21028"}])
    publish("2025-06-one")
    if version >= 7:
        header = "row_number,sheet,column,expect,value,reason,by"
        line = "7,,GIOI_TINH,9,2,mistyped,the office"
        path.with_name(path.name + ".corrections.csv").write_text(f"{header}\n{line}\n", "utf-8")
        take("2025-06")
    deliver("07/2025", range(1, 121))
    take("2025-07")
    rows = [{}, {"unit_code": "21028", "value": 7}, {"period": "2025-07"}]
    candidates.make_candidate("2025-07-one", rows, period="2025-07", passed=version < 6)
    if version >= 6:
        answer_for("2025-07-one", candidates)
    publish("2025-07-one")


def answer_for(candidate_id: str, candidates: object) -> None:
    """The candidate waits with a warning, and somebody approves it."""
    audit = importlib.import_module("loaders.audit")
    approve = importlib.import_module("loaders.stages.approve").approve
    warning = {
        "rule_id": "kpi_value.share_within_limit",
        "rule_version": 1,
        "observed": "1 row",
        "description_vi": "Vượt quá 100 %",
        "description_en": "Exceeds 100 %",
    }
    candidates.judge_candidate(  # type: ignore[attr-defined]
        candidate_id, audit.GATE_WAITING, period="2025-07", warnings=[warning]
    )
    approve(candidate_id, by="Nguyễn Thị Lan", reason="checked with the office", account="test")


if __name__ == "__main__":
    fill(int(sys.argv[1]))
