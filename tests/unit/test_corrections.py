"""A correction changes exactly the cell it names, and only while the expected text stands there."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders import corrections
from loaders.corrections import Correction, Corrector, read_corrections
from loaders.readers.base import ReaderError
from tests.cells import column, dataset, frame

HEADER = "row_number,sheet,column,expect,value,reason,by\n"
DATASET = dataset(
    column("string", "unit_code", header="MA_XA"),
    column("string", "note", header="GHI_CHU"),
    column(
        "string",
        "person_key",
        header="SO_DINH_DANH",
        classification="identifier",
        privacy={"action": "pseudonym", "domain": "person"},
    ),
)


def parsed(*lines: str) -> list[Correction]:
    return read_corrections((HEADER + "\n".join(lines) + "\n").encode())


def corrector(*lines: str) -> Corrector:
    return Corrector(parsed(*lines), DATASET, "2025-07")


def delivery(first: int = 1, sheet: str = "") -> pl.DataFrame:
    cells = frame(
        MA_XA=["21025", "2102", None],
        GHI_CHU=["a", "b", "c"],
        SO_DINH_DANH=["051185004567", "051185004568", "051185004569"],
    )
    return cells.with_columns(pl.col("_row_number") + first - 1, pl.lit(sheet).alias("_sheet"))


def test_exactly_the_named_cells_change() -> None:
    before = delivery()
    correcting = corrector(
        "2,,MA_XA,2102,21028,digit lost,Phòng Thống kê",
        "3,,unit_code,,21034,was empty,Phòng Thống kê",
        '1,,GHI_CHU,a,,"wrong, of another row",Phòng Thống kê',
        "3,,person_key,051185004569,051185004570,typing error,Phòng Thống kê",
    )
    after = correcting.apply(before)
    correcting.finish()
    assert after["MA_XA"].to_list() == ["21025", "21028", "21034"]
    assert after["GHI_CHU"].to_list() == [None, "b", "c"]
    assert after["SO_DINH_DANH"].to_list() == ["051185004567", "051185004568", "051185004570"]
    assert after.schema == before.schema
    assert after.columns == before.columns
    # The batch that the reader gave is as it was.
    assert before.equals(delivery())
    assert correcting.set_aside == {}


def test_a_row_is_dropped_and_counted() -> None:
    correcting = corrector("2,,*,MA_XA=2102,delete,test record,Phòng Thống kê")
    after = correcting.apply(delivery())
    correcting.finish()
    assert after["_row_number"].to_list() == [1, 3]
    assert correcting.set_aside == {"deleted by correction": 1}


def test_batches_and_sheets_are_told_apart() -> None:
    correcting = corrector(
        "5,,MA_XA,2102,21028,digit lost,TK", "1,B,GHI_CHU,a,z,of sheet B only,TK"
    )
    assert correcting.apply(delivery()).equals(delivery())
    assert correcting.apply(delivery(4))["MA_XA"].to_list() == ["21025", "21028", None]
    assert correcting.apply(delivery(1, "B"))["GHI_CHU"].to_list() == ["z", "b", "c"]
    correcting.finish()


def test_an_empty_batch_and_no_corrections_change_nothing() -> None:
    assert corrector("9,,MA_XA,a,b,r,by").apply(pl.DataFrame()).height == 0
    assert Corrector([], DATASET, "2025-07").apply(delivery()).equals(delivery())


def test_the_expected_text_is_compared_in_its_folded_form() -> None:
    cells = frame(MA_XA=[unicodedata.normalize("NFD", "Đức  Phổ")], GHI_CHU=["a"]).with_columns(
        pl.lit("1").alias("SO_DINH_DANH")
    )
    correcting = corrector("1,,MA_XA,Đức Phổ,21439,name for code,TK")
    assert correcting.apply(cells)["MA_XA"].to_list() == ["21439"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2,,MA_XA,2103,21028,r,by", "row 2, column 'MA_XA': .*expected '2103', found '2102'"),
        ("3,,MA_XA,2103,21028,r,by", r"expected '2103', found '\(empty\)'"),
        ("1,,MA_XA,,21028,r,by", r"expected '\(empty\)', found '21025'"),
        ("1,,*,GHI_CHU=b,delete,r,by", "expected 'b', found 'a'"),
    ],
)
def test_another_text_than_the_expected_refuses_the_file(line: str, reason: str) -> None:
    with pytest.raises(ReaderError, match=reason + r".*; the file has changed"):
        corrector(line).apply(delivery())


def test_no_message_shows_a_personal_cell() -> None:
    lines = [
        "1,,SO_DINH_DANH,051185004999,051185004568,r,by",
        "1,,*,SO_DINH_DANH=051185004999,delete,r,by",
    ]
    for line in lines:
        with pytest.raises(ReaderError, match="personal: not shown") as caught:
            corrector(line).apply(delivery())
        assert "0511850" not in str(caught.value)
    with pytest.raises(ReaderError, match="row 9 is not in the file") as caught:
        corrector("9,,SO_DINH_DANH,051185004999,051185004568,r,by").finish()
    assert "0511850" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["9,,MA_XA,a,b,r,by"], "line 2: row 9 is not in the file"),
        (["1,B,MA_XA,a,b,r,by"], "line 2: row 1 of sheet 'B' is not in the file"),
    ],
)
def test_a_correction_without_a_row_refuses_the_file(lines: list[str], reason: str) -> None:
    correcting = corrector(*lines)
    correcting.apply(delivery())
    with pytest.raises(ReaderError, match=reason):
        correcting.finish()


def test_a_row_number_of_several_sheets_needs_the_sheet() -> None:
    correcting = corrector("1,,GHI_CHU,a,z,r,by")
    correcting.apply(delivery(1, "A"))
    with pytest.raises(ReaderError, match="several sheets; state the sheet"):
        correcting.apply(delivery(1, "B"))


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["1,,MA_HUYEN,a,b,r,by"], "line 2, column: the file has no such column.*MA_XA, GHI_CHU"),
        (["1,,*,MA_HUYEN=a,delete,r,by"], "line 2, expect: the file has no such column"),
        (["1,,MA_XA,a,b,r,by", "1,,unit_code,a,c,r,by"], "lines 2 and 3 correct the same cell"),
        (["1,,*,MA_XA=a,delete,r,by"] * 2, "lines 2 and 3 correct the same cell"),
    ],
)
def test_corrections_that_do_not_fit_the_contract_are_refused(
    lines: list[str], reason: str
) -> None:
    with pytest.raises(ReaderError, match=reason):
        corrector(*lines)


def test_a_cell_is_corrected_once_whether_or_not_the_sheet_is_stated() -> None:
    correcting = corrector("1,,GHI_CHU,a,y,r,by", "1,A,GHI_CHU,a,z,r,by")
    with pytest.raises(ReaderError, match="line 3: the cell is corrected by another line"):
        correcting.apply(delivery(1, "A"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1: the header must read row_number,sheet"),
        (b"row_number;sheet;column;expect;value;reason;by\n", "line 1: the header must read"),
        (HEADER.encode(), "no correction stands in it"),
        (HEADER.encode() + "1,,MA_XA,a,Đ,r,by\n".encode("utf-16"), "line 2: not UTF-8"),
        (HEADER.encode() + b"1,,MA_XA,a,b,r\n", "line 2: 6 cells, 7 are needed"),
        (HEADER.encode() + b'1,,MA_XA,"a,b,r,by\n', "line 2: unexpected end of data"),
        (HEADER.encode() + b"0,,MA_XA,a,b,r,by\n", "line 2, row_number: write the number"),
        (HEADER.encode() + b"-1,,MA_XA,a,b,r,by\n", "line 2, row_number"),
        (HEADER.encode() + "٣,,MA_XA,a,b,r,by\n".encode(), "line 2, row_number"),
        (HEADER.encode() + b"9" * 20 + b",,MA_XA,a,b,r,by\n", "line 2, row_number"),
        (HEADER.encode() + b"1,,,a,b,r,by\n", "line 2, column: is empty"),
        (HEADER.encode() + b"1,,MA_XA,a,b,,by\n", "line 2, reason: is empty"),
        (HEADER.encode() + b"1,,MA_XA,a,b,r,\n", "line 2, by: is empty"),
        (HEADER.encode() + b"1,,MA_XA,a,a,r,by\n", "line 2, value: is what is expected"),
        (HEADER.encode() + b"1,,*,MA_XA=a,drop,r,by\n", "line 2, value: column '\\*' takes only"),
        (HEADER.encode() + b"1,,*,a,delete,r,by\n", "line 2, expect: .* as column=text"),
        (HEADER.encode() + b"1,,*,,delete,r,by\n", "line 2, expect: .* as column=text"),
    ],
)
def test_a_file_that_is_no_corrections_file_says_where_and_why(content: bytes, reason: str) -> None:
    with pytest.raises(ReaderError, match=f"corrections file: {reason}"):
        read_corrections(content)


def test_a_file_of_a_spreadsheet_program_is_read() -> None:
    content = "\ufeff" + HEADER.replace("\n", "\r\n") + '1,,MA_XA,"a\nb",c,r,by\r\n\r\n'
    (found,) = read_corrections(content.encode())
    assert (found.expect, found.value, found.line) == ("a b", "c", 3)


def test_too_many_corrections_are_no_corrections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrections, "MAX_CORRECTIONS", 2)
    with pytest.raises(ReaderError, match="more than 2 corrections; ask for a corrected file"):
        parsed(*(f"{row},,MA_XA,a,b,r,by" for row in range(1, 5)))
    monkeypatch.setattr(corrections, "MAX_BYTES", 10)
    with pytest.raises(ReaderError, match="bytes, 10 are allowed"):
        parsed("1,,MA_XA,a,b,r,by")


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    for candidate in (content, HEADER.encode() + content, HEADER.encode() + b"1,,MA_XA," + content):
        try:
            found = read_corrections(candidate)
            Corrector(found, DATASET, "2025-07").apply(delivery())
        except ReaderError:
            continue
