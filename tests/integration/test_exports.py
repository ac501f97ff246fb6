"""Every exported file of a release against the marts, cell by cell."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from loaders.exports.workbook import HIDDEN
from loaders.postgres.database import Role, connect
from loaders.report import words, write_release_report
from tests import exported
from tests.candidate_marts import FORMULA, HOSTILE, values
from tests.conftest import Warehouse
from tests.exported import VALUES, Row, in_order
from tests.integration.exports import LICENCE, SECOND, Published, bytes_of, publish_two
from tests.report_pages import parse


@pytest.fixture(scope="module")
def published(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish_two(warehouse.home, tmp_path_factory.mktemp("kept"))


# --- every format against the marts -------------------------------------------------------------


@pytest.mark.parametrize("read", [exported.read_csv, exported.read_parquet])
def test_every_mart_comes_back_from_csv_and_parquet(published: Published, read: Any) -> None:
    folder = published.folder / ("csv" if read is exported.read_csv else "parquet")
    assert len(published.marts) > 10 and len(published.marts[VALUES]) == len(values())
    assert {path.name.partition(".")[0] for path in folder.iterdir()} == set(published.marts)
    for mart, rows in published.marts.items():
        found = read(folder, mart)
        if rows:
            assert list(found[0]) == list(rows[0])
        assert in_order(found) == in_order(rows), mart


def test_parquet_is_typed_and_says_what_it_is(published: Published) -> None:
    file = pq.ParquetFile(published.folder / "parquet" / f"{VALUES}.parquet")
    schema = file.schema_arrow
    assert str(schema.field("value").type) == "decimal128(38, 10)"
    assert str(schema.field("contributors").type) == "int64"
    assert schema.field("value").metadata == {b"description": "Cột value / Column value".encode()}
    told = {key.decode(): text.decode() for key, text in schema.metadata.items()}
    assert (told["release_id"], told["licence_note"]) == (SECOND, LICENCE)
    assert len(told["release_hash"]) == 64 and told["data_labels"] == "real,sample"
    assert json.loads(told["columns"])["kpi_id"] == "Cột kpi_id / Column kpi_id"
    units = pq.ParquetFile(published.folder / "parquet" / "dim_unit.parquet").schema_arrow
    assert str(units.field("valid_from").type) == "date32[day]"


def test_every_figure_comes_back_from_json(published: Published) -> None:
    found = exported.values_of_json(published.folder / "json")
    assert in_order(found) == in_order(published.marts[VALUES])
    assert {path.stem for path in (published.folder / "json" / "kpis").iterdir()} == {
        row["kpi_id"] for row in published.marts["dim_kpi"]
    }
    for name, mart in (("scorecard", "scorecard"), ("units", "dim_unit"), ("kpis", "dim_kpi")):
        document = exported.read_json(published.folder / "json" / f"{name}.json")
        rows = document[name]
        for row in rows:
            row.pop("href", None)
        wanted = [
            {k: str(v) if hasattr(v, "year") else v for k, v in row.items()}
            for row in published.marts[mart]
        ]
        assert in_order(rows) == in_order(wanted), name


def test_every_figure_comes_back_from_sdmx(published: Published) -> None:
    found = exported.values_of_sdmx(published.folder / "sdmx")
    wanted = []
    for row in published.marts[VALUES]:
        told = {name: text for name, text in row.items() if not name.startswith("caveat")}
        caveats = filter(None, (row["caveat_vi"], row["caveat_en"]))
        wanted.append(told | {"caveat": " / ".join(caveats) or None})
    # By way of a double, as the reader takes numbers: equal to fifteen digits.
    assert in_order(map(_shortened, found)) == in_order(map(_shortened, wanted))


def _shortened(row: Row) -> Row:
    figures = ("value", "numerator", "denominator", "contributors")
    return row | {
        name: None if row[name] is None else f"{float(row[name]):.14e}" for name in figures
    }


def test_every_figure_of_the_workbook_is_that_of_the_marts(published: Published) -> None:
    sheets = exported.read_sheets(published.folder / "xlsx" / f"nq42_{SECOND}.xlsx")
    assert [name.partition(" ")[0] for name in sheets] == [
        *("Thông", "Bảng", "Theo", "Chuỗi", "Từ"),
    ]
    found = exported.values_of_sheets(sheets)
    kpis = {row["kpi_id"]: row["name_vi"] for row in published.marts["dim_kpi"]}
    marts = {tuple(row[name] for name in exported.KEY): row for row in published.marts[VALUES]}
    assert marts
    for row in found:
        key = tuple(
            row[name]
            for name in (
                *("KPI id", "Data label", "Series", "Period", "Boundary", "Unit code"),
                *("Breakdown", "Breakdown value"),
            )
        )
        mart = marts.pop(key)
        for name in ("value", "numerator", "denominator"):
            shown, figure = row[name.capitalize()], mart[name]
            assert shown == (None if figure is None else float(figure)), (key, name)
        assert (row["Hidden"] == HIDDEN) is mart["is_suppressed"]
        assert row["KPI"] == kpis[row["KPI id"]]
    # The workbook leaves out communes' periods before the latest, as its first sheet says.
    assert [key[3] for key in marts] == ["2025-06"]
    assert {row["unit_level"] for row in marts.values()} == {"commune"}


def test_the_scorecard_sheet_speaks_in_words(published: Published) -> None:
    sheets = exported.read_sheets(published.folder / "xlsx" / f"nq42_{SECOND}.xlsx")
    title, header, first, *_ = sheets["Bảng điểm - Scorecard"]
    assert title[0] == f"DỮ LIỆU MẪU / SAMPLE DATA · {SECOND}"
    row = dict(zip((text.split("\n")[1] for text in header), first, strict=True))
    assert row["Verdict"] == "●○○ Tiến bộ hạn chế / Limited progress"
    assert (row["Value"], row["Score"]) == (94.126, -0.25)
    assert row["Target"] == "≥\xa095,5\xa0%" and row["Target year"] == "2030"
    dictionary = sheets["Từ điển - Dictionary"]
    assert ["dim_kpi", "kpi_id", "text", "Cột kpi_id", "Column kpi_id"] in dictionary
    columns = sum(len(rows[0]) for rows in published.marts.values() if rows)
    assert len(dictionary) >= 2 + columns
    about = dict(row[:2] for row in sheets["Thông tin - About"])
    assert about["Bản công bố / Release"] == SECOND and about["Giấy phép / Licence"] == LICENCE
    assert SECOND in about["Trích dẫn"] and SECOND in about["How to cite"]


def test_the_month_report_prints_the_exported_figures(published: Published) -> None:
    page = parse(Path(write_release_report()).read_text(encoding="utf-8"))
    printed = [strong.text for table in page.all("table") for strong in table.all("strong")]
    scorecard = exported.read_json(published.folder / "json" / "scorecard.json")["scorecard"]
    shown = [row for row in scorecard if row["value"] is not None]
    assert len(shown) == 2
    for row in shown:
        text = words.quantity(row["value"], row["decimals"], row["unit_vi"])
        assert text in printed, (text, printed)


# --- what must not happen -----------------------------------------------------------------------


def test_a_name_that_is_a_formula_ends_harmless_and_comes_back(published: Published) -> None:
    content = (published.folder / "csv" / "dim_kpi.csv").read_bytes()
    cells = [text for line in exported.csv_cells(content) for text, _ in line]
    assert "'" + FORMULA in cells and "''ngoặc" in cells and "tên; '=1+1\n'+2, 'a'" in cells
    for path in (published.folder / "csv").glob("*.csv"):
        for line in exported.csv_cells(path.read_bytes()):
            for text, is_quoted in line:
                parts = re.split(r"[;\t\r\n]", text) if is_quoted else []
                assert not [part for part in parts if re.match(r'[ "]*[=+\-@]', part)], text
    sheets = exported.read_sheets(published.folder / "xlsx" / f"nq42_{SECOND}.xlsx")
    shown = {value for rows in sheets.values() for row in rows for value in row}
    assert {FORMULA, HOSTILE} <= shown
    sdmx = (published.folder / "sdmx" / "kpi_values.csv").read_text(encoding="utf-8")
    for text in re.split(r"[,;\t\r\n]", sdmx):
        assert not re.match(r'[ "]*[=+@]', text) and (text[:1] != "-" or float(text) < 0)


def test_no_export_holds_a_hidden_figure(published: Published) -> None:
    for rows in (
        exported.read_csv(published.folder / "csv", VALUES),
        exported.read_parquet(published.folder / "parquet", VALUES),
        exported.values_of_json(published.folder / "json"),
        exported.values_of_sdmx(published.folder / "sdmx"),
    ):
        hidden = [row for row in rows if row["is_suppressed"]]
        assert len(hidden) == 2
        for row in hidden:
            assert (row["value"], row["numerator"], row["contributors"]) == (None, None, None)


def test_real_and_sample_figures_carry_their_label_in_every_row(published: Published) -> None:
    for rows in (
        exported.read_csv(published.folder / "csv", VALUES),
        exported.values_of_json(published.folder / "json"),
        exported.values_of_sdmx(published.folder / "sdmx"),
    ):
        assert {row["data_label"] for row in rows} == {"real", "sample"}
    sheets = exported.read_sheets(published.folder / "xlsx" / f"nq42_{SECOND}.xlsx")
    labels = {row["Data label"] for row in exported.values_of_sheets(sheets)}
    assert labels == {"real", "sample"}


# --- release, hash and licence ------------------------------------------------------------------


def test_every_file_carries_release_hash_and_licence(published: Published) -> None:
    manifest = exported.read_json(published.folder / "manifest.json")
    wanted = [SECOND, manifest["release_hash"], LICENCE]
    with connect(Role.AUDITOR) as connection:
        (event,) = connection.execute(
            "select e.hash from audit.event as e where e.kind = 'release.published'"
            " and e.payload -> 'row' ->> 'release_id' = %s",
            (SECOND,),
        ).fetchone()
    assert event == manifest["release_hash"]
    for path in manifest["files"]:
        file = published.folder / path
        if path.endswith(".xlsx"):
            sheets = exported.read_sheets(file)
            text = repr(sheets["Thông tin - About"])
        elif path.endswith(".parquet"):
            text = repr([v.decode() for v in pq.ParquetFile(file).schema_arrow.metadata.values()])
        else:
            beside = file.with_name(f"{file.name}-metadata.json")
            text = (beside if path.endswith(".csv") else file).read_text(encoding="utf-8")
        assert [part for part in wanted if part not in text] == [], path


def test_the_manifest_counts_and_its_sums_are_checked_by_other_tools(published: Published) -> None:
    manifest = exported.read_json(published.folder / "manifest.json")
    assert manifest["marts"][VALUES]["rows"] == len(values())
    assert in_order(manifest["release_checksum"]) == in_order(published.marts["release_checksum"])
    assert manifest["files"][f"csv/{VALUES}.csv"]["rows"] == len(values())
    on_disk = bytes_of(published.folder)
    assert set(on_disk) == {*manifest["files"], "manifest.json", "SHA256SUMS"}
    for path, known in manifest["files"].items():
        assert known["sha256"] == hashlib.sha256(on_disk[path]).hexdigest()
        assert known["bytes"] == len(on_disk[path])
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=published.folder, check=False).returncode == 0
    assert len(on_disk["SHA256SUMS"].splitlines()) == len(on_disk) - 1
