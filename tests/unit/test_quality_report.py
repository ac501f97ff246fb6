"""The quality report as a page and as JSON-LD, from a view made by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from loaders.report.data import ReleaseView
from loaders.report.html import render_quality
from loaders.report.jsonld import CONTEXT
from loaders.report.quality_json import render_quality_json
from tests.quality_pages import FILE, NAUGHTY, batch, missing, quality_view, refused
from tests.report_pages import EVENT, Node, parse, release_view


@pytest.fixture(scope="module")
def page() -> Node:
    return parse(render_quality(release_view()))


def block(page: Node, label: str) -> Node:
    (found,) = page.by_id("data").all("section", label)
    return found


def page_of(**given: Any) -> Node:
    return parse(render_quality(release_view(quality=quality_view(**given))))


# --- form ---------------------------------------------------------------------------------------


def test_the_first_line_is_the_sample_label(page: Node) -> None:
    (body,) = page.all("body")
    first = next(child for child in body.children if isinstance(child, Node))
    assert first.text == "DỮ LIỆU MẪU / SAMPLE DATA"


def test_the_file_needs_nothing_from_outside() -> None:
    html = render_quality(release_view())
    assert not re.search(
        r"https?://|//[a-z]|@import|url\((?!#)", re.sub(r"(?m)^\s*// .*$", "", html)
    )
    page = parse(html)
    assert not page.all("link") and not page.all("img")
    assert not any("src" in node.attributes for node in page.all())
    assert len(page.all("script")) == 1  # its own: text from the database is never markup


def test_links_lead_to_the_month_report_or_somewhere_on_the_page(page: Node) -> None:
    ids = [node.attributes["id"] for node in page.all() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    links = {node.attributes["href"] for node in page.all() if "href" in node.attributes}
    assert links == {f"#{name}" for name in ("data", "decisions", "gate", "chain")} | {
        "2025-07.1.html"
    }


def test_every_table_has_a_caption_and_heads_that_say_their_direction(page: Node) -> None:
    for table in page.all("table"):
        heads = table.all("th")
        assert heads and all(head.attributes.get("scope") for head in heads)


def test_languages_drawings_and_signs_can_be_read_out(page: Node) -> None:
    english = page.all("span", "en")
    assert english and all(node.attributes.get("lang") == "en" for node in english)
    drawings = [node for node in page.all("svg") if node.attributes["class"] != "symbols"]
    assert drawings
    for drawing in drawings:
        assert drawing.attributes["role"] == "img" and drawing.all("title")[0].text
    for node in page.all("span", "verdict"):
        (sign,) = node.all("span", "sign")
        assert sign.attributes["aria-hidden"] == "true" and len(node.text) > len(sign.text) + 1


# --- what it says -------------------------------------------------------------------------------


def test_real_and_sample_data_stand_apart(page: Node) -> None:
    assert "statistics.xlsx" in block(page, "real").text
    assert "statistics.xlsx" not in block(page, "sample").text
    assert "staff.xlsx" not in block(page, "real").text


def test_a_held_batch_says_why_and_how_old_the_data_served_are(page: Node) -> None:
    (attention,) = block(page, "sample").all("div", "attention")
    assert NAUGHTY in attention.text
    assert "Vẫn dùng số liệu kỳ 06/2025 (lô batch-before), cũ hơn 31 ngày" in attention.text
    (attention,) = block(page, "none").all("div", "attention")
    assert "no file" in attention.text and "Chưa có số liệu nào thay thế" in attention.text


def test_sources_are_told_with_timeliness_and_volumes(page: Node) -> None:
    (table,) = block(page, "sample").all("table", "sources")
    (source,) = table.all("tbody", "group")
    assert "Y tế" in source.text and "đã nhận 3 / 3 lô, đúng hạn 33,3" in source.text
    lines = {row.all("th")[0].text.split(" ")[0]: row for row in table.all("tr")[2:]}
    staff = [cell.text for cell in lines["Nhân"].all("td")]
    assert staff[0].startswith("07/2025") and "05/08/2025" in staff[1]
    assert staff[2:4] == ["1", "1.234.567 = 1.234.560 + 7"]
    assert staff[-1].startswith("0,0006")  # a small share is not none
    (bars,) = lines["Nhân"].all("svg", "bars")
    assert bars.all("title")[0].text == (
        "Số dòng mỗi kỳ: 06/2025: 1.234.567 dòng, cách ly 1.500; "
        "07/2025: 1.234.567 dòng, cách ly 7."
    )
    assert len(bars.all("rect", "loaded")) == len(bars.all("rect", "quarantined")) == 2
    assert lines["Nhân"].all("svg", "spark")
    held = lines["health.facilities"].text
    assert "không nạp" in held and "= 0" not in held


def test_the_release_months_batches_are_listed_whole(page: Node) -> None:
    (table,) = block(page, "sample").all("table", "batches")
    text = table.text
    assert FILE[:12] in text and FILE[:13] not in text and "không khớp" not in text
    assert "1.234.567" in text and "1.234.560" in text


def test_a_batch_that_lost_rows_is_flagged() -> None:
    rows = [batch("staff", rows_loaded=1234559)]
    assert "không khớp" in page_of(timeliness=rows, volumes=rows).by_id("data").text


def test_older_months_are_drawn_and_not_listed() -> None:
    rows = [
        batch("staff", period=f"{2024 + n // 12}-{n % 12 + 1:02}", batch_id=f"b{n}")
        | {"ends_on": date(2024 + n // 12, n % 12 + 1, 28)}
        for n in range(20)
    ]
    page = page_of(timeliness=rows, volumes=rows)
    (table,) = block(page, "sample").all("table", "batches")
    assert len(table.all("tr")) == 1 + 13
    assert "01/2024" not in table.text and "08/2025" in table.text
    (line,) = block(page, "sample").all("table", "sources")[0].all("tr")[2:]
    (spark,) = line.all("svg", "spark")
    assert "01/2024" in spark.all("title")[0].text


def test_trends_are_of_all_datasets(page: Node) -> None:
    (trends,) = block(page, "sample").all("ul", "trends")
    titles = [node.all("title")[0].text for node in trends.all("svg")]
    assert titles == [
        "Trễ trung bình, ngày: 06/2025: 0,0; 07/2025: 1,0.",
        "Tỷ lệ dòng cách ly, %: 06/2025: 0,122; 07/2025: 0,001.",
    ]  # rules ran in one month only


def test_rules_are_counted_by_dimension_and_severity(page: Node) -> None:
    sample = block(page, "sample")
    (matrix,) = sample.all("table", "matrix")
    assert [cell.text for cell in matrix.all("td")] == ["0 / 0", "3 / 2", "0 / 0"]
    assert "không chạy được" in sample.text and "12 / 1.000" in sample.text
    assert "kpi_value.covered" not in sample.text
    assert "kpi_value.covered" in page.by_id("gate").text


def test_quarantine_comes_with_examples_that_can_be_found(page: Node) -> None:
    (table,) = block(page, "sample").all("table", "quarantine")
    (line,) = table.all("tr")[1:]
    assert [cell.text for cell in line.all("td", "num")] == ["7", "1.507"]
    examples = line.all("td")[-1].text
    assert f"staff.xlsx dòng 1.204, trang Nhân lực: {NAUGHTY}" in examples
    assert "dòng 1.205: không hiện giá trị" in examples


def test_decisions_are_signed(page: Node) -> None:
    text = page.by_id("decisions").text
    assert "Nguyễn Thị Lan" in text and "Đã xem cùng cơ quan" in text
    assert "Tỷ lệ vượt quá 100 %" in text and "kpi_value.covered v1" in text
    assert "1.512" in text and "1.505" in text and "đính chính" in text


def test_no_decision_and_no_data_are_said() -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        ("timeliness", "volumes", "rules", "quarantine", "approvals", "readmissions"), ()
    )
    page = page_of(**nothing)
    assert "Chưa có lô dữ liệu nào" in page.by_id("data").text
    assert "Không có dòng cách ly nào được nhận lại" in page.by_id("decisions").text


def test_an_auditor_reads_how_to_verify(page: Node) -> None:
    chain = page.by_id("chain").text
    assert f"nq42 audit verify --head {EVENT}" in chain
    assert "publication.kpi_value" in chain and "marts.scorecard" in chain
    gate = page.by_id("gate").text
    assert "Cổng phát hành: cho qua" in gate and "32 / 1" in gate
    draft = parse(render_quality(release_view(release=None)))
    assert "chưa có trong chuỗi" in draft.by_id("chain").text


def test_a_view_without_a_trail_is_a_page() -> None:
    assert parse(render_quality(ReleaseView(note=release_view().note))).by_id("data")


# --- JSON-LD ------------------------------------------------------------------------------------

#: Terms of the Data Quality Vocabulary, W3C Working Group Note 15 December 2016, section 4.
DQV_CLASSES = {
    *("Category", "Dimension", "Metric", "QualityAnnotation", "QualityCertificate"),
    *("QualityMeasurement", "QualityMeasurementDataset", "QualityMetadata", "QualityPolicy"),
    *("UserQualityFeedback",),
}
DQV_PROPERTIES = {
    *("computedOn", "expectedDataType", "hasQualityAnnotation", "hasQualityMeasurement"),
    *("hasQualityMetadata", "inCategory", "inDimension", "isMeasurementOf", "value"),
}
DQV_INDIVIDUALS = {"precision", "qualityAssessment"}
#: What each kind of node has to say.
REQUIRED = {
    "dqv:QualityMeasurement": {"dqv:isMeasurementOf", "dqv:computedOn", "dqv:value"},
    "dqv:Metric": {"dqv:inDimension", "skos:definition", "dqv:expectedDataType"},
    "dqv:Dimension": {"skos:prefLabel"},
    "dqv:QualityPolicy": {"dcterms:title", "dcterms:hasPart"},
    "dqv:QualityAnnotation": {"oa:hasTarget", "oa:hasBody", "oa:motivatedBy"},
    "dqv:QualityMetadata": {"prov:wasDerivedFrom", "prov:generatedAtTime"},
    "dcat:Dataset": {"dcterms:title"},
    "prov:Entity": {"dcterms:identifier"},
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(render_quality_json(release_view()))


def names_in(value: Any) -> Iterator[str]:
    """Every property, type and compact IRI of a document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("@id", "@type"):
                yield from [inner] if isinstance(inner, str) else inner
            elif name != "@value":
                yield name
                yield from names_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner)


