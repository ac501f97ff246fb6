"""Cells become values as their contract says, and nothing that could be read in two ways does."""

from __future__ import annotations

import datetime as dt
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loaders import values
from loaders.contracts.cells import CellOptions, cell_problems, fold
from loaders.contracts.model import CONTRACTS_DIR, ContractError, read_contract
from tests.cells import column, conform

VIETNAM = {"decimal": ",", "thousands": "."}
SPACED = {"decimal": ",", "thousands": " "}


def typed(logical_type: str, cells: list[str | None], **options: Any) -> list[Any]:
    frame = pl.DataFrame({"x": pl.Series(cells, dtype=pl.String)})
    return frame.select(values.typed(column(logical_type, **options), pl.col("x")).alias("x"))[
        "x"
    ].to_list()


@pytest.mark.parametrize(
    ("options", "cell", "value"),
    [
        ({}, "1234.5", "1234.5"),
        ({}, "0.30000000000000004", "0.30000000000000004"),
        ({}, "1.5E-07", "1.5E-07"),
        ({}, "1,5", None),
        ({}, "1 234", None),
        ({}, "12.5 %", None),
        ({}, "(5)", None),
        ({}, "1.", None),
        ({}, "mười", None),
        (VIETNAM, "1.234.567,5", "1234567.5"),
        (VIETNAM, "1234567,5", "1234567.5"),
        (VIETNAM, "-1.234", "-1234"),
        (VIETNAM, "1.23.4", None),
        (VIETNAM, "1.2345", None),
        (VIETNAM, "1234.567", None),
        (VIETNAM, "0.125", None),
        (VIETNAM, "1,234.5", None),
        (VIETNAM, "1 234,5", None),
        (SPACED, "1 234 567,5", "1234567.5"),
        (SPACED, "1\u00a0234\u202f567", "1234567"),
        (SPACED, "1  234", None),
        ({"decimal": [",", "."]}, "12,5", "12.5"),
        ({"decimal": [",", "."]}, "12.5", "12.5"),
        ({"decimal": [",", "."]}, "1.234,5", None),
        ({"decimal": ",", "unit": "percent"}, "12,5 %", "12.5"),
        ({"unit": "percent"}, "12.5%", "12.5"),
        ({"unit": "percent"}, "0.125", None),
        ({"negative": "parentheses"}, "(1234.5)", "-1234.5"),
        ({"negative": "parentheses"}, "(-5)", None),
        ({"negative": "parentheses"}, "(5", None),
        ({**VIETNAM, "negative": "parentheses", "unit": "percent"}, "(1.234,5 %)", "-1234.5"),
    ],
)
def test_a_number_is_read_as_declared_or_not_at_all(
    options: dict[str, Any], cell: str, value: str | None
) -> None:
    assert typed("number", [cell, None], **options) == [value, None]


def test_integers_have_no_fraction_and_fit_into_eight_bytes() -> None:
    cells = ["12", "-7", "12.0", "1e3", "9" * 18, "9" * 19, "1.234", "٣"]
    assert typed("integer", cells) == [12, -7, None, None, 10**18 - 1, None, None, None]
    cells = ["1.234.567", "1.23", "0.125", "999.999.999.999.999.999", "1.000.000.000.000.000.000"]
    expected = [1234567, None, None, 10**18 - 1, None]
    assert typed("integer", cells, thousands=".") == expected
    assert list(cell_problems(CellOptions(thousands="."), "integer", (), "keep")) == []


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=3, min_value=-(10**15), max_value=10**15
    ),
    st.sampled_from([(".", ","), (",", "."), (",", " "), (".", " ")]),
    st.booleans(),
    st.sampled_from(["", "%", " %"]),
)
def test_a_printed_number_comes_back_digit_by_digit(
    number: Decimal, marks: tuple[str, str], in_parentheses: bool, percent: str
) -> None:
    decimal, thousands = marks
    printed = f"{abs(number):,.3f}".translate(str.maketrans({",": thousands, ".": decimal}))
    printed += percent
    if number < 0:
        printed = f"({printed})" if in_parentheses else f"-{printed}"
    options: dict[str, Any] = {"decimal": decimal, "thousands": thousands}
    if percent:
        options["unit"] = "percent"
    if in_parentheses:
        options["negative"] = "parentheses"
    assert typed("number", [printed], **options) == [f"{number:.3f}".replace("-0.000", "0.000")]


