"""The seeds and the shipped real extracts: counts, dates, and what one table says about another."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from loaders.conform import Conformer
from loaders.contracts.model import get_dataset
from loaders.readers import READERS, Limits

ROOT = Path(__file__).parents[2]
SEEDS = ROOT / "dbt_project" / "seeds"
REAL = ROOT / "loaders" / "sample" / "real" / "statistics_office"
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
Row = dict[str, str]


def seed(name: str) -> list[Row]:
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def published() -> list[Row]:
    with (REAL / "published_indicators.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def is_valid(unit: Row, day: str) -> bool:
    return unit["valid_from"] <= day and (not unit["valid_to"] or day <= unit["valid_to"])


def overlapping(units: Iterable[Row]) -> list[tuple[str, str]]:
    """Pairs of versions of one code that hold on the same day: joins by date would double rows."""
    ordered = sorted(units, key=lambda u: (u["unit_level"], u["unit_code"], u["valid_from"]))
    return [
        (first["unit_id"], second["unit_id"])
        for first, second in pairwise(ordered)
        if (first["unit_level"], first["unit_code"]) == (second["unit_level"], second["unit_code"])
        and is_valid(first, second["valid_from"])
    ]


def takes(series: Row, figure: Row) -> bool:
    return (
        figure["chi_tieu"] == series["source_indicator"]
        and figure["khu_vuc"] == series["source_area"]
        and series["source_unit_label"] in ("", figure["don_vi"])
        and re.search(series["source_period_pattern"], figure["ky"]) is not None
    )


def delivered_cells(series: Iterable[Row], figures: list[Row]) -> Counter[tuple[str, ...]]:
    """How many usable figures fall into each cell of the KPI table; more than one is a mix."""
    cells: Counter[tuple[str, ...]] = Counter()
    for s in series:
        for figure in figures:
            if takes(s, figure) and NUMBER.fullmatch(figure["gia_tri"]):
                period = re.search(r"\d{4}(-Q[1-4])?", figure["ky"])
                assert period is not None
                unit = (s["boundary_id"], s["unit_code"], s["breakdown"], s["breakdown_value"])
                cells[(s["kpi_id"], s["series"], period.group(), *unit)] += 1
    return cells


UNITS = seed("geo_unit")
COMMUNES = [u for u in UNITS if u["unit_level"] == "commune"]
BY_ID = {u["unit_id"]: u for u in UNITS}
KPIS = {k["kpi_id"]: k for k in seed("programme_kpi")}


@pytest.mark.parametrize(
    ("province", "day", "count"),
    [
        ("51", "2020-06-01", 173),
        ("51", "2024-06-30", 173),
        ("51", "2025-06-30", 170),
        ("62", "2024-06-30", 102),
        ("62", "2025-06-30", 102),
        ("51", "2025-07-31", 56),
        ("62", "2025-07-31", 40),
    ],
)
def test_communes_on_a_day(province: str, day: str, count: int) -> None:
    valid = [u for u in COMMUNES if u["old_province_code"] == province and is_valid(u, day)]
    assert len(valid) == count


def test_versions_of_a_code_do_not_overlap() -> None:
    assert overlapping(UNITS) == []


def test_overlap_check_finds_an_open_old_version() -> None:
    old = next(u for u in COMMUNES if u["unit_id"] == "21025@2004-08-31")
    changed = [u for u in UNITS if u is not old] + [{**old, "valid_to": ""}]
    assert overlapping(changed) == [("21025@2004-08-31", "21025@2025-07-01")]


def test_unit_id_is_code_and_first_day() -> None:
    assert all(u["unit_id"] == f"{u['unit_code']}@{u['valid_from']}" for u in UNITS)
    assert len(BY_ID) == len(UNITS)


def test_parent_holds_on_the_last_day_of_its_unit() -> None:
    for unit in UNITS:
        if unit["parent_unit_id"]:
            parent = BY_ID[unit["parent_unit_id"]]
            assert is_valid(parent, unit["valid_to"] or "9999-12-31"), unit["unit_id"]


def test_reused_codes_are_the_known_trap() -> None:
    before = {u["unit_code"]: u for u in COMMUNES if is_valid(u, "2025-06-30")}
    after = {u["unit_code"]: u for u in COMMUNES if is_valid(u, "2025-07-01")}
    assert set(after) - set(before) == {"21548"}
    reused = set(after) & set(before)
    # Nine of the 71 differ in spelling only, as Đắk Hà and Đăk Hà.
    for column, count in (("name_vi", 71), ("name_en", 62)):
        assert sum(before[code][column] != after[code][column] for code in reused) == count


def test_lists_and_area_of_the_new_units() -> None:
    new = [u for u in COMMUNES if u["valid_from"] == "2025-07-01"]
    assert Counter(u["unit_type_vi"] for u in new) == {"Xã": 86, "Phường": 9, "Đặc khu": 1}
    assert sum(round(float(u["area_km2"]) * 100) for u in new) == 1_483_253
    assert Counter(u["is_urban"] for u in new) == {"false": 87, "true": 9}
    assert Counter(u["zone"] for u in new) == {"mountain": 64, "plain": 31, "island": 1}
    assert all(13.9 < float(u["latitude"]) < 15.5 for u in new)
    assert all(107.2 < float(u["longitude"]) < 109.2 for u in new)


def test_sort_keys_follow_the_vietnamese_alphabet() -> None:
    expected = ["An Phú", "Ba Động", "Ba Gia", "Ba Tô", "Ba Tơ", "Ba Xa", "Bình Minh", "Bờ Y"]
    expected += ["Cà Đam", "Dục Nông", "Đăk Bla", "Đăk Tô", "Đăk Tờ Kan", "Đông Sơn", "Ia Chim"]
    expected += ["Mỏ Cày", "Mộ Đức", "Sơn Tây", "Trà Bồng", "Vạn Tường", "Vệ Giang"]
    new = [u for u in COMMUNES if u["valid_from"] == "2025-07-01"]
    ordered = [u["name_vi"] for u in sorted(new, key=lambda u: u["sort_key"].encode("ascii"))]
    assert [name for name in ordered if name in expected] == expected


ALPHABET = "aăâbcdđeêfghijklmnoôơpqrstuưvwxyz"
#: Level, grave, hook, tilde, acute, dot below: the order of Vietnamese dictionaries.
TONES = ("", "\u0300", "\u0309", "\u0303", "\u0301", "\u0323")


def vietnamese_order(name: str) -> list[tuple[list[int], list[int]]]:
    """Syllable by syllable, the letters (ă after a, đ after d) before the tones."""
    syllables = []
    for syllable in name.lower().replace("'", "").split():
        letters, tones = [], []
        for sign in unicodedata.normalize("NFD", syllable):
            if sign in TONES[1:]:
                tones.append(TONES.index(sign))
            elif unicodedata.combining(sign):  # breve, circumflex, horn
                letters[-1] = unicodedata.normalize("NFC", letters[-1] + sign)
            else:
                letters.append(sign)
        syllables.append(([ALPHABET.index(letter) for letter in letters], tones or [0]))
    return syllables


def test_all_sort_keys_agree_with_the_dictionary_order() -> None:
    examples = ["Da", "Dá", "Dạ", "Dan", "Dăn", "Dân", "Đa", "Ta", "Tà", "Tả", "Tã", "Tá", "Tạ"]
    assert sorted(examples, key=vietnamese_order) == examples
    by_key = sorted(UNITS, key=lambda u: (u["sort_key"].encode("ascii"), u["unit_id"]))
    by_name = sorted(UNITS, key=lambda u: (vietnamese_order(u["name_vi"]), u["unit_id"]))
    assert [u["name_vi"] for u in by_key] == [u["name_vi"] for u in by_name]


def test_crosswalk_covers_every_unit_that_ended() -> None:
    rows = seed("geo_crosswalk")
    assert Counter(r["effective_on"] for r in rows) == {"2025-01-01": 7, "2025-07-01": 274}
    for day in ("2025-01-01", "2025-07-01"):
        eve = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
        old = {r["old_unit_id"] for r in rows if r["effective_on"] == day}
        ended = {u["unit_id"] for u in COMMUNES if u["valid_to"] == eve}
        # Lý Sơn had no communes: its district became the special zone.
        assert old - ended == ({"536@2004-08-31"} if day == "2025-07-01" else set())
        assert ended <= old
        started = {u["unit_id"] for u in COMMUNES if u["valid_from"] == day}
        assert started <= {r["new_unit_id"] for r in rows if r["effective_on"] == day}
    for row in rows:
        assert is_valid(BY_ID[row["new_unit_id"]], row["effective_on"])
        assert (row["is_apportionable"] == "false") == (row["relation"] == "partial")


def test_no_new_commune_mixes_the_former_provinces() -> None:
    for row in seed("geo_crosswalk"):
        old, new = BY_ID[row["old_unit_id"]], BY_ID[row["new_unit_id"]]
        assert old["old_province_code"] == new["old_province_code"]


def test_boundaries_hold_every_commune_version() -> None:
    members: dict[str, set[str]] = {}
    for row in seed("geo_boundary_unit"):
        members.setdefault(row["boundary_id"], set()).add(row["unit_id"])
    assert members["qn_current"] == {u["unit_id"] for u in COMMUNES}
    former = {u["unit_id"] for u in COMMUNES if u["old_province_code"] == "51"}
    assert members["qn_programme"] == former
    assert set(members) < {b["boundary_id"] for b in seed("geo_boundary")}


def test_register_counts() -> None:
    kpis = KPIS.values()
    assert Counter(k["tier"] for k in kpis) == {"core": 55, "supplementary": 4, "qualitative": 2}
    states = {"computed": 49, "delivered": 5, "qualitative": 2, "no_source": 5}
    assert Counter(k["register_state"] for k in kpis) == states
    assert sorted(int(k["sort_order"]) for k in kpis) == list(range(1, 62))
    for kpi in kpis:
        percent = kpi["unit_en"].startswith("%")
        assert kpi["natural_limit"] != "100" or percent, kpi["kpi_id"]
        assert kpi["scale"] == "100" or not percent, kpi["kpi_id"]


def test_state_agrees_with_the_series() -> None:
    with_series = {s["kpi_id"] for s in seed("delivered_series")}
    for kpi in KPIS.values():
        if kpi["register_state"] == "delivered":
            assert kpi["kpi_id"] in with_series
        if kpi["register_state"] in ("no_source", "qualitative"):
            assert kpi["kpi_id"] not in with_series


@pytest.mark.parametrize(
    ("kpi_id", "operator", "value"),
    [
        ("unemployment_rate_total", "<", "2"),
        ("health_insurance_coverage", ">", "95"),
        ("doctors_per_10k", ">=", "11"),
        ("life_expectancy", "about", "75"),
        ("poverty_rate_multidimensional", "<=", ""),
        ("temporary_houses_remaining", "=", "0"),
        ("minimum_living_standard_guarantee", "none", ""),
    ],
)
def test_target_operators(kpi_id: str, operator: str, value: str) -> None:
    target = next(t for t in seed("programme_target") if t["kpi_id"] == kpi_id)
    assert (target["operator"], target["target_value"]) == (operator, value)


def test_a_target_without_a_value_says_why() -> None:
    targets = seed("programme_target")
    assert {t["kpi_id"] for t in targets} == set(KPIS)
    for target in targets:
        if target["operator"] in ("about", "decrease", "increase", "none", "between", "<="):
            assert target["note_en"], target["target_id"]
        if target["operator"] == "between":
            assert float(target["target_low"]) < float(target["target_high"])


def test_tasks_and_agencies() -> None:
    tasks = {t["task_id"]: t for t in seed("programme_task")}
    assert len(tasks) == 32
    assert {t for t in tasks if tasks[t]["due_on"]} == {"IV.2"}
    measured = {k for t in tasks.values() for k in t["kpi_ids"].split(";") if k}
    assert measured < set(KPIS)
    involved = {row["task_id"] for row in seed("programme_task_agency")}
    assert involved == set(tasks)


def test_every_series_finds_figures_and_no_cell_holds_two() -> None:
    figures, series = published(), seed("delivered_series")
    for s in series:
        assert any(takes(s, f) for f in figures), s["series_id"]
    assert {c: n for c, n in delivered_cells(series, figures).items() if n > 1} == {}


def test_mixing_methods_is_found() -> None:
    series = [{**s, "source_unit_label": ""} for s in seed("delivered_series")]
    mixed = {c[:2] for c, n in delivered_cells(series, published()).items() if n > 1}
    assert ("life_expectancy", "nso") in mixed


def test_poverty_standards_stay_apart() -> None:
    for s in seed("delivered_series"):
        if s["kpi_id"] == "poverty_rate_multidimensional":
            assert s["standard_version"]
            assert s["series"].endswith(s["standard_version"].replace("-", "_"))


def test_denominator_stands_beside_each_numerator() -> None:
    figures = published()
    for s in (s for s in seed("delivered_series") if s["source_denominator_indicator"]):
        below = {**s, "source_indicator": s["source_denominator_indicator"]}
        assert {f["ky"] for f in figures if takes(s, f)} == {
            f["ky"] for f in figures if takes(below, f)
        }


@pytest.mark.parametrize(
    ("dataset", "rows", "quarantined"),
    [
        ("population_area", 5 * 14 * 3, 0),
        ("population_by_sex_residence", 5 * 5 * 30, 0),
        # Printed with words beside the number, as "9000 (hơn)".
        ("published_indicators", 510, 5),
    ],
)
def test_real_extracts_pass_their_contract(dataset: str, rows: int, quarantined: int) -> None:
    contract = get_dataset("statistics_office", dataset)
    path = REAL / contract.extension.connector.options["pattern"]
    table = READERS[contract.extension.reader.name](
        path, Limits(), **contract.extension.reader.options
    )
    conformer = Conformer(contract, "2024-06", b"k" * 32)
    parts = [conformer.conform(batch) for batch in table.batches]
    assert sum(part.rows_read for part in parts) == rows
    failed = {finding.row_number for part in parts for finding in part.findings}
    assert len(failed) == quarantined


def test_the_offices_defects_are_kept() -> None:
    for name in ("E02.01.json", "E02.03-07.json"):
        content = (REAL / name).read_bytes()
        assert content.endswith(b"}}\x00")
        assert b'" WHOLE COUNTRY"' in content
        assert b'"Quang  Ngai"' in content
    assert b"Prel. 2024" in (REAL / "E02.03-07.json").read_bytes()


def test_every_seed_column_is_typed_and_described() -> None:
    document = yaml.safe_load((SEEDS / "_seeds.yml").read_text(encoding="utf-8"))
    described = {s["name"]: s for s in document["seeds"]}
    assert set(described) == {path.stem for path in SEEDS.glob("*.csv")}
    for name, entry in described.items():
        header = list(seed(name)[0])
        assert [c["name"] for c in entry["columns"]] == header, name
        assert list(entry["config"]["column_types"]) == header, name
        for column in entry["columns"]:
            assert column["description"]
            if column["name"].endswith(("_code", "_id")):
                assert entry["config"]["column_types"][column["name"]] == "text"


def test_progress_cases_are_complete() -> None:
    path = ROOT / "tests" / "data" / "progress_cases.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        cases = list(csv.DictReader(stream))
    assert len({c["case_id"] for c in cases}) == 126
    assert {c["direction"] for c in cases} == {"1", "-1"}
    assert all(c["score"] for c in cases if c["status"] != "not_available")
