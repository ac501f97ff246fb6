"""JSON-stat answers: limits, odd shapes, damage. What a good one gives: test_readers.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.readers import Limits, ReaderError
from loaders.readers.jsonstat import read_jsonstat
from tests.unit.damaged import damaged, read_or_refuse, rows

CUBE: dict[str, Any] = {
    "id": ["Tỉnh", "Năm"],
    "size": [2, 2],
    "dimension": {
        "Tỉnh": {"category": {"index": {"51": 0, "46": 1}, "label": {"51": "Quảng  Ngãi"}}},
        "Năm": {"category": {"index": ["2023", "2024"]}},
    },
    "value": [1.10, 12345678901234567890, None, -0.0],
}
TEXT = json.dumps(CUBE)


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "a.json"
    if isinstance(content, dict):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def changed(**parts: Any) -> dict[str, Any]:
    return {k: v for k, v in (CUBE | parts).items() if v is not ...}


def category(**parts: Any) -> dict[str, Any]:
    return changed(dimension=CUBE["dimension"] | {"Năm": {"category": parts}})


def test_numbers_keep_the_digits_of_the_answer(tmp_path: Path) -> None:
    text = TEXT.replace("1.1,", "1.10,")
    found = [
        tuple(row.values())[:4] for row in rows(read_jsonstat(written(tmp_path, text), Limits()))
    ]
    assert found == [
        ("Quảng Ngãi", "2023", "1.10", 1),
        ("Quảng Ngãi", "2024", "12345678901234567890", 2),
        ("46", "2023", None, 3),
        ("46", "2024", "-0.0", 4),
    ]


def test_the_sparse_form(tmp_path: Path) -> None:
    path = written(tmp_path, changed(value={"0": 5, "3": 7}))
    assert [row["value"] for row in rows(read_jsonstat(path, Limits()))] == ["5", None, None, "7"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        (TEXT[:-20], "not JSON"),
        (b"\xff" + TEXT.encode(), "not JSON"),
        (TEXT.replace("1.1", "NaN"), "NaN is no JSON number"),
        (TEXT.replace("1.1", "-Infinity"), "-Infinity is no JSON number"),
        (TEXT.replace("Qu\\u1ea3ng", "\\ud83d"), "surrogates not allowed"),
        ("[]", "no json-stat dataset"),
        ('{"dataset": 3}', "no json-stat dataset"),
        (changed(id=...), "names no dimensions"),
        (changed(id=[]), "names no dimensions"),
        (changed(id="Tỉnh"), "names no dimensions"),
        (changed(id=["Tỉnh", "Quý"]), "not those of the format"),
        (changed(id=[["Tỉnh"], "Năm"]), "not those of the format"),
        (changed(dimension=7), "not those of the format"),
        (changed(dimension={"Tỉnh": 1, "Năm": 2}), "not those of the format"),
        (category(index={"2023": None}), "not those of the format"),
        (category(index={"2023": "x"}), "not those of the format"),
        (category(index=[["2023"], "2024"]), "not those of the format"),
        (category(index=["2023", "2024"], label={"2023": 5, "2024": [1]}), "not those of"),
        (category(index=["2023"]), "span 2 cells but 4 values"),
        (category(), "span 0 cells but 4 values"),
        (changed(id=["_sheet"], dimension={"_sheet": CUBE["dimension"]["Năm"]}), "'_sheet'"),
        (changed(id=["Tỉnh", "Tỉnh"]), r"stand twice .*\['Tỉnh'\]"),
        (changed(value=[1, 2, 3]), "span 4 cells but 3 values"),
        (changed(value=[1, 2, 3, [4]]), "is a list, not a number"),
        (changed(value=[1, 2, 3, True]), "is a bool, not a number"),
        (changed(value="1234"), "no values"),
        (changed(value=4), "no values"),
        (changed(value={"4": 1}), "value has position '4'"),
        (changed(value={"-1": 1}), "value has position '-1'"),
        (changed(value={"9" * 5000: 1}), "value has position"),
        (changed(value={"0": {}}), "is a dict, not a number"),
    ],
)
def test_what_is_no_cube_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ReaderError, match=message):
        rows(read_jsonstat(written(tmp_path, content), Limits()))


def test_limits_hold_before_the_cube_is_spread_out(tmp_path: Path) -> None:
    names = [f"D{i}" for i in range(40)]
    wide = {n: {"category": {"index": [str(i) for i in range(1000)]}} for n in names}
    path = written(tmp_path, {"id": names, "dimension": wide, "value": {"0": 1}})
    with pytest.raises(ReaderError, match=r"span 10{120} cells, 50000000 are allowed"):
        read_jsonstat(path, Limits())
    with pytest.raises(ReaderError, match="40 dimensions, 9 are allowed"):
        read_jsonstat(path, Limits(max_columns=10))
    with pytest.raises(ReaderError, match="held in memory and may have 1000"):
        read_jsonstat(path, Limits(max_unpacked_bytes=1000))


@settings(max_examples=200, deadline=None)
@given(damaged(TEXT.encode(), (b'"', b"null", b"{}", b"[1]", b"1e999", b"NaN", b"\\ud800")))
def test_damaged_answers_end_in_rows_or_a_refusal(content: bytes) -> None:
    read_or_refuse(content, lambda path: read_jsonstat(path, Limits()))


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["Năm", "51", "0", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "dimension", "category", "index", "label", "value", "Năm", "0"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries(
        {"id": st.just(["Năm"]) | ANY, "value": ANY},
        optional={
            "dimension": st.fixed_dictionaries({"Năm": st.fixed_dictionaries({"category": ANY})})
            | ANY
        },
    )
)
def test_any_json_ends_in_rows_or_a_refusal(document: dict[str, Any]) -> None:
    read_or_refuse(json.dumps(document).encode(), lambda path: read_jsonstat(path, Limits()))
