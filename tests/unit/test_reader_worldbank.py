"""World Bank indicator files: years become rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

from loaders.readers import Limits, ReaderError
from loaders.readers.worldbank import HEADERS, read_worldbank
from tests.unit.damaged import damaged, read_or_refuse, rows

TITLES = (
    '\ufeff"Data Source","World Development Indicators",\n\n"Last Updated Date","2025-10-07",\n\n'
)
HEAD = '"Country Name","Country Code","Indicator Name","Indicator Code","2022","2023","2024",\n'
NAME = '"Unemployment, total (%)","SL.UEM.TOTL.ZS"'
VIETNAM = f'"Viet Nam","VNM",{NAME},"1.523","","1.431",\n'
OTHERS = f'"Lao ""PDR""","LAO",{NAME},"1.2","1.3","",\n"Aruba","ABW",{NAME},"","","",\n'
FILE = TITLES + HEAD + VIETNAM + OTHERS


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "API_SL.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_value_is_a_row_and_an_empty_cell_is_none(tmp_path: Path) -> None:
    table = read_worldbank(written(tmp_path, FILE.replace("\n", "\r\n")), Limits())
    assert table.headers == HEADERS
    assert [tuple(row.values()) for row in rows(table)] == [
        ("Viet Nam", "VNM", "Unemployment, total (%)", "SL.UEM.TOTL.ZS", "2022", "1.523", 1, ""),
        ("Viet Nam", "VNM", "Unemployment, total (%)", "SL.UEM.TOTL.ZS", "2024", "1.431", 2, ""),
        ('Lao "PDR"', "LAO", "Unemployment, total (%)", "SL.UEM.TOTL.ZS", "2022", "1.2", 3, ""),
        ('Lao "PDR"', "LAO", "Unemployment, total (%)", "SL.UEM.TOTL.ZS", "2023", "1.3", 4, ""),
    ]
    assert table.set_aside == {"no value": 5}


def test_some_countries(tmp_path: Path) -> None:
    path = written(tmp_path, FILE)
    table = read_worldbank(path, Limits(), countries=["VNM"])
    assert [row["Value"] for row in rows(table)] == ["1.523", "1.431"]
    assert table.set_aside == {"no value": 1, "other country": 2}
    with pytest.raises(ReaderError, match=r"no 'VNN' \(closest: 'VNM'\)"):
        rows(read_worldbank(path, Limits(), countries=["VNM", "VNN"]))


def test_lines_that_cannot_be_split_are_broken_rows(tmp_path: Path) -> None:
    bad = f'"Chad","TCD",{NAME},"1\n"Chad","TCD",{NAME},"1"\n"C","T",{NAME},"1","2","3","4"\n'
    path = written(tmp_path, (TITLES + HEAD + bad).encode() + b'"\xff",\n' + VIETNAM.encode())
    batches = list(read_worldbank(path, Limits()).batches)
    broken = [row for batch in batches for row in batch.broken]
    assert [row.row_number for row in broken] == [1, 2, 3, 4]
    assert [row.reason_en.removeprefix("broken line: ") for row in broken] == [
        "quotes do not match",
        "5 cells, 7 are needed",
        "8 cells, 7 are needed",
        "not UTF-8",
    ]
    assert [n for b in batches for n in b.frame["_row_number"]] == [5, 6]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "Year,LifeExpectancy\n1960,58.05\n",
        HEAD + VIETNAM,
        TITLES,
        TITLES + "\n" * 3 + VIETNAM,
        TITLES + HEAD.replace("Country Code", "Code") + VIETNAM,
        TITLES + HEAD.replace("2023", "Prel. 2023"),
        TITLES + HEAD[: HEAD.index('"2022"')] + "\n",
    ],
)
def test_other_layouts_are_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ReaderError, match="no World Bank indicator file: 'Data Source' in the"):
        read_worldbank(written(tmp_path, content), Limits())


def test_limits_hold(tmp_path: Path) -> None:
    path = written(tmp_path, FILE)
    with pytest.raises(ReaderError, match="3 years, 2 are allowed"):
        read_worldbank(path, Limits(max_columns=2))
    with pytest.raises(ReaderError, match="more than 3 rows"):
        rows(read_worldbank(path, Limits(max_rows=3)))
    endless = written(tmp_path, TITLES + HEAD + '"' + "x" * 17_000_000)
    with pytest.raises(ReaderError, match="line 6 has more than 16777216 bytes"):
        rows(read_worldbank(endless, Limits()))


@settings(max_examples=200, deadline=None)
@given(damaged(FILE.encode(), (b'"', b",", b'""', b"\r")))
def test_damaged_files_end_in_rows_or_a_refusal(content: bytes) -> None:
    read_or_refuse(content, lambda path: read_worldbank(path, Limits()))
    read_or_refuse(content, lambda path: read_worldbank(path, Limits(), countries=["VNM"]))