@given(st.text(max_size=12))
def test_any_text_is_a_number_or_null(text: str) -> None:
    (found,) = typed("number", [text], **VIETNAM, negative="parentheses")
    assert found is None or Decimal(found) is not None


@pytest.mark.parametrize(
    ("options", "cell", "value"),
    [
        ({"format": "%d/%m/%Y"}, "17/03/1985", "1985-03-17"),
        ({"format": "%d/%m/%Y"}, "1/3/1985", "1985-03-01"),
        ({"format": "%d/%m/%Y"}, "1985-03-17", "1985-03-17"),
        ({"format": "%d/%m/%Y"}, "31/02/1985", None),
        ({"format": "%d/%m/%Y"}, "17/03/85", None),
        ({"format": "%d/%m/%Y"}, "1/3/+2025", None),
        ({"format": "%d/%m/%Y"}, "03/1985", None),
        ({"format": "%d/%m/%Y"}, "00/03/1985", None),
        ({"format": "%d/%m/%Y"}, "45000", None),
        ({"format": "%d/%m/%Y", "precision": "month"}, "00/03/1985", "1985-03-01"),
        ({"format": "%d/%m/%Y", "precision": "month"}, "00/00/1985", None),
        ({"format": "%d/%m/%Y", "precision": "year"}, "00/00/1985", "1985-01-01"),
        ({"format": "%d/%m/%Y", "precision": "year"}, "17/00/1985", None),
        ({"format": "%m/%Y"}, "3/1985", "1985-03-01"),
        ({"format": "%Y"}, "1985", "1985-01-01"),
        ({"format": "%Y%m%d%H%M"}, "197805170930", "1978-05-17"),
        ({"format": "%Y%m%d%H%M"}, "197805170000", "1978-05-17"),
        ({"format": "%Y%m%d%H%M"}, "197805000000", None),
        ({"format": "%Y%m%d%H%M", "precision": "month"}, "197805000000", "1978-05-01"),
        ({"format": "%Y%m%d%H%M", "precision": "year"}, "197800000000", "1978-01-01"),
        ({"format": "%Y%m%d"}, "197811", None),
        ({"format": ["%Y%m%d", "%Y%m", "%Y"]}, "19780517", "1978-05-17"),
        ({"format": ["%Y%m%d", "%Y%m", "%Y"]}, "197811", "1978-11-01"),
        ({"format": ["%Y%m%d", "%Y%m", "%Y"]}, "1978", "1978-01-01"),
        ({"format": ["%Y%m%d", "%Y%m", "%Y"]}, "197813", None),
        ({"format": ["%d/%m/%Y", "%d.%m.%Y"]}, "17.03.1985", "1985-03-17"),
        ({"format": "Tháng %m/%Y"}, "Tháng 3/1985", "1985-03-01"),
        ({"format": "%d/%m/%y", "pivot": 25}, "17/03/25", "2025-03-17"),
        ({"format": "%d/%m/%y", "pivot": 25}, "17/03/26", "1926-03-17"),
        ({"format": "%d/%m/%y", "pivot": 25}, "29/02/00", "2000-02-29"),
        ({"format": "%d/%m/%y", "pivot": 25}, "17/03/1985", None),
        ({"excel_serial": True}, "1", "1900-01-01"),
        ({"excel_serial": True}, "59", "1900-02-28"),
        ({"excel_serial": True}, "60", None),
        ({"excel_serial": True}, "61", "1900-03-01"),
        ({"excel_serial": True}, "45658", "2025-01-01"),
        ({"excel_serial": True}, "45658.75", "2025-01-01"),
        ({"excel_serial": True}, "0", None),
        ({"excel_serial": True}, "-5", None),
        ({"excel_serial": True, "format": "%d/%m/%Y"}, "1/1/2025", "2025-01-01"),
    ],
)
def test_a_date_is_read_as_declared_or_not_at_all(
    options: dict[str, Any], cell: str, value: str | None
) -> None:
    expected = dt.date.fromisoformat(value) if value else None
    assert typed("date", [cell, "không rõ", None], **options) == [expected, None, None]


