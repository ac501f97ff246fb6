"""Insurance claims in the envelope of Decision 130: rows, damage, limits, what may not leave."""

from __future__ import annotations

import base64
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from loaders.readers import Limits, ReaderError
from loaders.readers.xml130 import known_fields, read_xml130
from tests.unit.damaged import damaged, read_or_refuse, rows

FIELDS = ["MA_LK", "HO_TEN", "NGAY_RA", "T_BHTT", "MACSKCB", "NGAYLAP"]


def summary(number: int, **fields: str) -> str:
    cells = {"MA_LK": f"L{number}", "HO_TEN": "Lê Ái", "NGAY_RA": "202506300930"} | fields
    return "<TONG_HOP>" + "".join(f"<{k}>{v}</{k}>" for k, v in cells.items()) + "</TONG_HOP>"


def drugs(number: int, count: int) -> str:
    items = "".join(
        f"<CHI_TIET_THUOC><MA_LK>L{number}</MA_LK><STT>{i}</STT></CHI_TIET_THUOC>"
        for i in range(count)
    )
    inner = f"<DSACH_CHI_TIET_THUOC>{items}</DSACH_CHI_TIET_THUOC>"
    return f"<CHITIEU_CHITIET_THUOC>{inner}</CHITIEU_CHITIET_THUOC>"


def packed(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def envelope(
    *visits: dict[str, str], stated: Any = None, facility: str = "51001", made_up: str = "20250705"
) -> bytes:
    """An envelope of visits given as table → content in base64."""
    items = "".join(
        "<HOSO>"
        + "".join(
            f"<FILEHOSO><LOAIHOSO>{kind.strip('+')}</LOAIHOSO><NOIDUNGFILE>{content}</NOIDUNGFILE>"
            "</FILEHOSO>"
            for kind, content in visit.items()
        )
        + "</HOSO>\n"
        for visit in visits
    )
    count = len(visits) if stated is None else stated
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<!-- Phần mềm -->'
        f"<GIAMDINHHS><THONGTINDONVI><MACSKCB>{facility}</MACSKCB></THONGTINDONVI>"
        f"<THONGTINHOSO><NGAYLAP>{made_up}</NGAYLAP><SOLUONGHOSO>{count}</SOLUONGHOSO>"
        f"<DANHSACHHOSO>{items}</DANHSACHHOSO></THONGTINHOSO>"
        "<CHUKYDONVI><Signature><Value>c</Value></Signature></CHUKYDONVI></GIAMDINHHS>"
    ).encode()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def visit(number: int, **tables: str) -> dict[str, str]:
    return {"XML1": packed(summary(number)), "XML2": packed(drugs(number, number))} | tables


def test_a_visit_is_one_row_of_xml1_and_any_number_of_the_others(tmp_path: Path) -> None:
    path = written(tmp_path / "a.xml", envelope(visit(1), visit(2), visit(0)))
    table = read_xml130(path, Limits(), table="XML1", fields=FIELDS)
    found = rows(table)
    assert table.headers == FIELDS
    assert [(r["_row_number"], r["MA_LK"]) for r in found] == [(1, "L1"), (2, "L2"), (3, "L0")]
    assert found[0] == {
        "MA_LK": "L1",
        "HO_TEN": "Lê Ái",
        "NGAY_RA": "202506300930",
        "T_BHTT": None,
        "MACSKCB": "51001",
        "NGAYLAP": "20250705",
        "_row_number": 1,
        "_sheet": "",
    }
    assert table.stated_rows == [3]
    lines = read_xml130(path, Limits(), table="XML2", fields=["STT", "MA_LK"])
    assert [(r["STT"], r["MA_LK"]) for r in rows(lines)] == [("0", "L1"), ("0", "L2"), ("1", "L2")]
    assert lines.stated_rows == []


