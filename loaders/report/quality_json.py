"""The quality report for machines: JSON-LD in the W3C's Data Quality Vocabulary.

Source: W3C, "Data on the Web Best Practices: Data Quality Vocabulary", Working Group Note of
15 December 2016. The context is embedded: a reader needs no network. A deliverable (dataset and
period) is what figures are computed on; a rule is a metric in a dimension; the suite that it
stands in is a policy; reasons of quarantine, approvals and the release gate are annotations.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from loaders.report import words
from loaders.report.data import ReleaseView
from loaders.report.decisions import title_of
from loaders.report.jsonld import CONTEXT, Node, bilingual, iri, moment, ref, typed
from loaders.report.quality_data import Row

#: Metric → column of the view, dimension, datatype, definition.
TIMELINESS = {
    "is_on_time": ("timeliness", "xsd:boolean", "Nhận đúng hạn", "Received by the day it was due"),
    "days_late": ("timeliness", "xsd:integer", "Số ngày trễ hạn", "Days after the day it was due"),
    "served_age_days": (
        *("timeliness", "xsd:integer", "Số liệu đang dùng cũ hơn cuối kỳ bao nhiêu ngày"),
        "Days from the end of the period served to the end of this one",
    ),
}
VOLUMES = {
    "rows_read": ("completeness", "xsd:integer", "Số dòng đọc được", "Rows read"),
    "rows_loaded": ("completeness", "xsd:integer", "Số dòng đã nạp", "Rows loaded"),
    "rows_quarantined": ("validity", "xsd:integer", "Số dòng cách ly", "Rows in quarantine"),
    "quarantined_pct": (
        *("validity", "xsd:decimal", "Tỷ lệ dòng cách ly, %", "Rows in quarantine, percent"),
    ),
    "change_pct": (
        *("consistency", "xsd:decimal", "Thay đổi số dòng so với kỳ trước, %"),
        "Change of the rows loaded against the period before, percent",
    ),
}


def render_quality_json(view: ReleaseView) -> str:
    """The quality of a release as a JSON-LD document."""
    return json.dumps(quality_document(view), ensure_ascii=False, indent=1) + "\n"


def quality_document(view: ReleaseView) -> Node:
    """The same as `@context` and `@graph`."""
    return {"@context": CONTEXT, "@graph": [*_release(view), *_Graph(view).nodes()]}


def _release(view: ReleaseView) -> Iterator[Node]:
    """The release and the description of its quality, with what both are derived from."""
    release, head = view.release, view.quality.head
    yield {
        "@id": _release_id(view),
        "@type": "dcat:Dataset",
        "dcterms:title": bilingual(
            f"Bản phát hành {view.name}", f"Release {view.name} of the programme's KPIs"
        ),
        "dcterms:temporal": view.note["as_of_period"],
        "dqv:hasQualityMetadata": ref(iri("quality", view.name)),
        "dcterms:hasPart": [ref(_delivery(row)) for row in view.quality.timeliness],
        "prov:wasDerivedFrom": [
            ref(iri("batch", batch_id))
            for batch_id in sorted({r["batch_id"] for r in view.quality.timeliness} - {None})
        ],
        **({"dcterms:issued": moment(release["published_at"])} if release else {}),
    }
    yield {
        "@id": iri("quality", view.name),
        "@type": "dqv:QualityMetadata",
        "dcterms:title": bilingual(
            f"Chất lượng dữ liệu của bản phát hành {view.name}",
            f"Data quality of release {view.name}",
        ),
        **(
            {
                # Of the newest event: the same trail gives the same bytes.
                "prov:generatedAtTime": moment(head["at"]),
                "prov:wasDerivedFrom": ref(iri("event", head["hash"])),
                "nq42:chainHead": head["hash"],
                "nq42:chainSeq": head["seq"],
            }
            if head
            else {}
        ),
    }


class _Graph:
    """The nodes below the release; each is given once."""

    def __init__(self, view: ReleaseView) -> None:
        self.view, self.quality = view, view.quality
        self.volumes = {_key(row): row for row in self.quality.volumes}
        #: The rules of each suite.
        self.suites: dict[str, set[str]] = {}
        for row in self.quality.rules:
            self.suites.setdefault(row["suite"] or "", set()).add(_rule(row))

    def nodes(self) -> Iterator[Node]:
        yield from self._dimensions()
        yield from self._metrics()
        yield from self._policies()
        for row in self.quality.timeliness:
            volume = self.volumes[_key(row)]
            yield from self._deliverable(row, volume)
            yield from self._figures(row, TIMELINESS)
            yield from self._figures(volume, VOLUMES)
        for row in self.quality.rules:
            yield _rule_result(row, self._subject(row))
        yield from self._annotations()

    def _dimensions(self) -> Iterator[Node]:
        for name, text in words.DIMENSIONS.items():
            yield {
                "@id": iri("dimension", name),
                "@type": "dqv:Dimension",
                "skos:prefLabel": bilingual(text.vi, text.en),
            }

    def _metrics(self) -> Iterator[Node]:
        for name, (dimension, datatype, vi, en) in {**TIMELINESS, **VOLUMES}.items():
            yield {
                "@id": iri("metric", name),
                "@type": "dqv:Metric",
                "dqv:inDimension": ref(iri("dimension", dimension)),
                "dqv:expectedDataType": ref(datatype),
                "skos:definition": bilingual(vi, en),
            }
        for row in _newest(self.quality.rules, "rule_id", "rule_version"):
            yield {
                "@id": _rule(row),
                "@type": "dqv:Metric",
                **(
                    {"dqv:inDimension": ref(iri("dimension", row["dimension"]))}
                    if row["dimension"]
                    else {}
                ),
                "dqv:expectedDataType": ref("xsd:integer"),
                "skos:definition": bilingual(row["description_vi"], row["description_en"]),
                "nq42:severity": row["severity"],
                **({"dcterms:creator": row["owner"]} if row["owner"] else {}),
            }

    def _policies(self) -> Iterator[Node]:
        """A suite of rules governs what may come in, or what may be published."""
        for suite, rules in sorted(self.suites.items()):
            yield {
                "@id": iri("policy", suite),
                "@type": "dqv:QualityPolicy",
                "dcterms:title": suite,
                "dcterms:hasPart": [ref(rule) for rule in sorted(rules)],
            }

    def _deliverable(self, row: Row, volume: Row) -> Iterator[Node]:
        title = title_of(self.quality, row)
        period = words.period(row["period"])
        node: Node = {
            "@id": _delivery(row),
            "@type": "dcat:Dataset",
            "dcterms:title": bilingual(f"{title.vi}, {period}", f"{title.en}, {period}"),
            "dcterms:temporal": row["period"],
            "nq42:status": row["status"],
        }
        suite = f"{row['source']}__{row['dataset']}"
        if suite in self.suites:
            node["odrl:hasPolicy"] = ref(iri("policy", suite))
        if row["data_label"]:
            node["nq42:dataLabel"] = row["data_label"]
        if row["expected_on"]:
            node["nq42:expectedOn"] = typed(row["expected_on"])
        if row["received_at"]:
            node["dcterms:available"] = moment(row["received_at"])
        if row["batch_id"]:
            node["prov:wasDerivedFrom"] = ref(iri("batch", row["batch_id"]))
        if row["served_batch_id"] and row["served_batch_id"] != row["batch_id"]:
            node["nq42:servedBy"] = ref(iri("batch", row["served_batch_id"]))
        if row["status"] != "accepted" and row["reason"]:
            node["dqv:hasQualityAnnotation"] = ref(iri("reason", *_key(row)))
        yield node
        if row["batch_id"]:
            yield {
                "@id": iri("batch", row["batch_id"]),
                "@type": "prov:Entity",
                "dcterms:title": row["file_name"],
                "dcterms:identifier": f"sha256:{volume['sha256']}",
            }

    def _figures(self, row: Row, metrics: Iterable[str]) -> Iterator[Node]:
        for metric in metrics:
            if row[metric] is not None:
                yield {
                    "@id": iri("measurement", metric, *_key(row)),
                    "@type": "dqv:QualityMeasurement",
                    "dqv:isMeasurementOf": ref(iri("metric", metric)),
                    "dqv:computedOn": ref(_delivery(row)),
                    "dqv:value": typed(row[metric]),
                }

    def _subject(self, row: Row) -> str:
        return _release_id(self.view) if row["subject_kind"] == "candidate" else _delivery(row)

    def _annotations(self) -> Iterator[Node]:
        for row in self.quality.timeliness:
            if row["status"] != "accepted" and row["reason"]:
                yield _annotation(
                    iri("reason", *_key(row)),
                    _delivery(row),
                    bilingual(words.STATUSES[row["status"]].vi, row["reason"]),
                )
        for row in self.quality.quarantine:
            rule = (row["batch_id"], row["rule_id"], row["column_name"] or "", row["reason_vi"])
            yield _annotation(
                iri("quarantine", *rule),
                _delivery(row),
                bilingual(row["reason_vi"], row["reason_en"]),
                {
                    "dqv:inDimension": ref(iri("dimension", row["dimension"] or "validity")),
                    "prov:wasDerivedFrom": ref(iri("batch", row["batch_id"])),
                    "nq42:rule": f"{row['rule_id']} v{row['rule_version']}",
                    "nq42:column": row["column_name"],
                    "nq42:findings": row["findings"],
                    "nq42:rowNumbers": [of["row_number"] for of in row["examples"]],
                },
            )
        for row in self.quality.approvals:
            about = words.text_of(words.EVENTS, row["decision"])
            yield _annotation(
                iri("approval", str(row["id"])),
                self._subject(row),
                bilingual(f"{about.vi}: {row['reason']}", about.en),
                {"dcterms:creator": row["decided_by"], "dcterms:created": moment(row["at"])},
            )
        for row in self.quality.readmissions:
            how = words.text_of(words.READMISSIONS, row["how"])
            yield _annotation(
                iri("readmission", str(row["id"])),
                _delivery(row),
                bilingual(f"Dòng cách ly được nhận lại: {how.vi}", f"Rows re-admitted: {how.en}"),
                {
                    "nq42:rowsQuarantinedBefore": row["rows_quarantined_before"],
                    "nq42:rowsReadmitted": row["rows_readmitted"],
                    "dcterms:created": moment(row["at"]),
                },
            )
        for row in self.quality.gate_events:
            text = words.text_of(words.EVENTS, row["kind"])
            yield _annotation(
                iri("gate", str(row["seq"])),
                _release_id(self.view),
                bilingual(text.vi, text.en),
                {"dcterms:created": moment(row["at"])},
            )


def _rule_result(row: Row, subject: str) -> Node:
    return {
        "@id": iri("measurement", row["subject_id"], row["suite"] or "", row["rule_id"]),
        "@type": "dqv:QualityMeasurement",
        "dqv:isMeasurementOf": ref(_rule(row)),
        "dqv:computedOn": ref(subject),
        "dqv:value": typed(row["rows_failing"] or 0),
        "nq42:rowsScanned": row["rows_scanned"],
        "nq42:result": row["result"],
        "prov:generatedAtTime": moment(row["ran_at"]),
    }


def _annotation(
    name: str, target: str, body: list[Node], also: dict[str, Any] | None = None
) -> Node:
    return {
        "@id": name,
        "@type": "dqv:QualityAnnotation",
        "oa:motivatedBy": ref("dqv:qualityAssessment"),
        "oa:hasTarget": ref(target),
        "oa:hasBody": [
            {
                "@type": "oa:TextualBody",
                "rdf:value": text["@value"],
                "dcterms:language": text["@language"],
            }
            for text in body
        ],
        **{name: value for name, value in (also or {}).items() if value is not None},
    }


def _newest(rows: Iterable[Row], *names: str) -> Iterable[Row]:
    return {tuple(row[name] for name in names): row for row in rows}.values()


def _key(row: Row) -> tuple[str, str, str]:
    return (row["source"], row["dataset"], row["period"])


def _release_id(view: ReleaseView) -> str:
    return iri("release", view.name)


def _delivery(row: Row) -> str:
    return iri("delivery", *_key(row))


def _rule(row: Row) -> str:
    return iri("rule", row["rule_id"], str(row["rule_version"]))
