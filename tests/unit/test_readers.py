"""Readers take files as agencies send them, and refuse what cannot be read with a clear reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loaders.readers import Limits, ReaderError, Table, read_csv, read_jsonstat
from loaders.readers.base import check_headers


def rows(table: Table) -> list[dict[str, Any]]:
    return [row for batch in table.batches if batch.frame.width for row in batch.frame.to_dicts()]


def test_csv_keeps_row_numbers_around_rows_that_cannot_be_split(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('\ufeffA;B\n1;"x;y"\n2\n3; z \n4;a;b\n5;\n', "utf-8")
    table = read_csv(path, Limits(), delimiter=";", encoding="utf-8-sig")
    batches = list(table.batches)
    assert table.headers == ["A", "B"]
    assert [(r["_row_number"], r["A"], r["B"]) for b in batches for r in b.frame.to_dicts()] == [
        (1, "1", "x;y"),
        (3, "3", "z"),
        (5, "5", None),
    ]
    broken = [row for batch in batches for row in batch.broken]
    assert [row.row_number for row in broken] == [2, 4]
    assert broken[1].reason_en == "the row has 3 cells, 2 are needed"


def test_csv_of_only_broken_rows_loses_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("A,B\n1\n2\n", "utf-8")
    assert [r.row_number for batch in read_csv(path, Limits()).batches for r in batch.broken] == [
        1,
        2,
    ]


def test_csv_in_blocks_numbers_rows_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.readers.delimited.BLOCK_BYTES", 64)
    path = tmp_path / "a.csv"
    lines = [f"{i},{'x' * 10}" if i % 7 else f"{i}" for i in range(1, 101)]
    path.write_text("A,B\n" + "\n".join(lines) + "\n", "utf-8")
    batches = list(read_csv(path, Limits()).batches)
    assert len(batches) > 5
    good = [r for b in batches if b.frame.width for r in b.frame.to_dicts()]
    assert all(int(row["A"]) == row["_row_number"] for row in good)
    broken = [row.row_number for batch in batches for row in batch.broken]
    assert sorted([row["_row_number"] for row in good] + broken) == list(range(1, 101))


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_csv_without_a_header_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(ReaderError, match="no header row; ask for the file again"):
        read_csv(path, Limits())


def test_csv_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("A,B\n1,Quảng Ngãi\n".encode("utf-16-le"))
    with pytest.raises(ReaderError, match=r"not readable as utf-8: .* look like utf-16-le"):
        rows(read_csv(path, Limits()))


def test_csv_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("A,A\n1,2\n", "utf-8")
    with pytest.raises(ReaderError, match="stand twice"):
        check_headers(read_csv(path, Limits()).headers, ["A"])


def test_a_row_of_data_in_place_of_the_header_is_not_shown() -> None:
    with pytest.raises(ReaderError) as caught:
        check_headers(["051185000001", "Hoa", "Hoa"], ["SO_DINH_DANH", "HO_TEN", "CHU_HO"])
    assert "found 3 other cells (not shown: they may be data)" in str(caught.value)
    assert "Hoa" not in str(caught.value)


def test_a_wrong_header_names_both_lists_and_the_closest_match() -> None:
    with pytest.raises(ReaderError) as caught:
        check_headers(["KY", "MA_THE_BHYT"], ["KY", "MA_THE", "TU_NGAY"])
    message = str(caught.value)
    assert "missing ['MA_THE', 'TU_NGAY']" in message
    assert "unknown ['MA_THE_BHYT']" in message
    assert "'MA_THE' may be 'MA_THE_BHYT'" in message


def cube(values: Any) -> bytes:
    dimension = {
        "Cities, provincies": {
            "category": {
                "index": {"0": 0, "1": 1},
                "label": {"0": " WHOLE COUNTRY", "1": "Quang  Ngai"},
            }
        },
        "Year": {
            "category": {"index": {"0": 0, "1": 1}, "label": {"0": "2023", "1": "Prel. 2024"}}
        },
        "id": ["Cities, provincies", "Year"],
        "size": [2, 2],
    }
    return json.dumps({"dataset": {"dimension": dimension, "value": values}}).encode() + b"\x00"


def test_jsonstat_as_the_office_sends_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(cube([100309.2, 101343.7, 1255.5, None]))
    table = read_jsonstat(path, Limits())
    assert table.headers == ["Cities, provincies", "Year", "value"]
    assert [list(row.values())[:4] for row in rows(table)] == [
        ["WHOLE COUNTRY", "2023", "100309.2", 1],
        ["WHOLE COUNTRY", "Prel. 2024", "101343.7", 2],
        ["Quang Ngai", "2023", "1255.5", 3],
        ["Quang Ngai", "Prel. 2024", None, 4],
    ]


def test_jsonstat_in_its_sparse_form(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(cube({"3": 7}))
    assert [row["value"] for row in rows(read_jsonstat(path, Limits()))] == [None, None, None, "7"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (cube([1, 2, 3]), "span 4 cells but 3 values came"),
        (cube([1, 2, 3, 4])[:-40], "not JSON"),
        (b'{"error": "timeout"}', "no json-stat dataset"),
    ],
)
def test_jsonstat_that_was_cut_off_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ReaderError, match=reason):
        read_jsonstat(path, Limits())


def test_csv_takes_a_delimiter_too_many_at_the_end_of_each_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("A,B,,\n1,2,,\n3,4,,x\n5,,,\n", "utf-8")
    table = read_csv(path, Limits())
    assert table.headers == ["A", "B"]
    (batch,) = table.batches
    assert batch.frame.select("A", "B", "_row_number").rows() == [("1", "2", 1), ("5", None, 3)]
    assert [(row.row_number, row.reason_en) for row in batch.broken] == [
        (2, "a cell stands beyond the last column of the header")
    ]


@pytest.mark.parametrize(
    "line",
    [
        "SO_DINH_DANH,HO_TEN051185000001,Nguyễn Thị Hoa",
        "SO_DINH_DANH,HO_TENNguyễn Thị Hoa,Lê Ái",
        "SO_DINH_DANH,17/03/1985",
    ],
)
def test_a_row_of_data_in_the_line_of_the_header_is_not_shown(line: str) -> None:
    with pytest.raises(ReaderError, match="seems to hold data too; ask for a corrected") as caught:
        check_headers(line.split(","), ["SO_DINH_DANH", "HO_TEN"])
    assert not any(secret in str(caught.value) for secret in ("051185", "Hoa", "1985"))


def test_a_long_header_is_shown_in_part() -> None:
    with pytest.raises(ReaderError, match=r"unknown \['A{100}…'\]; ask"):
        check_headers(["KY", "A" * 70_000], ["KY"])


@pytest.mark.parametrize(
    "rows", ['1,"x\n2,y"\n', '1,"x\n2,y"', '1,"x\n2,y","z"\n', '1,"x\r2,y"\n3,z']
)
def test_a_quote_that_swallows_one_row_is_refused(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("A,B\n" + rows, "utf-8", newline="")
    with pytest.raises(ReaderError, match="about row 1: a cell between quotes holds whole rows"):
        list(read_csv(path, Limits()).batches)
