"""Names of units become the code of their day, or a reason that names the nearest."""

from __future__ import annotations

import csv
import datetime as dt
import string
import unicodedata
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loaders import unit_spelling as spelling
from loaders.contracts.cells import UnitName
from loaders.units import Refusal, Unit, UnitNames, _index, _register
from tests.cells import column, conform

BEFORE, AFTER = dt.date(2025, 6, 30), dt.date(2025, 7, 31)
SPELLINGS = Path(__file__).parents[1] / "data" / "unit_spellings.csv"


def spellings() -> list[dict[str, str]]:
    with SPELLINGS.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def names(level: str = "commune", day: dt.date = AFTER, **options: object) -> UnitNames:
    return UnitNames(UnitName.model_validate({"level": level} | options), day)


@pytest.mark.parametrize("case", spellings(), ids=lambda case: ascii(case["written"]))
def test_a_spelling_resolves_or_says_why_not(case: dict[str, str]) -> None:
    day = dt.date.fromisoformat(case["day"])
    found = names(case["level"], day).resolve(case["written"], case["within"] or None)
    if isinstance(found, Refusal):
        assert found.reason_en == (
            f"{case['expected']}; correct the name in a corrections file or ask for the file again"
        )
        assert found.reason_vi.endswith("yêu cầu gửi lại tệp")
    else:
        assert found == case["expected"]


@pytest.mark.parametrize("day", [dt.date(2024, 12, 31), BEFORE, AFTER])
@pytest.mark.parametrize("level", ["commune", "district", "province"])
def test_every_unit_of_a_day_is_found_by_its_own_name(level: str, day: dt.date) -> None:
    resolver = names(level, day)
    register = _register()
    for unit in _index(level, day).codes.values():
        above = register.units[unit.parent_id].full_name if level != "province" else None
        assert resolver.resolve(unit.full_name, above) == unit.code
        assert resolver.resolve(unit.name, above) == unit.code


def test_new_names_are_unique_and_old_ones_but_for_five() -> None:
    """Were it otherwise, a delivery would need the unit above to be readable at all."""

    def doubled(day: dt.date) -> list[str]:
        counts = Counter(spelling.key(u.name) for u in _index("commune", day).codes.values())
        return sorted(key for key, count in counts.items() if count > 1)

    assert doubled(AFTER) == []
    found = ["Đắk Hà", "Đắk Long", "Nguyễn Nghiêm", "Thắng Lợi", "Trần Hưng Đạo"]
    assert doubled(BEFORE) == sorted(map(spelling.key, found))


def test_an_alias_is_the_name_of_no_other_unit_of_its_time() -> None:
    aliased = [unit for unit in _register().units.values() if unit.aliases]
    assert len(aliased) == 5
    for unit in aliased:
        index = _index(unit.level, unit.valid_to or AFTER)
        for alias in unit.aliases:
            assert [found.id for found in index.named(alias)] == [unit.id]


UNITS = [unit for day in (BEFORE, AFTER) for unit in _index("commune", day).codes.values()]
#: Tone mark on the other vowel of an open "oa", "oe", "uy".
PLACES = {
    "òa": "oà", "óa": "oá", "ọa": "oạ", "ùy": "uỳ", "úy": "uý", "ủy": "uỷ", "uỷ": "ủy",
}  # fmt: skip
TYPES = {
    "xã": ["Xã ", "xã ", "X. ", "XÃ ", "x ", "Xã: ", "- Xã "],
    "phường": ["Phường ", "P.", "P ", "phường\u00a0", "PHƯỜNG  "],
    "thị trấn": ["Thị trấn ", "TT.", "TT ", "T.T ", "Thị Trấn\n"],
    "đặc khu": ["Đặc khu ", "ĐK. ", "Ðặc khu "],
}


def _noisy(unit: Unit, draw: st.DrawFn) -> str:
    name = unit.name
    for old, new in PLACES.items():
        if draw(st.booleans()):
            name = name.replace(old, new)
    name = name.replace("Đ", draw(st.sampled_from(["Đ", "Ð", "Ɖ"])))
    name = name.replace("Đắk", draw(st.sampled_from(["Đắk", "Đăk", "Đak", "Dak"])))
    name = name.replace("Ngọk", draw(st.sampled_from(["Ngọk", "Ngok"])))
    name = name.replace(" ", draw(st.sampled_from([" ", "  ", "\n", "\u00a0", "\r\n", " \u200b"])))
    name = draw(st.sampled_from([str, str.upper, str.lower, str.title]))(name)
    name = unicodedata.normalize(draw(st.sampled_from(["NFC", "NFD"])), name)
    prefix = draw(st.sampled_from(TYPES[unit.kind]))
    suffix = draw(st.sampled_from(["", " ", f" ({unit.code})"]))
    return prefix + name + suffix


