"""Cases as data: what a case file may say, and the full contract that its short notation means.

Unknown keys are errors. A case file holds ``layouts`` (contracts that several cases share) and
``cases``; ``tests/deliveries/README.md`` has the words.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from loaders.contracts.model import Contract, _UniqueKeyLoader, read_contract

CASES_DIR = Path(__file__).parent / "cases"
DATASET = "list"
#: Keys of a column that the standard has a word for; every other one goes to the extension.
STANDARD = {"pattern", "minimum", "maximum", "enum", "class"}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sheet(Strict):
    name: str
    rows: list[list[Any]]
    merged: list[str] = Field(default_factory=list)
    hidden_rows: list[int] = Field(default_factory=list)
    hidden: bool = False


class Parquet(Strict):
    #: Column → Arrow type ("string", "int64", "date32", …).
    types: dict[str, str]
    rows: list[list[Any]]


class Edit(Strict):
    """One deed done to finished bytes. ``part``: only in that member of a zip or workbook."""

    cut_at: int | None = None
    append_hex: str | None = None
    prepend_hex: str | None = None
    replace: tuple[str, str] | None = None
    replace_hex: tuple[str, str] | None = None
    part: str | None = None
    zip_says_encrypted: bool = False


class Content(Strict):
    """The bytes of a file: exactly one way to write them, then edits in their order."""

    text: str | None = None
    encoding: str = "utf-8"
    newline: Literal["lf", "crlf", "cr"] = "lf"
    #: The last line of ``text`` stands so many times.
    last_line_times: int = 1
    hex: str | None = None
    xlsx: list[Sheet] | None = None
    xls: list[Sheet] | None = None
    #: Cells of the first sheet that are other than in ``xlsx`` or ``xls``, such as A9; null: empty.
    cells: dict[str, Any] = Field(default_factory=dict)
    parquet: Parquet | None = None
    #: One dossier each: table (XML1, …) → its XML, which goes into the envelope as base64.
    claims: list[dict[str, str]] | None = None
    zip: list[Member] | None = None
    gzip: Content | None = None
    edits: list[Edit] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_way(self) -> Content:
        ways = ("text", "hex", "xlsx", "xls", "parquet", "claims", "zip", "gzip")
        used = [way for way in ways if getattr(self, way) is not None]
        if len(used) != 1:
            raise ValueError(f"one of {', '.join(ways)} is needed, found {used or 'none'}")
        return self


class Member(Content):
    name: str


class Sent(Strict):
    """What lies in the inbox for one period; nothing when there is no file."""

    period: str | None = None
    file: Content | None = None
    note: dict[str, Any] | str | None = None
    corrections: str | None = None


class Quarantined(Strict):
    """One finding. ``reason`` is compared where it is given; no ``value``: none may be kept."""

    row: int
    sheet: str = ""
    column: str | None = None
    rule: str
    value: str | None = None
    reason: str | None = None


class RawChange(Strict):
    """What the gate changes in the month's rows, as whole rows."""

    gone: list[dict[str, Any]] = Field(default_factory=list)
    new: list[dict[str, Any]] = Field(default_factory=list)


class Expect(Strict):
    loaded: list[dict[str, Any]] | None = None
    loaded_rows: int | None = None
    quarantined: list[Quarantined] = Field(default_factory=list)
    set_aside: dict[str, int] = Field(default_factory=dict)
    maturity: str | None = None
    raw: RawChange | None = None
    refused: str | None = None
    #: For words that depend on the version of a library: a whole expression.
    refused_pattern: str | None = None
    refused_at_land: str | None = None
    missing: str | None = None
    unchanged: bool = False

    @model_validator(mode="after")
    def _one_end(self) -> Expect:
        ends = (
            "loaded",
            "loaded_rows",
            "refused",
            "refused_pattern",
            "refused_at_land",
            "missing",
        )
        used = [end for end in ends if getattr(self, end) is not None]
        if len(used) + self.unchanged != 1:
            raise ValueError(f"one of {', '.join(ends)}, unchanged is needed, found {used}")
        return self


class ContractNotes(Strict):
    """The short notation of a contract; ``like`` takes a shared layout and changes it."""

    like: str | None = None
    file: str | None = None
    reader: dict[str, Any] | None = None
    connector: dict[str, Any] | None = None
    columns: dict[str, str | dict[str, Any] | None] = Field(default_factory=dict)
    frequency: str = "monthly"
    limits: dict[str, Any] = Field(default_factory=dict)
    period_column: str | None = None
    allow_unchanged: bool = False


