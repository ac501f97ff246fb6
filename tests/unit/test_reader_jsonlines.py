"""JSON Lines: flat records, their versions, damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.readers import Limits, ReaderError, Table
from loaders.readers.jsonlines import read_jsonlines
from tests.unit.damaged import damaged, read_or_refuse, rows

VERSION = {"id": "idbanghi", "event": "sukien", "version": "phienban", "cancel": "HUY"}


def written(tmp_path: Path, *lines: str | bytes | dict[str, Any]) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b"\n".join(
            line
            if isinstance(line, bytes)
            else (line if isinstance(line, str) else json.dumps(line)).encode()
            for line in lines
        )
    )
    return path


def record(number: int, version: int | str, event: str = "SUA", **values: Any) -> dict[str, Any]:
    return {"idbanghi": f"R{number}", "sukien": event, "phienban": version, **values}


def broken(table: Table) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    batches = list(table.batches)
    good = [row for b in batches if b.frame.width for row in b.frame.to_dicts()]
    return good, [(row.row_number, row.reason_en) for b in batches for row in b.broken]


def test_values_stay_as_they_were_written(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '\ufeff{"a": 12345678901234567890, "b": 1.10, "c": true}',
        "",
        '{"b": 1E5, "c": false, "d": " Lê  ", "a": null}\r',
    )
    table = read_jsonlines(path, Limits())
    assert table.headers == ["a", "b", "c", "d"]
    assert [tuple(row.values()) for row in rows(table)] == [
        ("12345678901234567890", "1.10", "1", None, 1, ""),
        (None, "1E5", "0", "Lê", 2, ""),
    ]


def test_parts_of_objects_are_given_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": 1, "p": {"q": {"r": 2}, "s": 3}}, {"a": 4, "p": None})
    table = read_jsonlines(path, Limits(), fields=["p.q.r", "p.s", "a", "x"])
    assert table.headers == ["p.q.r", "p.s", "a", "x"]
    assert [tuple(row.values())[:4] for row in rows(table)] == [
        ("2", "3", "1", None),
        (None, None, "4", None),
    ]


def test_lines_that_are_no_records_are_broken_rows(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"a": 1},
        '{"a": 2',
        "[1]",
        '{"a": NaN}',
        '{"a": 1, "a": 2}',
        b'{"a": "\xff"}',
        '{"a": "\\ud83d"}',
        '{"a": ' + "[" * 100_000,
        '{"a": "\\ud83d\\ude00"}',
    )
    good, bad = broken(read_jsonlines(path, Limits()))
    assert [(row["a"], row["_row_number"]) for row in good] == [("1", 1), ("😀", 9)]
    assert bad == [
        (2, "the line is not JSON"),
        (3, "the line is no JSON object"),
        (4, "NaN is no JSON number"),
        (5, "a key stands twice in the record"),
        (6, "the line is not JSON"),
        (7, "the line is not JSON"),
        (8, "the line is not JSON"),
    ]


def test_the_greatest_version_of_a_record_is_given(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        record(1, 2, x="old"),
        record(2, 1, x="only"),
        record(1, 10, x="new"),
        record(1, 9, x="old"),
        record(1, 10, x="new"),
    )
    table = read_jsonlines(path, Limits(), version=VERSION)
    assert [(r["idbanghi"], r["x"], r["_row_number"]) for r in rows(table)] == [
        ("R2", "only", 2),
        ("R1", "new", 3),
    ]
    assert table.set_aside == {"older version": 2, "repeated": 1}


def test_a_record_taken_back_is_gone_with_all_its_versions(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        record(1, 1, "THEM"),
        record(1, 2, "HUY"),
        record(2, 1, "HUY"),
        record(2, 2, "SUA"),
        record(3, 1, "HUY"),
    )
    table = read_jsonlines(path, Limits(), version=VERSION)
    assert [r["idbanghi"] for r in rows(table)] == ["R2"]
    assert table.set_aside == {"cancelled": 3, "older version": 1}


def test_two_contents_of_one_version_are_both_broken(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        record(1, 1, x=1),
        record(1, 2, x=1),
        record(1, 2, x=2),
        record(2, 2, x=3),
        record(2, 1, x=4),
        record(2, 1, x=5),
        record(3, 1, "HUY"),
        record(3, 1, "SUA"),
        record(4, "một"),
        {"sukien": "SUA", "phienban": 1},
    )
    table = read_jsonlines(path, Limits(), version=VERSION)
    good, bad = broken(table)
    assert [row["idbanghi"] for row in good] == ["R2"]
    assert table.set_aside == {"older version": 3}
    assert bad == [
        (2, "version 2 of the record comes with different contents"),
        (3, "version 2 of the record comes with different contents"),
        (7, "version 1 of the record comes with different contents"),
        (8, "version 1 of the record comes with different contents"),
        (9, "phienban is no version number"),
        (10, "the record has no idbanghi"),
    ]


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ([], {}, "no line of the file is a JSON object"),
        (["[", '{"a": 1},', "]"], {}, "ask for JSON Lines"),
        ([{"a": 1}, {"a": {"b": 1}}], {}, "record 2: 'a' is an object"),
        ([{"a": [1]}], {}, "record 1: 'a' is a list"),
        ([{"a": {"b": {"c": 1}}}], {"fields": ["a.b"]}, "'a.b' is an object"),
        ([{"ma_xa": 1, "ma_tihn": 2}], {"fields": ["ma_xa", "ma_tinh"]}, "closest: 'ma_tinh'"),
        ([{"a": {"b": 1, "c": 2}}], {"fields": ["a.b"]}, r"\['a.c'\]"),
        ([{"a": 1}], {"fields": ["a.b"]}, r"\['a'\]"),
        ([record(1, 1)], {"version": VERSION | {"id": "idbangi"}}, "closest: 'idbanghi'"),
        ([{"": 1}], {}, "a column is called ''"),
        ([{"_sheet": 1}], {}, "a column is called '_sheet'"),
        ([record(1, 1)], {"version": {"id": "idbanghi"}}, "'version' needs"),
    ],
)
def test_other_files_are_refused(
    tmp_path: Path, lines: list[Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ReaderError, match=message):
        read_jsonlines(written(tmp_path, *lines), Limits(), **options)


def test_limits_hold(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": 1}, {"b": 1}, {"c": 1})
    with pytest.raises(ReaderError, match="more than 2 records"):
        read_jsonlines(path, Limits(max_rows=2))
    with pytest.raises(ReaderError, match="more than 2 keys"):
        read_jsonlines(path, Limits(max_columns=2))
    with pytest.raises(ReaderError, match="line 1 has more than"):
        read_jsonlines(written(tmp_path, '{"a": "' + "x" * 17_000_000), Limits())


GOOD = "\n".join(
    json.dumps(r, ensure_ascii=False)
    for r in (record(1, 1, x="Lê"), record(1, 2, x=1.5), record(2, 1, "HUY", y=None))
).encode()


@settings(max_examples=200, deadline=None)
@given(damaged(GOOD, (b"{}", b"[]", b"null", b'"', b"\\ud800", b"1e5", b'"a":{}')))
def test_damaged_files_end_in_rows_or_a_refusal(content: bytes) -> None:
    read_or_refuse(content, lambda path: read_jsonlines(path, Limits()))
    read_or_refuse(content, lambda path: read_jsonlines(path, Limits(), version=VERSION))
    read_or_refuse(content, lambda path: read_jsonlines(path, Limits(), fields=["x", "y.z"]))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"idbanghi": st.sampled_from(["A", "B"]), "phienban": st.integers(1, 2)},
            optional={"sukien": st.sampled_from(["SUA", "HUY"]), "x": st.integers(1, 2)},
        ),
        min_size=1,
        max_size=8,
    )
)
def test_every_record_is_given_broken_or_set_aside(records: list[dict[str, Any]]) -> None:
    """No silent loss, and at most one row for a record: its greatest version."""
    lines = [{"sukien": "SUA", **line} for line in records]

    def read(path: Path) -> Table:
        table = read_jsonlines(path, Limits(), version=VERSION)
        good, bad = broken(table)
        assert len(good) + len(bad) + table.set_aside.total() == len(lines)
        given = [row["idbanghi"] for row in good]
        assert len(given) == len(set(given))
        for row in good:
            same = [line for line in lines if line["idbanghi"] == row["idbanghi"]]
            newest = max(line["phienban"] for line in same)
            assert int(row["phienban"]) == newest
            assert row["sukien"] != "HUY"
        return Table([], iter(()))

    read_or_refuse("\n".join(json.dumps(line) for line in lines).encode(), read)
