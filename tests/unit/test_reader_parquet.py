"""Parquet files: exact texts, what is refused, damage."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from loaders.readers import Limits, ReaderError
from loaders.readers.parquet import read_parquet
from tests.unit.damaged import damaged, read_or_refuse, rows


def written(tmp_path: Path, columns: dict[str, Any], **options: Any) -> Path:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return path


MORNING = dt.datetime(2025, 6, 30, 9, 30)  # noqa: DTZ001
DAY = dt.datetime(2025, 6, 30)  # noqa: DTZ001
UTC = pa.timestamp("us", tz="UTC")


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([" Lê  Ái ", "", None]), ["Lê  Ái", None, None]),
        (pa.array(["x", None, "y"]).dictionary_encode(), ["x", None, "y"]),
        (pa.array([2**63 - 1, -1, None]), ["9223372036854775807", "-1", None]),
        (pa.array([2**64 - 1, 0, None], pa.uint64()), ["18446744073709551615", "0", None]),
        (pa.array([0.1, float("nan"), 2.0]), ["0.1", None, "2"]),
        (pa.array([0.1, 1.5, None], pa.float32()), ["0.1", "1.5", None]),
        (pa.array([True, False, None]), ["1", "0", None]),
        (
            pa.array([dt.date(2025, 6, 30), dt.date(1, 1, 1), None]),
            ["2025-06-30", "0001-01-01", None],
        ),
        (pa.array([DAY, MORNING, None]), ["2025-06-30", "2025-06-30T09:30:00", None]),
        (
            pa.array([MORNING.replace(microsecond=250_000), None, None]),
            ["2025-06-30T09:30:00.25", None, None],
        ),
        # Seven hours ahead: the evening before in UTC is the day in the province.
        (
            pa.array([dt.datetime(2025, 6, 29, 17, tzinfo=dt.UTC), None, None], UTC),
            ["2025-06-30", None, None],
        ),
        (pa.array([dt.time(9, 30), None, None]), ["09:30:00", None, None]),
        (
            pa.array([Decimal("1.50"), Decimal("-0.01"), None], pa.decimal128(20, 2)),
            ["1.50", "-0.01", None],
        ),
        (
            pa.array([Decimal("123456789012345678901234567890.12"), None, None]),
            ["123456789012345678901234567890.12", None, None],
        ),
        (pa.nulls(3), [None, None, None]),
    ],
)
def test_values_as_text(tmp_path: Path, values: pa.Array, texts: list[str | None]) -> None:
    table = read_parquet(written(tmp_path, {"Cột a.b": values}), Limits())
    assert table.headers == ["Cột a.b"]
    assert [row["Cột a.b"] for row in rows(table)] == texts


def test_rows_are_numbered_through_row_groups(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": range(120_000)}, row_group_size=30_000)
    batches = list(read_parquet(path, Limits()).batches)
    numbers = [n for batch in batches for n in batch.frame["_row_number"]]
    assert numbers == list(range(1, 120_001))
    assert max(batch.frame.height for batch in batches) <= 50_000


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array([[1]]), "'a' is of type list<"),
        (pa.array([{"b": 1}]), "'a' is of type struct<"),
        (pa.array([b"x"]), "'a' is of type binary"),
        (pa.array([dt.timedelta(1)]), "'a' is of type duration"),
    ],
)
def test_columns_that_are_no_text_are_refused(
    tmp_path: Path, values: pa.Array, message: str
) -> None:
    with pytest.raises(ReaderError, match=message):
        read_parquet(written(tmp_path, {"a": values}), Limits())


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_columns=1), "2 columns and 1000 rows, 1 and"),
        (Limits(max_rows=999), "50.* 999|1000 rows, 500 and 999"),
        (Limits(max_unpacked_bytes=100), "unfolds to .* bytes"),
    ],
)
def test_limits_hold(tmp_path: Path, limits: Limits, message: str) -> None:
    path = written(tmp_path, {"a": range(1000), "b": range(1000)})
    with pytest.raises(ReaderError, match=message):
        read_parquet(path, limits)


def test_one_long_text_in_every_row_is_refused_before_it_is_repeated(tmp_path: Path) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 50_000), pa.array(["x" * 1_000_000]))
    path = written(tmp_path, {"a": texts}, store_schema=False)
    assert path.stat().st_size < 200_000
    with pytest.raises(ReaderError, match="bytes of text: no list does"):
        rows(read_parquet(path, Limits()))
    small = pa.DictionaryArray.from_arrays(pa.array([0] * 50_000), pa.array(["x" * 1_000]))
    with pytest.raises(ReaderError, match="more than 200 times"):
        rows(read_parquet(written(tmp_path, {"a": small}), Limits()))


def test_encrypted_cut_off_and_other_files_are_refused(tmp_path: Path) -> None:
    content = written(tmp_path, {"a": range(1000)}).read_bytes()
    for bad, message in (
        (content[:-4] + b"PARE", "is encrypted"),
        (content[:-100], "not a readable Parquet file .* ask for the file again"),
        (b"", "not a readable Parquet file"),
        (b"a;b\n1;2\n", "not a readable Parquet file"),
    ):
        path = tmp_path / "bad.parquet"
        path.write_bytes(bad)
        with pytest.raises(ReaderError, match=message):
            rows(read_parquet(path, Limits()))


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    columns = {"a": ["x", None, "y"], "b": [1, 2, None]}
    path = written(tmp_path, columns, use_dictionary=False, data_page_version="2.0")
    assert [(r["a"], r["b"]) for r in rows(read_parquet(path, Limits()))] == [
        ("x", "1"),
        (None, "2"),
        ("y", None),
    ]
    path = written(tmp_path, columns, column_encoding={"a": encoding}, use_dictionary=False)
    with pytest.raises(ReaderError, match="DELTA encodings; ask for"):
        rows(read_parquet(path, Limits()))


def test_texts_that_are_no_utf_8_are_damage(tmp_path: Path) -> None:
    offsets, texts = pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")
    column = pa.Array.from_buffers(pa.string(), 1, [None, offsets, texts])
    with pytest.raises(ReaderError, match="not a readable Parquet file"):
        rows(read_parquet(written(tmp_path, {"a": column}), Limits()))


@pytest.mark.parametrize("name", ["", " ", "_sheet", "_row_number"])
def test_columns_without_a_name_of_their_own_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReaderError, match="no name for one"):
        read_parquet(written(tmp_path, {name: [1]}), Limits())


def test_a_name_that_is_a_pattern_is_a_name(tmp_path: Path) -> None:
    path = written(tmp_path, {"^.*$": [" a "], "b": [" "]})
    assert tuple(rows(read_parquet(path, Limits()))[0].values())[:2] == ("a", None)


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), path)
    with pytest.raises(ReaderError, match=r"stand twice in the file: \['a'\]"):
        read_parquet(path, Limits())


def sample() -> bytes:
    stream = io.BytesIO()
    columns = {
        "s": ["a", "b", None] * 20,
        "i": list(range(60)),
        "d": [DAY] * 60,
        "x": pa.array([Decimal("1.5")] * 60),
    }
    pq.write_table(
        pa.table(columns), stream, row_group_size=25, write_page_checksum=True, compression="NONE"
    )
    return stream.getvalue()


@settings(max_examples=200, deadline=None)
@given(damaged(sample(), (b"PAR1", b"\xff" * 8)))
def test_damaged_files_end_in_rows_or_a_refusal(content: bytes) -> None:
    read_or_refuse(content, lambda path: read_parquet(path, Limits()))