@given(
    st.dates(dt.date(1900, 3, 1), dt.date(2173, 1, 1)),
    st.sampled_from(
        ["%d/%m/%Y", "%d-%m-%Y", "%Y%m%d", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d%H%M", "%m/%Y", "%Y"]
    ),
)
def test_a_printed_date_comes_back(day: dt.date, form: str) -> None:
    expected = day
    if "%d" not in form:
        expected = expected.replace(day=1)
    if "%m" not in form:
        expected = expected.replace(month=1)
    assert typed("date", [day.strftime(form)], format=form) == [expected]
    serial = str((day - dt.date(1899, 12, 30)).days)
    assert typed("date", [serial, serial + ".5"], excel_serial=True) == [day, day]


@given(st.text(max_size=14))
def test_any_text_is_a_date_or_null(text: str) -> None:
    form = ["%d/%m/%Y", "%m/%Y", "%Y%m%d", "%d/%m/%y"]
    typed("date", [text], format=form, pivot=30, precision="year", excel_serial=True)


def test_a_companion_column_says_how_much_of_a_date_was_written() -> None:
    columns = [
        column("date", "born", format=["%d/%m/%Y", "%m/%Y", "%Y"], classification="quasi"),
        column("string", "born_precision", header=None, precision_of="born"),
    ]
    cells = ["17/03/1985", "00/03/1985", "3/1985", "1985", "1985-03-17", None]
    result = conform(columns, born=cells)
    assert result.findings == []
    assert result.frame.sort("_row_number")["born_precision"].to_list() == [
        "day",
        "month",
        "month",
        "year",
        "day",
        None,
    ]


def test_a_date_of_less_than_the_least_precision_is_quarantined() -> None:
    columns = [column("date", "born", format="%Y%m%d%H%M", precision="month")]
    result = conform(columns, born=["197805170000", "197805000000", "197800000000", "189905000000"])
    assert [(f.row_number, f.rule_id) for f in result.findings] == [
        (3, "contract.type"),
        (4, "contract.range"),
    ]


@pytest.mark.parametrize(
    ("written", "loaded"),
    [
        ("Trạm y tế", "Trạm y tế"),
        (unicodedata.normalize("NFD", "Trạm y tế"), "Trạm y tế"),
        ("Trạm\r\ny   tế", "Trạm y tế"),
        ("\ufeffTrạm\u00a0y\u200b tế\u00a0", "Trạm y tế"),
        ("Tr\u00adạm y tế\u200e", "Trạm y tế"),
        ("two  spaces", "two spaces"),
        ("tab\tnul\x00end", "tab nul end"),
        ("\u200b", None),
        ("– ‘n’ € 😀", "– ‘n’ € 😀"),
    ],
)
def test_text_is_folded(written: str, loaded: str | None) -> None:
    # Between rows that need no folding, so that both ways through are walked.
    assert typed("string", ["21025", written, None, "Đức Phổ"]) == [
        "21025",
        loaded,
        None,
        "Đức Phổ",
    ]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_expressions_and_python_fold_alike(text: str) -> None:
    assert typed("string", [text]) == [fold(text) or (text if text == "" else None)]


def test_every_letter_that_needs_folding_is_folded() -> None:
    """What the expressions leave alone for speed is what folding would leave alone."""
    points = [*range(0xD800), *range(0xE000, 0x10000), *range(0x1D100, 0x1D200), 0x2F800]
    cells = [f"a{chr(point)}b" for point in points]
    assert typed("string", cells) == [fold(cell) for cell in cells]


def test_an_identifier_with_a_pattern_is_never_repaired() -> None:
    columns = [column("string", pattern="^[0-9]{5}$", classification="identifier")]
    result = conform(columns, x=["21025", "21025\u200b", "2102\u00a05"])
    assert [(f.row_number, f.rule_id) for f in result.findings] == [
        (2, "contract.pattern"),
        (3, "contract.pattern"),
    ]


def test_a_pattern_that_leaves_an_end_open_does_not_keep_a_text_from_being_folded() -> None:
    result = conform([column("string", pattern="^A|B$")], x=["A", "A\u00a0c", "c\u200bB"])
    assert result.frame["x"].to_list() == ["A", "A c", "cB"]


@pytest.mark.parametrize("pattern", ["^[A-Z]{2} ?[0-9]$", "^[A-Z]{2}[0-9]$", "^A|7$"])
def test_a_part_of_a_text_is_folded_unless_its_pattern_sees_to_it(pattern: str) -> None:
    part = {"action": "substring", "start": 0, "stop": 3}
    columns = [column("string", "x", pattern=pattern)]
    columns += [column("string", "part", header="x", privacy=part)]
    result = conform(columns, x=["AB7", "A\u00a0\u00a0B7", "\u200bAB7", "AB 7"])
    alone = conform(columns[1:], x=["AB7", "A\u00a0\u00a0B7", "\u200bAB7", "AB 7"])
    parts = dict(alone.frame.select("_row_number", "part").iter_rows())
    good = result.frame.select("_row_number", "part").rows()
    assert good == [(number, parts[number]) for number, _ in good]
    assert good[0] == (1, "AB7")


def test_what_is_invisible_is_no_value() -> None:
    result = conform([column("string", required=True)], x=["a", "\u200b"])
    assert [(f.row_number, f.rule_id) for f in result.findings] == [(2, "contract.required")]


def test_code_lists_are_compared_after_folding() -> None:
    decomposed = unicodedata.normalize("NFD", "Nữ")
    result = conform([column("string", enum=("Nam", decomposed))], x=["Nữ", decomposed, "nữ"])
    assert result.frame["x"].to_list() == ["Nữ", "Nữ"]
    assert [(f.row_number, f.rule_id) for f in result.findings] == [(3, "contract.enum")]


def test_what_the_agency_writes_becomes_a_code() -> None:
    sex = column("string", codes={"Nam": "1", "Nữ": "2", "x": "1"}, enum=("1", "2"), required=True)
    cells = ["Nam", " NỮ", unicodedata.normalize("NFD", "nữ"), "X", "1", "Nu", None]
    result = conform([sex], x=cells)
    assert result.frame["x"].to_list() == ["1", "2", "2", "1"]
    assert [(f.row_number, f.rule_id) for f in result.findings] == [
        (5, "contract.enum"),
        (6, "contract.enum"),
        (7, "contract.required"),
    ]


@pytest.mark.parametrize(
    ("logical_type", "options", "key", "reason"),
    [
        ("integer", {"decimal": ","}, "decimal", "an integer has no decimals"),
        ("string", {"thousands": "."}, "thousands", "a number or an integer"),
        ("date", {"unit": "percent", "format": "%Y"}, "unit", "a number"),
        ("string", {"negative": "parentheses"}, "negative", "a number"),
        ("number", {"format": "%Y"}, "format", "a date"),
        ("string", {"excel_serial": True}, "excel_serial", "a date"),
        ("number", {"pivot": 0}, "pivot", "a date"),
        ("integer", {"codes": {"x": "1"}}, "codes", "a string"),
        ("date", {"unit_name": {"level": "commune"}, "format": "%Y"}, "unit_name", "a string"),
        ("number", {"thousands": "."}, "thousands", "decimal mark too"),
        ("number", {"thousands": ",", "decimal": [",", "."]}, "thousands", "decimal mark too"),
        ("date", {}, "format", "states its format"),
        ("date", {"format": "%B %Y"}, "format", "unknown directive '%B'"),
        ("date", {"format": "%d/%m"}, "format", "no year"),
        ("date", {"format": "%d/%Y"}, "format", "no month"),
        ("date", {"format": "%Y/%Y"}, "format", "twice"),
        ("date", {"format": "%Y-%m-01"}, "format", "mistaken for a value"),
        ("date", {"format": ["%d/%m/%Y", "%m/%d/%Y"]}, "format", "a guess"),
        ("date", {"format": ["%Y", "%Y"]}, "format", "a guess"),
        ("date", {"format": "%d/%m/%y"}, "pivot", "two-digit years"),
        ("date", {"format": "%d/%m/%Y", "pivot": 30}, "pivot", "two-digit years"),
        ("date", {"format": "%m/%Y", "precision": "day"}, "precision", "never be as precise"),
        ("date", {"format": "%Y", "excel_serial": True}, "excel_serial", "same cells"),
        ("string", {"codes": {" ": "1"}}, "codes", "empty cell"),
        ("string", {"codes": {"X": "1", "x ": "2"}}, "codes", "same spelling"),
        ("string", {"codes": {"x": "9"}}, "codes.x", "not in the enum: 1, 2"),
        (
            "string",
            {"codes": {"x": "1"}, "unit_name": {"level": "commune"}},
            "unit_name",
            "both say what is loaded",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(
    logical_type: str, options: dict[str, Any], key: str, reason: str
) -> None:
    found = list(
        cell_problems(CellOptions.model_validate(options), logical_type, ("1", "2"), "keep")
    )
    assert any(option == key and reason in text for option, text in found), found


def test_values_that_are_mapped_are_not_protected_in_another_way() -> None:
    options = CellOptions(codes={"x": "1"})
    (found,) = cell_problems(options, "string", (), "pseudonym")
    assert found == ("codes", "does not go with privacy action 'pseudonym'")


@pytest.mark.parametrize(
    ("source", "name", "options", "key", "reason"),
    [
        (
            "social_insurance",
            "ethnic_group_code",
            {"header": None},
            "nq42.",
            "goes with 'precision_of'",
        ),
        (
            "social_insurance",
            "ethnic_group_code",
            {"header": None, "precision_of": "sex_code"},
            "precision_of",
            "no date column 'sex_code'",
        ),
        (
            "social_insurance",
            "sex_code",
            {"header": None, "precision_of": "valid_to"},
            "required",
            "never required",
        ),
        (
            "social_insurance",
            "residence_unit_code",
            {"unit_name": {"level": "commune", "within": "district"}},
            "unit_name.within",
            "no other column 'district'",
        ),
        (
            "social_insurance",
            "residence_unit_code",
            {"unit_name": {"level": "province", "within": "sex_code"}},
            "unit_name",
            "nothing stands above it",
        ),
        ("social_insurance", "valid_to", {"format": []}, "nq42.format", "empty list"),
        (
            "agriculture_environment",
            None,
            {"thousands": ".", "decimal": ","},
            "thousands",
            "have a decimal point",
        ),
    ],
)
def test_a_contract_with_options_that_do_not_fit_is_refused_with_key_and_reason(
    source: str, name: str | None, options: dict[str, Any], key: str, reason: str, tmp_path: Path
) -> None:
    document = yaml.safe_load((CONTRACTS_DIR / f"{source}.yaml").read_text("utf-8"))
    properties = document["schema"][0]["properties"]
    chosen = next(p for p in properties if name in (None, p["name"]))
    if name is None:
        chosen["logicalType"] = "number"
        chosen.pop("logicalTypeOptions", None)
    chosen["customProperties"][0]["value"].update(options)
    path = tmp_path / f"{source}.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    with pytest.raises(ContractError) as caught:
        read_contract(path)
    assert caught.value.file == path.name
    assert key in caught.value.key
    assert reason in caught.value.reason
