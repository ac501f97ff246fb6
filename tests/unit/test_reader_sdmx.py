"""SDMX-ML data messages in both forms; pysdmx, which reads them whole, gives the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from pysdmx.io import read_sdmx as other_reader

from loaders.readers import Limits, ReaderError
from loaders.readers.sdmx import read_sdmx
from tests.unit.damaged import damaged, read_or_refuse, rows
from tests.unit.memory import peak_mb

SDMX = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1"
HEADER = (
    "<m:Header><m:ID>A</m:ID><m:Test>false</m:Test><m:Prepared>2025-07-01T00:00:00Z</m:Prepared>"
    '<m:Sender id="NSO"/><m:Structure structureID="S" namespace="urn:n"'
    ' dimensionAtObservation="TIME_PERIOD"><c:Structure>'
    '<Ref agencyID="NSO" id="POP" version="1.0" class="DataStructure"/></c:Structure></m:Structure>'
    "<m:DataSetAction>Replace</m:DataSetAction></m:Header>"
)
SPECIFIC_SERIES = (
    '<Series FREQ="A" REF_AREA="VN" UNIT_MULT="3">'
    '<Obs TIME_PERIOD="2023" OBS_VALUE="100309.20866603316" OBS_STATUS="P"/>'
    '<Obs TIME_PERIOD="2024" OBS_VALUE="NaN"/></Series>'
    '<Series FREQ="A" REF_AREA="VN-29"><Obs TIME_PERIOD="2023" OBS_VALUE="1247"/></Series>'
)
GENERIC_SERIES = (
    '<g:Series><g:SeriesKey><g:Value id="FREQ" value="A"/><g:Value id="REF_AREA" value="VN"/>'
    '</g:SeriesKey><g:Attributes><g:Value id="UNIT_MULT" value="3"/></g:Attributes>'
    '<g:Obs><g:ObsDimension value="2023"/><g:ObsValue value="100309.20866603316"/>'
    '<g:Attributes><g:Value id="OBS_STATUS" value="P"/></g:Attributes></g:Obs>'
    '<g:Obs><g:ObsDimension value="2024"/><g:ObsValue value="NaN"/></g:Obs></g:Series>'
    '<g:Series><g:SeriesKey><g:Value id="FREQ" value="A"/><g:Value id="REF_AREA" value="VN-29"/>'
    '</g:SeriesKey><g:Obs><g:ObsDimension value="2023"/><g:ObsValue value="1247"/></g:Obs>'
    "</g:Series>"
)


def message(kind: str, content: str, header: str = HEADER, after: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><m:{kind} xmlns:m="{SDMX}/message"'
        f' xmlns:c="{SDMX}/common" xmlns:g="{SDMX}/data/generic"'
        f' xmlns:ss="{SDMX}/data/structurespecific" xmlns:f="{SDMX}/message/footer"'
        f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{header}'
        f'<m:DataSet ss:structureRef="S" structureRef="S" ss:dataScope="DataStructure"'
        f' ss:action="Replace">{content}</m:DataSet>{after}</m:{kind}>'
    ).encode()


SPECIFIC = message("StructureSpecificData", SPECIFIC_SERIES)
GENERIC = message("GenericData", GENERIC_SERIES)


def read(tmp_path: Path, content: bytes, limits: Limits | None = None, **options: Any) -> Any:
    path = tmp_path / "a.xml"
    path.write_bytes(content)
    return read_sdmx(path, limits or Limits(), **options)


@pytest.mark.parametrize("content", [SPECIFIC, GENERIC], ids=["structure-specific", "generic"])
def test_an_observation_is_a_row_with_what_its_series_says(tmp_path: Path, content: bytes) -> None:
    table = read(tmp_path, content)
    assert sorted(table.headers) == [
        "FREQ",
        "OBS_STATUS",
        "OBS_VALUE",
        "REF_AREA",
        "TIME_PERIOD",
        "UNIT_MULT",
    ]
    columns = ["REF_AREA", "TIME_PERIOD", "OBS_VALUE", "UNIT_MULT", "OBS_STATUS"]
    table = read(tmp_path, content, columns=columns)
    assert table.headers == columns
    assert [tuple(row.values()) for row in rows(table)] == [
        ("VN", "2023", "100309.20866603316", "3", "P", 1, ""),
        ("VN", "2024", None, "3", None, 2, ""),
        ("VN-29", "2023", "1247", None, None, 3, ""),
    ]


@pytest.mark.parametrize("content", [SPECIFIC, GENERIC], ids=["structure-specific", "generic"])
def test_pysdmx_finds_the_same_observations(tmp_path: Path, content: bytes) -> None:
    table = read(tmp_path, content)
    ours = [
        {k: v for k, v in row.items() if k in table.headers and v is not None}
        for row in rows(table)
    ]
    data = other_reader(tmp_path / "a.xml", validate=False).data[0].data
    theirs = [
        {k: v for k, v in row.items() if isinstance(v, str) and v not in ("NaN", "")}
        for row in data.to_dict("records")
    ]
    assert ours == theirs


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (
            "StructureSpecificData",
            '<Obs REF_AREA="VN" TIME_PERIOD="2023" OBS_VALUE="1"/>'
            '<Obs REF_AREA="LA" TIME_PERIOD="2023" OBS_VALUE="2"/>',
        ),
        (
            "GenericData",
            '<g:Obs><g:ObsKey><g:Value id="REF_AREA" value="VN"/>'
            '<g:Value id="TIME_PERIOD" value="2023"/></g:ObsKey><g:ObsValue value="1"/></g:Obs>'
            '<g:Obs><g:ObsKey><g:Value id="REF_AREA" value="LA"/>'
            '<g:Value id="TIME_PERIOD" value="2023"/></g:ObsKey><g:ObsValue value="2"/></g:Obs>',
        ),
    ],
)
def test_observations_without_series(tmp_path: Path, kind: str, content: str) -> None:
    table = read(tmp_path, message(kind, content))
    assert table.headers == ["REF_AREA", "TIME_PERIOD", "OBS_VALUE"]
    assert [row["OBS_VALUE"] for row in rows(table)] == ["1", "2"]


GROUP = '<Group REF_AREA="VN" TITLE="x"/>'
GENERIC_GROUP = (
    '<g:Group type="G"><g:GroupKey><g:Value id="REF_AREA" value="VN"/></g:GroupKey>'
    '<g:Attributes><g:Value id="TITLE" value="x"/></g:Attributes></g:Group>'
)


@pytest.mark.parametrize(
    "content",
    [
        message("StructureSpecificData", GROUP + SPECIFIC_SERIES),
        message("GenericData", GENERIC_GROUP + GENERIC_SERIES),
    ],
)
def test_an_attribute_of_a_group_is_refused_only_when_asked_for(
    tmp_path: Path, content: bytes
) -> None:
    assert len(rows(read(tmp_path, content, columns=["REF_AREA", "OBS_VALUE"]))) == 3
    with pytest.raises(ReaderError, match=r"\['TITLE'\] stand on groups"):
        read(tmp_path, content, columns=["TITLE", "OBS_VALUE"])


@pytest.mark.parametrize(
    ("content", "message_"),
    [
        (SPECIFIC[:-200], "not well-formed XML .* ask for the file again"),
        (b"TIME_PERIOD,OBS_VALUE\n", "not well-formed"),
        (message("Structure", ""), "no SDMX-ML 2.1 data message but 'Structure'"),
        (b"<html><body/></html>", "but 'html'"),
        (message("GenericData", ""), "no observation"),
        (GENERIC.replace(b'id="REF_AREA"', b""), "a column is called ''"),
        (b"<!DOCTYPE a>" + SPECIFIC[38:], "document type"),
        (
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + SPECIFIC[38:],
            "document type",
        ),
        (
            message("StructureSpecificData", SPECIFIC_SERIES, HEADER.replace("Replace", "Delete")),
            "deletes observations",
        ),
        (SPECIFIC.replace(b'ss:action="Replace"', b'ss:action="Delete"'), "deletes observations"),
        (
            message(
                "GenericData",
                GENERIC_SERIES,
                after='<f:Footer><f:Message code="413" severity="Warning"/></f:Footer>',
            ),
            "message code '413'",
        ),
    ],
)
def test_what_is_no_complete_data_message_is_refused(
    tmp_path: Path, content: bytes, message_: str
) -> None:
    with pytest.raises(ReaderError, match=message_):
        rows(read(tmp_path, content))


def test_columns_and_limits_are_held(tmp_path: Path) -> None:
    with pytest.raises(ReaderError, match=r"no 'REF_AERA' \(closest: 'REF_AREA'\)"):
        read(tmp_path, SPECIFIC, columns=["REF_AERA"])
    with pytest.raises(ReaderError, match="more than 3 dimensions"):
        read(tmp_path, SPECIFIC, Limits(max_columns=3))
    with pytest.raises(ReaderError, match="more than 2 rows"):
        rows(read(tmp_path, SPECIFIC, Limits(max_rows=2)))


def test_memory_does_not_follow_the_size_of_the_file(tmp_path: Path) -> None:
    few, many = tmp_path / "few.xml", tmp_path / "many.xml"
    note = "x" * 4_000
    series = f'<Series A="{note}"><Obs TIME_PERIOD="2024" OBS_VALUE="1"/></Series>'
    few.write_bytes(message("StructureSpecificData", series * 500))
    many.write_bytes(message("StructureSpecificData", series * 20_000))
    expression = "read_sdmx(path, Limits(), columns=['OBS_VALUE'])"
    small, large = (peak_mb(path, "loaders.readers.sdmx", expression) for path in (few, many))
    assert large - small < 25


@settings(max_examples=150, deadline=None)
@given(damaged(SPECIFIC, (b"<Obs/>", b"&x;", b"<!DOCTYPE x>", b' A="1"', b"<Group/>")))
def test_damaged_specific_files_end_in_rows_or_a_refusal(content: bytes) -> None:
    read_or_refuse(content, lambda path: read_sdmx(path, Limits()))


@settings(max_examples=150, deadline=None)
@given(damaged(GENERIC, (b"<g:Obs/>", b"<g:Value/>", b"&x;", b"<g:Group/>")))
def test_damaged_generic_files_end_in_rows_or_a_refusal(content: bytes) -> None:
    read_or_refuse(content, lambda path: read_sdmx(path, Limits()))