class Case(Sent):
    name: str = Field(pattern=r"^[a-z0-9_]{3,42}$")
    trouble: str = Field(min_length=20, pattern=r"\.$")
    period: str
    contract: str | ContractNotes
    before: list[Sent] = Field(default_factory=list)
    #: Texts of persons that may stand nowhere but in the delivery.
    personal: list[str] = Field(default_factory=list)
    expect: Expect


class CaseFile(Strict):
    layouts: dict[str, ContractNotes] = Field(default_factory=dict)
    cases: list[Case]


def parse(text: str) -> list[Case]:
    """The cases of one file, each with its whole contract notes."""
    # The contracts' own loader: two equal keys are an error here too.
    file = CaseFile.model_validate(yaml.load(text, Loader=_UniqueKeyLoader))
    return [case.model_copy(update={"contract": _whole(case, file.layouts)}) for case in file.cases]


@cache
def all_cases() -> dict[str, Case]:
    """Case id, as theme-name, → case."""
    return {
        f"{path.stem}-{case.name}": case
        for path in sorted(CASES_DIR.glob("*.yaml"))
        for case in parse(path.read_text("utf-8"))
    }


def _whole(case: Case, layouts: dict[str, ContractNotes]) -> ContractNotes:
    notes = case.contract
    if isinstance(notes, str):
        notes = ContractNotes(like=notes)
    if notes.like is None:
        return notes
    base = layouts[notes.like]
    given = {name: getattr(notes, name) for name in notes.model_fields_set}
    columns = {k: v for k, v in (base.columns | notes.columns).items() if v is not None}
    if "reader" in given and "name" not in given["reader"]:
        given["reader"] = (base.reader or {}) | given["reader"]
    return base.model_copy(update=given | {"columns": columns})


def contract_of(case: Case, folder: Path) -> Contract:
    """The contract of a case, written out and read as every contract is."""
    notes = case.contract
    assert isinstance(notes, ContractNotes)
    if not (notes.reader and notes.columns):
        raise ValueError(f"{case.name}: a contract states its reader and its columns")
    source = f"case_{case.name}"
    extension = {
        "schedule": {"frequency": notes.frequency, "due_day": 5},
        "connector": _named(notes.connector or {"name": "local", "pattern": file_name(case)}),
        "reader": _named(notes.reader),
        "max_quarantine_share": 1,
        "allow_unchanged": notes.allow_unchanged,
    }
    if notes.limits:
        extension["limits"] = notes.limits
    if notes.period_column:
        extension["period_column"] = notes.period_column
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": source,
        "name": f"{case.name} / {case.name}",
        "version": "1.0.0",
        "status": "active",
        "customProperties": _own(
            {"owner_vi": "cơ quan", "owner_en": "agency", "cron": "0 6 5 * *"}
        ),
        "schema": [
            {
                "name": DATASET,
                "physicalName": f"{source}__{DATASET}",
                "businessName": case.name,
                "description": case.trouble,
                "customProperties": _own(extension),
                "properties": [_property(name, said) for name, said in notes.columns.items()],
            }
        ],
    }
    path = folder / f"{source}.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")
    return read_contract(path)


def file_name(case: Case) -> str:
    notes = case.contract
    assert isinstance(notes, ContractNotes) and notes.reader
    return notes.file or f"list.{notes.reader['name']}"


def _named(said: dict[str, Any]) -> dict[str, Any]:
    own = {key: said[key] for key in ("name", "unpack") if key in said}
    return own | {"options": {key: value for key, value in said.items() if key not in own}}


def _own(value: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"property": "nq42", "value": value}]


def _property(name: str, said: str | dict[str, Any] | None) -> dict[str, Any]:
    """ "integer! Số hộ" is a required integer with the header "Số hộ"; options stand in a map."""
    options = dict(said) if isinstance(said, dict) else {"is": said}
    kind, _, header = str(options.pop("is")).partition(" ")
    found: dict[str, Any] = {
        "name": name,
        "businessName": name,
        "description": name,
        "logicalType": kind.removesuffix("!"),
        "required": kind.endswith("!"),
        "classification": options.pop("class", "open"),
    }
    standard = {key: options.pop(key) for key in STANDARD & set(options)}
    if "enum" in standard:
        found["enum"] = [{"value": v, "description": v} for v in standard.pop("enum")]
    if standard:
        found["logicalTypeOptions"] = standard
    return found | {"customProperties": _own({"header": header or None} | options)}


def as_text(value: Any) -> str | None:
    """A value of a case or of the warehouse, to be compared."""
    if isinstance(value, float):
        raise TypeError(f"{value}: write a number with a fraction in quotes")
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    return None if value is None else str(value)


Content.model_rebuild()