def test_a_zip_of_facilities_is_numbered_through(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("T6/51001.xml", envelope(visit(1), visit(2)))
        archive.writestr("__MACOSX/T6/51001.xml", b"\x00")
        archive.writestr("T6/GD4510123456789.xml", envelope(visit(3), facility="51002"))
    table = read_xml130(path, Limits(), table="XML1", fields=["MA_LK", "MACSKCB"])
    assert [tuple(row.values()) for row in rows(table)] == [
        ("L1", "51001", 1, "T6/51001.xml"),
        ("L2", "51001", 2, "T6/51001.xml"),
        # The number of an insurance card in a file's name goes no further.
        ("L3", "51002", 3, "T6/GD#.xml"),
    ]
    assert table.stated_rows == [3]


def test_what_software_gets_wrong_about_xml_is_read(tmp_path: Path) -> None:
    declared = '<?xml version="1.0" encoding="utf-16"?>' + summary(1)
    spaced = "\ufeff\r\n" + summary(2)
    content = packed(summary(3))
    wrapped = "\n".join(content[i : i + 76] for i in range(0, len(content), 76))
    cdata = packed(summary(4, HO_TEN="<![CDATA[Y <b>]]>"))
    real_utf16 = packed(('<?xml version="1.0" encoding="utf-16"?>' + summary(5)).encode("utf-16"))
    path = written(
        tmp_path / "a.xml",
        envelope(*({"XML1": x} for x in (packed(declared), packed(spaced), wrapped, cdata))),
    )
    found = rows(read_xml130(path, Limits(), table="XML1", fields=["MA_LK", "HO_TEN"]))
    assert [row["MA_LK"] for row in found] == ["L1", "L2", "L3", "L4"]
    assert found[3]["HO_TEN"] == "Y <b>"
    path = written(tmp_path / "b.xml", envelope({"XML1": real_utf16}))
    assert rows(read_xml130(path, Limits(), table="XML1", fields=["MA_LK"]))[0]["MA_LK"] == "L5"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"XML1": "%%"}, "is not base64"),
        ({"XML1": packed(summary(2))[:-3]}, "is not base64"),
        ({"XML1": packed("<TONG_HOP><MA_LK>")}, "is not XML"),
        ({"XML1": packed("")}, "is not XML"),
        ({"XML1": packed('<!DOCTYPE a [<!ENTITY x "y">]><T><MA_LK>&x;</MA_LK></T>')}, "document"),
        ({"XML1": packed("<T><MA_LK>1</MA_LK><MA_LK>2</MA_LK></T>")}, "a field stands twice"),
        ({"XML1": packed("<T><A><MA_LK/></A><A><MA_LK/></A></T>")}, "2 records"),
        ({"XML1": packed("<T><A><MA_LK/></A><MA_LK/></T>")}, "side by side"),
        ({"XML1": packed("<T/>")}, "0 records"),
        ({"XML2": packed(drugs(1, 1))}, "has no table XML1"),
        ({"XML1": packed(summary(1)), "XML1+": packed(summary(1))}, "stands twice"),
    ],
)
def test_a_broken_visit_is_a_broken_row(
    tmp_path: Path, broken: dict[str, str], reason: str
) -> None:
    path = written(tmp_path / "a.xml", envelope(visit(1), broken, visit(3)))
    batches = list(read_xml130(path, Limits(), table="XML1", fields=["MA_LK"]).batches)
    assert [n for b in batches for n in b.frame["_row_number"]] == [1, 3]
    (row,) = (row for batch in batches for row in batch.broken)
    assert row.row_number == 2
    assert reason in row.reason_en
    assert "visit 2" in row.reason_en
    assert row.reason_vi.startswith("hồ sơ thứ 2")