def faults(document: dict[str, Any]) -> list[str]:
    """What a reader of the vocabulary would stumble over."""
    found = []
    prefixes = {prefix for prefix, iri in document["@context"].items() if isinstance(iri, str)}
    known = {f"dqv:{name}" for name in DQV_CLASSES | DQV_PROPERTIES | DQV_INDIVIDUALS}
    for name in names_in(document["@graph"]):
        prefix = name.partition(":")[0]
        if name not in ("@value", "@language") and prefix not in {*prefixes, "urn"}:
            found.append(f"{name}: prefix is not in the context")
        if prefix == "dqv" and name not in known:
            found.append(f"{name}: no term of the vocabulary")
    nodes = {node["@id"]: node for node in document["@graph"]}
    if len(nodes) != len(document["@graph"]):
        found.append("a node is given twice")
    for node in nodes.values():
        lacks = REQUIRED[node["@type"]] - set(node)
        if lacks:
            found.append(f"{node['@id']}: lacks {sorted(lacks)}")
        for name, kind in (
            ("dqv:isMeasurementOf", "dqv:Metric"),
            ("dqv:inDimension", "dqv:Dimension"),
            ("dqv:computedOn", "dcat:Dataset"),
            ("oa:hasTarget", "dcat:Dataset"),
            ("odrl:hasPolicy", "dqv:QualityPolicy"),
        ):
            to = node.get(name)
            if to and nodes.get(to["@id"], {}).get("@type") != kind:
                found.append(f"{node['@id']}: {name} does not lead to a {kind}")
    return found


