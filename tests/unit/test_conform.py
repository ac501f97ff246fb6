"""Cells are typed, checked and pseudonymised before anything reaches the database."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders.conform import CONTRACT_RULES, Conformed, Conformer
from loaders.contracts.model import get_dataset
from loaders.privacy import pseudonym
from loaders.readers.base import BrokenRow, ReaderError, TextBatch

KEY = b"a key of at least thirty-two bytes."
MEMBERS = get_dataset("social_insurance", "health_insurance_members")
GOOD = {
    "KY": "06/2025",
    "SO_DINH_DANH": "051185004567",
    "MA_SO_BHXH": "5101234567",
    "HO_TEN": "Nguyễn Thị Hoa",
    "NGAY_SINH": "17/03/1985",
    "GIOI_TINH": "2",
    "MA_DAN_TOC": "01",
    "MA_XA": "21025",
    "MA_THE": "GD4515101234567",
    "TU_NGAY": "01/01/2025",
    "DEN_NGAY": "31/12/2025",
    "MA_CSKCB": "51001",
}


def conform(*changes: dict[str, str | None], period: str = "2025-06") -> Conformed:
    records = [GOOD | change for change in changes]
    frame = pl.DataFrame(records, schema={header: pl.String for header in GOOD}).with_columns(
        pl.Series("_row_number", range(1, len(records) + 1), dtype=pl.Int64),
        pl.lit("").alias("_sheet"),
    )
    return Conformer(MEMBERS, period, KEY).conform(TextBatch(frame))


def test_a_good_row_is_typed_and_carries_no_identifier() -> None:
    result = conform({})
    assert result.findings == []
    row = result.frame.to_dicts()[0]
    assert row["birth_month"] == dt.date(1985, 3, 1)
    assert row["valid_to"] == dt.date(2025, 12, 31)
    assert (row["object_code"], row["benefit_level"], row["issuing_province_code"]) == (
        "GD",
        "4",
        "51",
    )
    text = repr(row)
    for secret in ("051185004567", "5101234567", "Nguyễn", "1985, 3, 17"):
        assert secret not in text


@pytest.mark.parametrize(
    ("change", "column", "rule"),
    [
        ({"MA_SO_BHXH": None}, "social_insurance_key", "contract.required"),
        ({"NGAY_SINH": "31/02/1985"}, "birth_month", "contract.type"),
        ({"DEN_NGAY": "31/12/0025"}, "valid_to", "contract.range"),
        ({"SO_DINH_DANH": "05118500456"}, "person_key", "contract.pattern"),
        ({"GIOI_TINH": "9"}, "sex_code", "contract.enum"),
        ({"GIOI_TINH": "1"}, "person_key", "contract.citizen_number"),
        ({"NGAY_SINH": "17/03/1986"}, "person_key", "contract.citizen_number"),
        ({"SO_DINH_DANH": "051985004567"}, "person_key", "contract.citizen_number"),
        ({"MA_XA": "2102A"}, "residence_unit_code", "contract.pattern"),
    ],
)
def test_each_rule_of_the_contract_fires(
    change: dict[str, str | None], column: str, rule: str
) -> None:
    result = conform({}, change, {})
    assert [(f.row_number, f.column, f.rule_id) for f in result.findings] == [(2, column, rule)]
    assert result.frame.get_column("_row_number").to_list() == [1, 3]
    assert result.rows_read == 3


@pytest.mark.parametrize(
    ("text", "rule"),
    [("-1", "contract.range"), ("mười", "contract.type"), ("1.5", "contract.type")],
)
def test_numbers_of_the_wrong_kind_are_found(text: str, rule: str) -> None:
    facilities = get_dataset("health", "facilities")
    record = {
        "Mã CSKCB": "51001",
        "Tên cơ sở": "BVĐK tỉnh",
        "Loại hình": "BV",
        "Sở hữu": "CL",
        "Mã xã": "21025",
        "Giường bệnh | Kế hoạch": text,
        "Giường bệnh | Thực kê": "10",
        "_sheet": "CoSoYTe",
    }
    frame = pl.DataFrame([record]).with_columns(pl.lit(1, dtype=pl.Int64).alias("_row_number"))
    result = Conformer(facilities, "2025-06", KEY).conform(TextBatch(frame))
    assert [(f.column, f.rule_id, f.value) for f in result.findings] == [
        ("planned_beds", rule, text)
    ]


def test_a_row_with_two_faults_has_two_findings_and_is_one_row() -> None:
    result = conform({"GIOI_TINH": "9", "DEN_NGAY": None})
    assert sorted(f.rule_id for f in result.findings) == ["contract.enum", "contract.required"]
    assert result.frame.height == 0


def test_a_personal_value_is_never_kept_in_quarantine() -> None:
    result = conform({"SO_DINH_DANH": "05118500456", "NGAY_SINH": "31/02/1985", "MA_XA": "xx"})
    text = repr(result.findings)
    for secret in ("05118500456", "31/02/1985", "Nguyễn", "5101234567", "GD4515101234567"):
        assert secret not in text
    shown = {f.column: f.value for f in result.findings}
    assert shown == {"person_key": None, "birth_month": None, "residence_unit_code": "xx"}


def test_a_file_of_another_month_is_refused() -> None:
    with pytest.raises(ReaderError, match=r"rows are of 2025-06, the delivery is for 2025-07"):
        conform({}, {}, period="2025-07")


def test_single_rows_of_another_month_are_quarantined() -> None:
    result = conform({}, {"KY": "05/2025"})
    assert [f.rule_id for f in result.findings] == ["contract.period"]


def test_rows_that_could_not_be_split_are_findings() -> None:
    broken = (BrokenRow(4, "dòng có 3 ô, cần 12 ô", "the row has 3 cells, 12 are needed"),)
    result = Conformer(MEMBERS, "2025-06", KEY).conform(TextBatch(pl.DataFrame(), broken))
    assert [(f.row_number, f.rule_id) for f in result.findings] == [(4, "contract.row")]
    assert result.rows_read == 1


def test_every_rule_has_a_dimension_and_two_sentences() -> None:
    assert all(len(texts) == 3 and all(texts) for texts in CONTRACT_RULES.values())


def keys_of(values: list[str | None], key: bytes, domain: str) -> list[str | None]:
    cells = pl.DataFrame({"value": values}, schema={"value": pl.String})
    return cells.select(pseudonym(pl.col("value"), key, domain)).to_series().to_list()


@given(st.text(min_size=32, max_size=90), st.text(max_size=40))
def test_pseudonyms_are_hmac_sha256(secret: str, value: str) -> None:
    key = secret.encode()
    expected = hmac.new(key, b"person\x00" + value.encode(), hashlib.sha256).hexdigest()[:32]
    assert keys_of([value, None], key, "person") == [expected, None]


def test_the_same_number_in_two_domains_has_two_keys() -> None:
    person = keys_of(["0511850045"], KEY, "person")
    assert person != keys_of(["0511850045"], KEY, "social_insurance_number")


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        pseudonym(pl.col("value"), b"short", "person")