GOOD = envelope(visit(1), visit(2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD[: len(GOOD) // 2], "not well-formed XML .* ask for the file again"),
        (b"", "not well-formed XML"),
        (b"MA_LK;HO_TEN\n1;2\n", "not well-formed XML"),
        (envelope(visit(1), stated=2), "states 2 visits .* but 1 came"),
        (envelope(visit(1), stated=""), "no number of visits"),
        (envelope(visit(1), stated="9" * 5000), "but 1 came"),
        (envelope(visit(1), facility=" "), "does not state MACSKCB before"),
        (envelope(visit(1), made_up="tháng 6"), "no yyyymmdd"),
        (GOOD.replace(b"HOSO>\n", b"HOSO><HOSSO/>", 1), r"'HOSSO' \(closest: 'HOSO'\)"),
        (envelope({"XLM1": ""}), "LOAIHOSO 'XLM1'"),
        (
            envelope({"XML1": packed(summary(1, T_BHT="5"))}),
            r"visit 1: XML1 has elements .*\['T_BHT'\] \(closest: 'T_BHTT'\)",
        ),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><GIAMDINHHS/>', "document type"),
        (b'<!DOCTYPE GIAMDINHHS SYSTEM "file:///etc/passwd"><GIAMDINHHS/>', "document type"),
        (b"<GIAMDINHHS>" * 150, "more than 100 levels"),
        (b"<GIAMDINHHS><HOSO>&x;</HOSO></GIAMDINHHS>", "not well-formed"),
    ],
)
def test_a_broken_envelope_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = written(tmp_path / "a.xml", content)
    with pytest.raises(ReaderError, match=message):
        rows(read_xml130(path, Limits(), table="XML1", fields=["MA_LK"]))


def test_elements_that_the_contract_adds_are_no_fault(tmp_path: Path) -> None:
    path = written(tmp_path / "a.xml", envelope({"XML1": packed(summary(1, MA_NOI_BO="7"))}))
    options: dict[str, Any] = {"table": "XML1", "extra_fields": ["MA_NOI_BO"]}
    found = rows(read_xml130(path, Limits(), fields=["MA_NOI_BO"], **options))
    assert found[0]["MA_NOI_BO"] == "7"
    assert len(rows(read_xml130(path, Limits(), fields=["MA_LK"], **options))) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "XML16", "fields": ["MA_LK"]}, "no 'XML16'"),
        ({"table": "XML1", "fields": ["MALK"]}, r"XML1 has no 'MALK' \(closest: 'MA_LK'\)"),
        ({"table": "XML1", "fields": ["MA_LK", "MA_LK"]}, "asked for twice"),
        ({"table": "XML1"}, "needs 'fields'"),
        ({"table": "XML6", "fields": ["SO_CCCD"]}, "only counted"),
        ({"table": "XML15", "fields": ["MA_LK"]}, "only counted"),
    ],
)
def test_options_that_cannot_be_met_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ReaderError, match=message):
        read_xml130(written(tmp_path / "a.xml", GOOD), Limits(), **options)


def test_hiv_records_are_counted_per_facility_and_month_and_say_nothing_else(
    tmp_path: Path,
) -> None:
    record = "<H><MA_LK>L1</MA_LK><SO_CCCD>051090000001</SO_CCCD></H>"
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, facility, made_up in (("a", "51001", "20250705"), ("b", "51001", "20250720")):
            visits = (visit(1, XML6=packed(record)), visit(2), visit(3, XML6="?"))
            archive.writestr(name, envelope(*visits, facility=facility, made_up=made_up))
        archive.writestr("c", envelope(visit(1), facility="51002"))
    table = read_xml130(path, Limits(), table="XML6")
    batches = list(table.batches)
    assert table.headers == ["MACSKCB", "month", "count"]
    assert [row for b in batches for row in b.frame.rows()] == [
        ("51001", "2025-07", "2", 3, ""),
        ("51002", "2025-07", "0", 4, ""),
    ]
    broken = [row for batch in batches for row in batch.broken]
    assert [row.row_number for row in broken] == [1, 2]
    assert "051090000001" not in repr(batches)


