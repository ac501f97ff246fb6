"""Deliveries of insured members: a file of a few rows, its corrections, the tables it needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg

from loaders.contracts.model import Dataset, load_contracts
from loaders.postgres.database import Role, connect
from loaders.stages.gate import ensure_raw_tables
from tests.conftest import Warehouse

SOURCE, DATASET = "social_insurance", "health_insurance_members"
HEADER = (
    "KY;SO_DINH_DANH;MA_SO_BHXH;HO_TEN;NGAY_SINH;GIOI_TINH;MA_DAN_TOC;MA_XA;MA_THE;TU_NGAY;"
    "DEN_NGAY;MA_CSKCB"
)


def row(number: int, *, month: str = "06/2025", sex: str = "2", unit: str = "21010") -> str:
    return (
        f"{month};051185{number:06d};51{number:08d};Nguyễn Thị Hoa;17/03/1985;{sex};01;{unit};"
        f"GD451{5100000000 + number};01/01/2025;31/12/2025;51001"
    )


def deliver(
    warehouse: Warehouse,
    rows: list[str],
    period: str = "2025-06",
    header: str = HEADER,
    **note: Any,
) -> Path:
    folder = warehouse.inbox / SOURCE / period
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"DS_THE_BHYT_{period.replace('-', '')}.csv"
    path.write_text("\ufeff" + "\n".join([header, *rows]) + "\n", "utf-8")
    side_car = path.with_name(path.name + ".delivery.json")
    side_car.write_text(json.dumps({"data_label": "sample", **note}), "utf-8")
    return path


CORRECTIONS_HEADER = "row_number,sheet,column,expect,value,reason,by"


def correct(path: Path, *lines: str) -> Path:
    corrections = path.with_name(path.name + ".corrections.csv")
    corrections.write_text("\n".join([CORRECTIONS_HEADER, *lines]) + "\n", "utf-8")
    return corrections


def prepare_raw(connection: psycopg.Connection) -> list[Dataset]:
    """The raw tables of every dataset, which are given back."""
    datasets = [dataset for contract in load_contracts() for dataset in contract.datasets]
    ensure_raw_tables(connection, datasets)
    return datasets


def prepare() -> None:
    """The raw tables, and one commune: 21010."""
    with connect(Role.LOADER) as connection:
        prepare_raw(connection)
    with connect(Role.TRANSFORMER) as connection:
        connection.execute(
            "create table reference.geo_unit as"
            " select 'commune' as unit_level, '21010' as unit_code,"
            " date '2004-01-01' as valid_from, null::date as valid_to, '51' as old_province_code"
        )