def test_the_document_is_sound_without_a_network(document: dict[str, Any]) -> None:
    assert document["@context"] == CONTEXT
    assert all(isinstance(iri, str) for iri in document["@context"].values())  # none to fetch
    assert faults(document) == []
    kinds = {node["@type"] for node in document["@graph"]}
    assert kinds == set(REQUIRED)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda node: node.pop("dqv:value"), "lacks ['dqv:value']"),
        (lambda node: node.update({"dqv:values": 1}), "dqv:values: no term of the vocabulary"),
        (lambda node: node.update({"dq:x": 1}), "dq:x: prefix is not in the context"),
        (
            lambda node: node.update({"dqv:isMeasurementOf": {"@id": "urn:x-nq42:metric:none"}}),
            "dqv:isMeasurementOf does not lead to a dqv:Metric",
        ),
    ],
)
def test_an_unsound_document_is_found(document: dict[str, Any], change: Any, fault: str) -> None:
    changed = json.loads(json.dumps(document))
    node = next(n for n in changed["@graph"] if n["@type"] == "dqv:QualityMeasurement")
    change(node)
    assert any(fault in found for found in faults(changed))


def test_every_iri_of_the_context_is_that_of_its_vocabulary() -> None:
    assert CONTEXT["dqv"] == "http://www.w3.org/ns/dqv#"
    assert CONTEXT["dcterms"] == "http://purl.org/dc/terms/"
    assert CONTEXT["prov"] == "http://www.w3.org/ns/prov#"


