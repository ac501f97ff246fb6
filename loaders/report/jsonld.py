"""The pieces of a JSON-LD document: context, names of nodes, references and typed values."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

Node = dict[str, Any]

CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcterms": "http://purl.org/dc/terms/",
    "dqv": "http://www.w3.org/ns/dqv#",
    "oa": "http://www.w3.org/ns/oa#",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "prov": "http://www.w3.org/ns/prov#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "nq42": "urn:x-nq42:term:",
}
ROOT = "urn:x-nq42"


def iri(kind: str, *parts: str) -> str:
    return ":".join((ROOT, kind, *(quote(part, safe="") for part in parts)))


def ref(iri: str) -> Node:
    return {"@id": iri}


def bilingual(vi: str | None, en: str | None) -> list[Node]:
    pairs = (("vi", vi), ("en", en))
    return [{"@value": text, "@language": language} for language, text in pairs if text]


def moment(at: datetime) -> Node:
    return {"@value": at.astimezone(UTC).isoformat(), "@type": "xsd:dateTime"}


def typed(value: bool | int | Decimal | date) -> Any:
    """A number or a day with its type; JSON's own numbers would make decimals inexact."""
    if isinstance(value, Decimal):
        return {"@value": f"{value:f}", "@type": "xsd:decimal"}
    if isinstance(value, date):
        return {"@value": value.isoformat(), "@type": "xsd:date"}
    return value