def test_the_decision_knows_a_field_for_every_table() -> None:
    assert set(known_fields()) == {f"XML{number}" for number in range(1, 16)}
    assert known_fields()["XML1"] >= {"MA_LK", "SO_CCCD", "NAM_QT", "THANG_QT", "T_BHTT"}


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_unpacked_bytes=500), "unfolds to more than 500 bytes"),
        (Limits(max_rows=1), "more than 1 rows"),
        (Limits(max_entries=1), "more than 1 files"),
    ],
)
def test_limits_hold(tmp_path: Path, limits: Limits, message: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.xml", envelope(visit(1), visit(2)))
        archive.writestr("b.xml", envelope(visit(3)))
    with pytest.raises(ReaderError, match=message):
        rows(read_xml130(path, limits, table="XML1", fields=["MA_LK"]))


def test_a_zip_bomb_is_refused_while_it_unfolds(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    padding = b" " * 50_000_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", GOOD.replace(b"<DANHSACHHOSO>", b"<DANHSACHHOSO>" + padding))
    with pytest.raises(ReaderError, match="more than 200 times"):
        rows(read_xml130(path, Limits(), table="XML1", fields=["MA_LK"]))


def test_a_zip_with_a_password_a_long_index_or_nothing_in_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.xml", GOOD)
    content = bytearray(path.read_bytes())
    index = content.index(b"PK\x01\x02")
    content[index + 8] |= 1
    written(tmp_path / "locked.zip", bytes(content))
    content[index + 8] &= 0xFE
    end = content.index(b"PK\x05\x06")
    content[end + 12 : end + 16] = b"\xff\xff\xff\x00"
    written(tmp_path / "long.zip", bytes(content))
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    for name, message in (
        ("locked", "encrypted"),
        ("long", "more than 2000 files"),
        ("empty", "no file"),
    ):
        with pytest.raises(ReaderError, match=message):
            rows(read_xml130(tmp_path / f"{name}.zip", Limits(), table="XML1", fields=["MA_LK"]))


def test_a_visit_of_many_rows_comes_in_batches(tmp_path: Path) -> None:
    path = written(tmp_path / "a.xml", envelope({"XML2": packed(drugs(1, 60_000))}))
    batches = list(read_xml130(path, Limits(), table="XML2", fields=["STT"]).batches)
    assert [batch.frame.height for batch in batches] == [50_000, 10_000]
    assert batches[1].frame["_row_number"][-1] == 60_000


def test_elements_are_forgotten_while_reading(tmp_path: Path) -> None:
    """Forty times the visits do not take more memory: the tree of the file is never built."""
    from tests.unit.memory import peak_mb

    content = visit(1, XML2=packed(bytes(random.Random(1).randbytes(30_000))))
    few = written(tmp_path / "few.xml", envelope(*[content] * 50))
    many = written(tmp_path / "many.xml", envelope(*[content] * 2_000))
    read = "read_xml130(path, Limits(), table='XML1', fields=['MA_LK'])"
    small, large = (peak_mb(path, "loaders.readers.xml130", read) for path in (few, many))
    assert many.stat().st_size > 75_000_000
    assert large - small < 20


def zipped(content: bytes, path: Path) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", content)
    return path.read_bytes()


@settings(max_examples=150, deadline=None)
@given(damaged(GOOD, (b"<!DOCTYPE x>", b"<HOSO/>", b"&lt;", b"</HOSO>", b"]]>")))
def test_damaged_envelopes_end_in_rows_or_a_refusal(content: bytes) -> None:
    for table, fields in (("XML1", ["MA_LK"]), ("XML2", ["STT"]), ("XML6", [])):
        read_or_refuse(
            content,
            lambda path, t=table, f=fields: read_xml130(path, Limits(), table=t, fields=f),
        )


@settings(max_examples=100, deadline=None)
@given(damaged(summary(1).encode(), (b"<A/>", b"&a;", b"<!DOCTYPE x>", b"<MA_LK><B/></MA_LK>")))
def test_damaged_tables_end_in_rows_or_a_refusal(content: bytes) -> None:
    read_or_refuse(
        envelope({"XML1": packed(content)}),
        lambda path: read_xml130(path, Limits(), table="XML1", fields=["MA_LK"]),
    )


@settings(max_examples=150, deadline=None)
@given(content=...)
def test_any_bytes_end_in_rows_or_a_refusal(content: bytes) -> None:
    read_or_refuse(
        content, lambda path: read_xml130(path, Limits(), table="XML1", fields=["MA_LK"])
    )


def test_damaged_archives_end_in_rows_or_a_refusal(tmp_path: Path) -> None:
    @settings(max_examples=200, deadline=None)
    @given(damaged(zipped(GOOD, tmp_path / "a.zip"), (b"PK\x05\x06", b"PK\x01\x02")))
    def check(content: bytes) -> None:
        read_or_refuse(
            content, lambda path: read_xml130(path, Limits(), table="XML1", fields=["MA_LK"])
        )

    check()