@given(st.data())
def test_noise_of_known_kinds_never_changes_the_code(data: st.DataObject) -> None:
    unit = data.draw(st.sampled_from(UNITS))
    written = data.draw(st.composite(lambda draw: _noisy(unit, draw))())
    day = AFTER if unit.valid_to is None else BEFORE
    above = None if day == AFTER else unit.parent_code
    assert names(day=day).resolve(written, above) == unit.code


LETTERS = string.ascii_lowercase + "ăâđêôơưàáảãạèéẻẽẹìíỉĩịòóỏõọùúủũụ 0123456789.-'"


@given(st.one_of(st.text(LETTERS, max_size=20), st.text(max_size=20)))
def test_other_text_never_resolves(text: str) -> None:
    known = {spelling.bare_key(name) for u in UNITS for name in (u.name, *u.aliases)}
    _, name, _ = spelling.split(text, "commune")
    assume(spelling.bare_key(name) not in known)
    for day in (BEFORE, AFTER):
        assert isinstance(names(day=day).resolve(text), Refusal)


def test_a_wrong_mark_is_a_different_name_but_for_highland_names() -> None:
    assert names().resolve("Ba Tô") == "21523"
    assert names().resolve("Ba Tơ") == "21484"
    assert isinstance(names().resolve("Ba To"), Refusal)
    assert names().resolve("Kon Plong") == names().resolve("Kon Plông")


def test_another_type_is_accepted_only_where_the_contract_says_so() -> None:
    refused = names().resolve("Phường An Phú")
    assert isinstance(refused, Refusal)
    assert "Xã An Phú (21034)" in refused.reason_vi
    assert names(ignore_type=True).resolve("Phường An Phú") == "21034"
    # It still tells two units of one name apart.
    assert names(day=BEFORE, ignore_type=True).resolve("Thị trấn Đắk Hà") == "23500"
    assert isinstance(names(day=BEFORE, ignore_type=True).resolve("Phường Đắk Hà"), Refusal)


def test_each_distinct_name_of_a_batch_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []
    resolve = UnitNames.resolve

    def counted(self: UnitNames, written: str, within: str | None = None) -> str | Refusal:
        asked.append((written, within))
        return resolve(self, written, within)

    monkeypatch.setattr(UnitNames, "resolve", counted)
    cells = ["Cẩm Thành", "An Phú", None, "Không Có"] * 1000
    frame = pl.DataFrame({"name": cells})
    codes = frame.select(names().codes(pl.col("name")).alias("code"))["code"].to_list()
    assert codes == ["21025", "21034", None, None] * 1000
    assert len(asked) == 3


def test_an_unknown_name_is_a_finding_with_its_own_reason() -> None:
    columns = [
        column("string", "unit", unit_name={"level": "commune", "within": "district"}),
        column("string", "district"),
    ]
    result = conform(
        columns,
        period="2025-06",
        unit=["P. Trần Hưng Đạo", "P. Trần Hưng Đạo", "Cẩm Thành", None],
        district=["TP. Kon Tum", None, None, None],
    )
    assert result.frame["unit"].to_list() == ["23308", None]
    first, second = result.findings
    assert (first.row_number, first.rule_id, first.value) == (
        2,
        "contract.unit",
        "P. Trần Hưng Đạo",
    )
    assert "21022" in first.reason_vi
    assert "23308" in first.reason_en
    assert "chỉ có từ 01/07/2025" in second.reason_vi


def test_the_nearest_names_of_a_personal_cell_are_not_told() -> None:
    sensitive = column("string", "unit", classification="sensitive", unit_name={"level": "commune"})
    (finding,) = conform([sensitive], unit=["Cẩm Thanh"]).findings
    assert finding.value is None
    assert "Cẩm" not in repr(finding)
    open_name = column("string", "unit", unit_name={"level": "commune", "within": "district"})
    district = column("string", "district", classification="quasi")
    (finding,) = conform([open_name, district], unit=["An Phú"], district=["Ba Tơ"]).findings
    assert "Ba Tơ" not in repr(finding)


def test_a_quarter_s_names_are_those_of_its_last_day() -> None:
    unit = column("string", "unit", unit_name={"level": "commune"})
    assert conform([unit], period="2025-Q2", unit=["Xã An Phú"]).frame["unit"].to_list() == [
        "21262"
    ]
    assert conform([unit], period="2025-Q3", unit=["Xã An Phú"]).frame["unit"].to_list() == [
        "21034"
    ]