def nodes_of(document: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [node for node in document["@graph"] if node["@type"] == kind]


def test_figures_keep_their_type_and_their_value(document: dict[str, Any]) -> None:
    measured = {node["@id"]: node["dqv:value"] for node in nodes_of(document, REQUIRED_MEASURE)}
    of = "urn:x-nq42:measurement:{}:health:{}:2025-07"
    assert measured[of.format("rows_loaded", "staff")] == 1234560
    assert measured[of.format("is_on_time", "staff")] is False
    assert measured[of.format("quarantined_pct", "staff")] == {
        "@value": "0.0006",
        "@type": "xsd:decimal",
    }
    assert measured[of.format("served_age_days", "facilities")] == 31
    assert of.format("days_late", "beds") not in measured  # nothing came
    assert measured["urn:x-nq42:measurement:batch-staff:health__staff:staff.once"] == 12


REQUIRED_MEASURE = "dqv:QualityMeasurement"


def test_reasons_and_decisions_are_annotations(document: dict[str, Any]) -> None:
    bodies = {
        node["@id"]: [body["rdf:value"] for body in node["oa:hasBody"]]
        for node in nodes_of(document, "dqv:QualityAnnotation")
    }
    assert bodies["urn:x-nq42:reason:health:beds:2025-07"] == ["chưa nhận được", "no file"]
    assert bodies["urn:x-nq42:approval:1"][0] == "Đã phê duyệt: Đã xem cùng cơ quan"
    assert any("Repeated" in texts for texts in bodies.values())
    assert "urn:x-nq42:readmission:5" in bodies and "urn:x-nq42:gate:40" in bodies


def test_a_value_of_a_single_row_stands_on_the_page_only(document: dict[str, Any]) -> None:
    (line,) = [
        node
        for node in nodes_of(document, "dqv:QualityAnnotation")
        if node.get("nq42:findings") == 7
    ]
    assert line["nq42:rowNumbers"] == [1204, 1205]
    assert NAUGHTY not in json.dumps(line, ensure_ascii=False)


def test_what_two_rules_refuse_in_one_column_are_two_annotations() -> None:
    day = date(2025, 7, 31)
    lines = [refused("b", "2025-07", day, n) | {"reason_vi": f"Lý do {n}"} for n in (1, 2)]
    rows = [batch("staff", quarantined_pct=Decimal("0.1")), missing("beds")]
    quality = quality_view(timeliness=rows, volumes=rows, rules=[], quarantine=lines)
    quality_only = release_view(quality=quality)
    assert "a node is given twice" not in faults(json.loads(render_quality_json(quality_only)))


def test_the_same_trail_gives_the_same_bytes() -> None:
    assert render_quality_json(release_view()) == render_quality_json(release_view())
