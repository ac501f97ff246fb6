"""The invented province: equal bytes, the same people, known damage and a truth that adds up."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from loaders.conform import CONTRACT_RULES, Conformer
from loaders.contracts.model import get_dataset
from loaders.readers.base import check_headers
from loaders.register import computed_kpis
from loaders.report import words
from loaders.sample import KINDS, GeneratedFile, SampleError, generate
from loaders.sample.geography import SEEDS_DIR, read_geography
from loaders.sample.province import Month, Province
from loaders.sample.truths.base import kpi_value
from loaders.settings import PROJECT_ROOT
from tests.unit.written import table_of, text_of

MONTHS = ["2024-12", "2025-06", "2025-07", "2025-12"]
SCALE, SEED = 0.01, 7


class Sample:
    """One generated sample with its answer files."""

    def __init__(self, folder: Path) -> None:
        self.inbox = folder / "inbox"
        self.files = generate(MONTHS, SCALE, SEED, self.inbox, folder / "truth")
        self.truth = _rows(folder / "truth" / "truth.csv")
        self.defects = _rows(folder / "truth" / "defects.csv")

    def file(self, dataset: str, period: str) -> GeneratedFile:
        return next(f for f in self.files if (f.dataset, f.period) == (dataset, period))

    def bad_rows(self, dataset: str, period: str) -> set[int]:
        return {
            int(d["row_number"])
            for d in self.defects
            if (d["dataset"], d["period"]) == (dataset, period)
        }

    def good(self, dataset: str, period: str) -> pl.DataFrame:
        """Text rows of a file without those that are written down as damaged."""
        frame = text_of(self.file(dataset, period))
        return frame.filter(~pl.col("_row_number").is_in(self.bad_rows(dataset, period)))

    def cells(self, **wanted: str) -> list[dict[str, str]]:
        return [row for row in self.truth if all(row[k] == v for k, v in wanted.items())]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return Sample(tmp_path_factory.mktemp("sample"))


def test_equal_arguments_give_equal_bytes(sample: Sample, tmp_path: Path) -> None:
    again = Sample(tmp_path)
    assert _digests(again.inbox) == _digests(sample.inbox)
    assert again.truth == sample.truth
    assert again.defects == sample.defects


def test_a_month_does_not_depend_on_the_others(sample: Sample, tmp_path: Path) -> None:
    generate(["2025-07"], SCALE, SEED, tmp_path, None)
    alone = _digests(tmp_path)
    together = _digests(sample.inbox)
    assert alone
    assert alone == {name: together[name] for name in together if "/2025-07/" in name}


def test_another_seed_gives_another_province(sample: Sample, tmp_path: Path) -> None:
    generate(["2025-07"], SCALE, SEED + 1, tmp_path, None)
    name = "social_insurance/2025-07/DS_THE_BHYT_202507.csv"
    assert _digests(tmp_path)[name] != _digests(sample.inbox)[name]


@pytest.mark.parametrize("period", MONTHS)
def test_headers_are_those_of_the_contract(sample: Sample, period: str) -> None:
    for file in sample.files:
        if file.period != period:
            continue
        dataset = get_dataset(file.source, file.dataset)
        table = table_of(file)
        check_headers(table.headers, dataset.headers(period))
        assert table.stated_period in (None, period)
        rows = sum(batch.frame.height + len(batch.broken) for batch in table.batches)
        assert file.rows in (None, rows)
        assert table.stated_rows in ([], [rows])


@pytest.mark.parametrize("period", MONTHS)
def test_the_contract_rules_find_exactly_their_defects(sample: Sample, period: str) -> None:
    for file in sample.files:
        if file.period != period or file.data_label == "real":
            continue
        dataset = get_dataset(file.source, file.dataset)
        conformer = Conformer(dataset, period, b"k" * 32)
        table = table_of(file)
        found = Counter(
            (finding.row_number, finding.rule_id)
            for batch in table.batches
            for finding in conformer.conform(batch).findings
        )
        expected = Counter(
            (int(d["row_number"]), d["rule"])
            for d in sample.defects
            if (d["dataset"], d["period"]) == (file.dataset, period)
            and d["rule"].startswith("contract.")
        )
        # A card that is too short feeds one column with a pattern, so every defect is one finding.
        assert found == expected, file.dataset


def test_about_one_row_in_a_hundred_is_damaged(sample: Sample) -> None:
    for file in sample.files:
        if file.dataset in KINDS and file.rows and file.rows >= 100:
            assert 0.005 <= file.defects / file.rows <= 0.02, file
        if file.rows:
            # The contract holds back a batch with more than 5 % bad rows.
            assert file.defects <= 0.05 * file.rows, file
    used = {(d["dataset"], d["kind"]) for d in sample.defects}
    large = ("health_insurance_members", "pupils")
    assert {(name, k.kind) for name in large for k in KINDS[name]} <= used


def test_no_damage_without_a_share(tmp_path: Path) -> None:
    files = generate(["2025-07"], SCALE, SEED, tmp_path / "in", tmp_path, defect_share=0)
    assert sum(file.defects for file in files) == 0
    for row in _rows(tmp_path / "truth.csv"):
        assert row["numerator"] == row["numerator_undamaged"]


def test_people_stay_the_same_from_month_to_month(sample: Sample) -> None:
    before, after = (
        sample.good("health_insurance_members", period).unique("SO_DINH_DANH")
        for period in ("2025-06", "2025-07")
    )
    columns = ["SO_DINH_DANH", "HO_TEN", "NGAY_SINH", "GIOI_TINH", "MA_SO_BHXH"]
    both = before.select(columns).join(after.select(columns), on="SO_DINH_DANH")
    assert both.height > 0.97 * before.height
    for column in columns[1:]:
        assert (both[column] == both[f"{column}_right"]).all()


def test_pupils_and_staff_are_people_of_the_province() -> None:
    province = Province(read_geography(), SCALE, SEED)
    numbers = province.citizen_number
    assert numbers.n_unique() == province.count
    assert province.insurance_number.n_unique() == province.count
    assert numbers.str.contains(r"^0(51|62)[0-3]\d{8}$").all()
    year = 1900 + numbers.str.slice(3, 1).cast(pl.Int32) // 2 * 100
    year += numbers.str.slice(4, 2).cast(pl.Int32)
    assert (year == pl.Series(province.birth_year)).all()
    sex = numbers.str.slice(3, 1).cast(pl.Int32) % 2 + 1
    assert (sex == pl.Series(province.sex)).all()


def test_the_people_of_all_sources_are_the_same(sample: Sample) -> None:
    everybody = set(Province(read_geography(), SCALE, SEED).citizen_number)
    columns = {
        "health_insurance_members": "SO_DINH_DANH",
        "pupils": "sodinhdanh",
        "staff": "Số định danh",
        "temporary_houses": "Chủ hộ | Số định danh",
    }
    for dataset, column in columns.items():
        assert set(sample.good(dataset, "2025-07")[column]) <= everybody


@pytest.mark.parametrize(
    ("period", "counts"),
    [
        ("2024-12", {"qn_programme": 173}),
        ("2025-06", {"qn_programme": 170, "qn_current": 272}),
        ("2025-07", {"qn_programme": 56, "qn_current": 96}),
    ],
)
def test_units_are_those_of_the_month(sample: Sample, period: str, counts: dict[str, int]) -> None:
    rows = sample.cells(
        period=period,
        unit_level="commune",
        breakdown="total",
        kpi_id="health_insurance_coverage",
    )
    assert Counter(row["boundary"] for row in rows) == counts
    districts = {r["unit_code"] for r in sample.cells(period=period, unit_level="district")}
    # The island district had no commune of its own, so no list names its people before the reform.
    expected = {"2024-12": 12, "2025-06": 22, "2025-07": 0, "2025-12": 0}
    assert len(districts) == expected[period]


def test_every_commune_has_people_and_one_station(sample: Sample) -> None:
    geography = read_geography()
    for period in MONTHS:
        month = Month(period)
        communes = {
            code
            for code, commune in geography.communes[month.era].items()
            if commune.province in month.provinces
        }
        population = text_of(sample.file("commune_population", period))
        assert set(population["ma_xa"]) == communes
        facilities = text_of(sample.file("facilities", period))
        stations = facilities.filter(pl.col("Loại hình") == "TYT").unique("Mã CSKCB")
        assert stations["Mã xã"].n_unique() == stations.height == len(communes)


def test_truth_has_every_kpi_and_adds_up(sample: Sample) -> None:
    assert {row["kpi_id"] for row in sample.truth} == computed_kpis(PROJECT_ROOT)
    sums: dict[tuple[str, ...], list[int]] = {}
    undivided = set()
    for row in sample.truth:
        key = (row["kpi_id"], row["series"], row["period"], row["boundary"])
        part = (*key, row["unit_level"], row["breakdown"], row["breakdown_value"])
        total = sums.setdefault(part, [0, 0])
        total[0] += int(row["numerator"])
        total[1] += int(row["denominator"] or 0)
        # Counts have no denominator, and of some only whole provinces do.
        if not row["denominator"]:
            undivided.add(row["kpi_id"])

    def shown(kpi_id: str, total: list[int]) -> list[int]:
        return total[:1] if kpi_id in undivided else total

    for (*key, level, breakdown, value), total in sums.items():
        if level == "boundary":
            continue
        whole = sums[*key, "boundary", breakdown, value]
        assert shown(key[0], total) == shown(key[0], whole), (key, level, breakdown, value)
    for key in {k[:5] for k in sums if k[4] == "boundary"}:
        whole = sums[*key, "total", "total"]
        for breakdown in {k[5] for k in sums if k[:5] == key}:
            parts = [v for k, v in sums.items() if k[:6] == (*key, breakdown)]
            total = [sum(p[0] for p in parts), sum(p[1] for p in parts)]
            assert shown(key[0], total) == shown(key[0], whole), (key, breakdown)


def test_every_series_and_breakdown_has_words_for_the_report(sample: Sample) -> None:
    missing = {row["series"] for row in sample.truth} - set(words.SERIES)
    missing |= {row["breakdown"] for row in sample.truth} - {"total", *words.BREAKDOWNS}
    for row in sample.truth:
        shown = words.breakdown_value_text(row["breakdown"], row["breakdown_value"])
        if row["breakdown"] != "total" and shown.vi == row["breakdown_value"]:
            missing.add(f"{row['breakdown']} {row['breakdown_value']}")
    assert missing == set()


def test_the_two_boundaries_differ_by_kon_tum(sample: Sample) -> None:
    for period in ("2025-06", "2025-07"):
        rows = sample.cells(period=period, unit_level="commune", breakdown="total")
        programme = {(r["kpi_id"], r["unit_code"]) for r in rows if r["boundary"] == "qn_programme"}
        current = {(r["kpi_id"], r["unit_code"]) for r in rows if r["boundary"] == "qn_current"}
        assert programme < current
        assert {code[:2] for _, code in current - programme} == {"23"}
    assert not sample.cells(period="2024-12", boundary="qn_current")


def _total(sample: Sample, kpi_id: str, period: str) -> tuple[int, int]:
    boundary = "qn_current" if period >= "2025-06" else "qn_programme"
    (row,) = sample.cells(
        kpi_id=kpi_id, period=period, boundary=boundary, unit_level="boundary", breakdown="total"
    )
    return int(row["numerator"]), int(row["denominator"])


@pytest.mark.parametrize("period", MONTHS)
def test_truth_is_what_the_good_rows_say(sample: Sample, period: str) -> None:
    end = pl.lit(Month(period).end).cast(pl.Int32).cast(pl.Date)
    population = text_of(sample.file("commune_population", period))
    people = population["dan_so"].cast(pl.Int64).sum()
    cards = sample.good("health_insurance_members", period).filter(
        (pl.col("TU_NGAY").str.to_date("%d/%m/%Y") <= end)
        & (pl.col("DEN_NGAY").str.to_date("%d/%m/%Y") >= end)
    )
    assert _total(sample, "health_insurance_coverage", period) == (
        cards["SO_DINH_DANH"].n_unique(),
        people,
    )
    staff = sample.good("staff", period).filter(
        (pl.col("Tình trạng") == "DLV") & pl.col("Trình độ").is_in(["DH", "SDH"])
    )
    doctors = staff.filter(pl.col("Chức danh") == "BS")
    assert _total(sample, "doctors_per_10k", period) == (
        doctors["Số định danh"].n_unique(),
        people,
    )
    beds = sample.good("facilities", period).filter(pl.col("Loại hình").is_in(["BV", "PKDK"]))
    assert _total(sample, "hospital_beds_per_10k", period) == (
        beds["Giường bệnh | Kế hoạch"].cast(pl.Int64).sum(),
        people,
    )
    houses = sample.good("temporary_houses", period).group_by("Mã hộ")
    done = houses.agg(pl.col("Tiến độ | Hoàn thành").is_not_null().any())["Tiến độ | Hoàn thành"]
    assert _total(sample, "temporary_houses_remaining", period) == ((~done).sum(), done.len())
    latest = sample.good("pupils", period).filter(
        pl.col("phienban").cast(pl.Int64)
        == pl.col("phienban").cast(pl.Int64).max().over("idbanghi")
    )
    age = Month(period).school_start_year - pl.col("ngaysinh").str.slice(0, 4).cast(pl.Int64)
    primary = latest.filter(
        (pl.col("matrangthaihientai") == "1") & (pl.col("caphoc") == "1") & age.is_between(6, 10)
    )
    born = Month(period).school_start_year - pl.col("nam_sinh").cast(pl.Int64)
    of_age = population.filter(born.is_between(6, 10))["dan_so"].cast(pl.Int64).sum()
    assert _total(sample, "net_enrolment_primary", period) == (
        primary["sodinhdanh"].n_unique(),
        of_age,
    )


def test_the_hard_cases_are_in_the_files(sample: Sample) -> None:
    cards = sample.good("health_insurance_members", "2025-07")
    per_person = cards.group_by("SO_DINH_DANH").agg(
        cards=pl.len(), communes=pl.col("MA_XA").n_unique()
    )
    assert (per_person["cards"] > 1).mean() == pytest.approx(0.02, abs=0.01)
    assert (per_person["communes"] > 1).any()
    assert set(cards["MA_THE"].str.slice(3, 2)) > {"01", "51", "62", "79"}
    pupils = sample.good("pupils", "2025-07")
    assert set(pupils["phienban"]) == {"1", "2"}
    open_records = pupils.filter(pl.col("matrangthaihientai") == "1")
    by_person = open_records.group_by("sodinhdanh").agg(pl.col("idbanghi").n_unique())
    assert (by_person["idbanghi"] > 1).any()
    assert pupils["matruong"].str.starts_with("48").any()


def test_levels_are_plausible(sample: Sample) -> None:
    limits = {
        "health_insurance_coverage": (91, 97),
        "doctors_per_10k": (6.5, 9.5),
        "pharmacists_per_10k": (1, 3.5),
        "nurses_per_10k": (11, 17),
        "hospital_beds_per_10k": (25, 36),
        "net_enrolment_primary": (97, 100),
        "net_enrolment_lower_secondary": (93, 98),
        "net_enrolment_upper_secondary": (65, 76),
    }
    for row in sample.cells(unit_level="boundary", breakdown="total"):
        # The gratitude fund is in dong.
        low, high = limits.get(row["kpi_id"], (0, 1e11))
        assert low <= float(row["value"]) <= high, row


def test_value_rounds_half_up_and_is_empty_over_zero() -> None:
    cell = {"numerator": 1, "denominator": 3}
    assert kpi_value(100, cell) == "33.3333333333"
    assert kpi_value(100, {"numerator": 2, "denominator": 3}) == "66.6666666667"
    # 1/2^11 has eleven decimals and ends in 5: half up, not to even.
    assert Decimal(kpi_value(1, {"numerator": 1, "denominator": 2**11})) == Decimal("0.0004882813")
    assert kpi_value(100, {"numerator": 0, "denominator": 0}) == ""
    assert kpi_value(0, {"numerator": 4, "denominator": 9}) == "4.0000000000"


@pytest.mark.parametrize(
    ("months", "scale", "share", "words"),
    [
        (["2023-12"], SCALE, 0.01, "2024-01 to 2027-12"),
        (["2025-07"], 0.0, 0.01, "scale"),
        (["2025-07"], 1e-5, 0.01, "too small"),
        (["2025-07"], SCALE, 0.5, "defect share"),
    ],
)
def test_what_cannot_be_made_is_refused(
    tmp_path: Path, months: list[str], scale: float, share: float, words: str
) -> None:
    with pytest.raises(SampleError, match=words):
        generate(months, scale, SEED, tmp_path, None, defect_share=share)


def test_a_missing_seed_is_named(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match=r"geo_unit\.csv is missing"):
        generate(["2025-07"], SCALE, SEED, tmp_path, None, seeds=tmp_path)


@pytest.mark.parametrize("kept", ["2025-07-01", "2025-01-01"])
def test_a_commune_that_vanishes_is_refused(tmp_path: Path, kept: str) -> None:
    """Each step of the crosswalk is needed: without it a commune has nowhere to go."""
    (tmp_path / "geo_unit.csv").write_bytes((SEEDS_DIR / "geo_unit.csv").read_bytes())
    lines = (SEEDS_DIR / "geo_crosswalk.csv").read_text(encoding="utf-8").splitlines()
    chosen = [lines[0], *(line for line in lines[1:] if f",{kept}," in line)]
    (tmp_path / "geo_crosswalk.csv").write_text("\n".join(chosen) + "\n", encoding="utf-8")
    with pytest.raises(SampleError, match="ends before"):
        generate(["2025-07"], SCALE, SEED, tmp_path / "in", None, seeds=tmp_path)


def test_every_defect_names_a_rule_that_exists() -> None:
    rules = set(CONTRACT_RULES)
    for path in (PROJECT_ROOT / "expectations" / "intake").glob("*.json"):
        suite = json.loads(path.read_text(encoding="utf-8"))
        rules |= {expectation["meta"]["id"] for expectation in suite["expectations"]}
    named = {kind.rule for kinds in KINDS.values() for kind in kinds}
    assert named <= rules, named - rules


def test_small_files_show_another_kind_each_month(tmp_path: Path) -> None:
    months = [f"2026-{number:02d}" for number in range(1, 13)]
    generate(months, SCALE, SEED, tmp_path / "in", tmp_path, defect_share=0.02)
    used = {(d["dataset"], d["kind"]) for d in _rows(tmp_path / "defects.csv")}
    small = ("staff", "facilities")
    assert {(name, kind.kind) for name in small for kind in KINDS[name]} <= used
