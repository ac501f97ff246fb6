"""Suites as data, read strictly.

A suite is a file: ``expectations/intake/<source>__<dataset>.json`` and
``expectations/release/<mart>.json``. Each expectation carries in its ``meta`` what the product
needs: id, version, kind (``row``: the failing rows are quarantined; ``dataset`` or ``release``:
the whole is judged), dimension, owner, origin and a sentence in Vietnamese and English. A rule
that looks across time says which figure should be ``like_before`` (`loaders.quality.history`)
instead of writing SQL; one that looks at one row at a time says with ``rows_where`` which rows
break it, and all of these are judged in one scan of the table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loaders.quality.history import History
from loaders.settings import PROJECT_ROOT

EXPECTATIONS_DIR = PROJECT_ROOT / "expectations"
DIMENSIONS = Literal[
    "accuracy", "completeness", "uniqueness", "consistency", "timeliness", "validity"
]
SQL_RULE = "unexpected_rows_expectation"


class SuiteError(ValueError):
    """A suite that cannot be used; the message names file, rule and reason."""


class RuleMeta(BaseModel):
    """What the product needs to know of a rule beside Great Expectations' own fields.

    ``limit`` says in a few words what a query tolerates; it is recorded as what was expected.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str = Field(pattern=r"^[a-z0-9_]+\.[a-z0-9_]+$")
    version: int = Field(ge=1)
    kind: Literal["row", "dataset", "release"]
    dimension: DIMENSIONS
    owner: str = Field(min_length=3)
    origin: str = Field(min_length=5)
    column: str | None = None
    limit: str | None = Field(default=None, min_length=3)
    description_vi: str = Field(min_length=10)
    description_en: str = Field(min_length=10)


@dataclass(frozen=True)
class Rule:
    meta: RuleMeta
    severity: str
    type: str
    kwargs: Mapping[str, Any]
    history: History | None = None
    #: Of a query that looks at one row at a time: the condition under which the row breaks it.
    condition: str | None = None

    @property
    def is_query(self) -> bool:
        return self.type == SQL_RULE

    @property
    def expected(self) -> str:
        """What the rule tolerates: its own words, or Great Expectations' arguments."""
        if self.meta.limit:
            return self.meta.limit
        if self.history:
            return self.history.limit
        return "" if self.is_query else json.dumps(dict(self.kwargs), ensure_ascii=False)


@dataclass(frozen=True)
class Suite:
    name: str
    path: Path
    rules: tuple[Rule, ...]

    @property
    def histories(self) -> list[History]:
        """The figures that later periods of the dataset are compared with."""
        return [rule.history for rule in self.rules if rule.history]

    @property
    def sha256(self) -> str:
        """Of everything that can change a verdict, rule by rule; owners and sentences cannot."""
        decisive = [
            (r.meta.id, r.meta.version, r.meta.kind, r.meta.column, r.type, r.kwargs, r.severity)
            for r in self.rules
        ]
        text = json.dumps(decisive, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def read_suite(path: Path) -> Suite:
    """Parse one suite file strictly.

    Raises:
        SuiteError: naming file, rule and reason.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise SuiteError(f"{path.name}: not JSON: {error}") from error
    unknown = set(document) - {"name", "meta", "expectations"}
    if unknown or document.get("name") != path.stem:
        raise SuiteError(f"{path.name}: name must be {path.stem!r}, unknown keys {sorted(unknown)}")
    rules, seen = [], set()
    for position, entry in enumerate(document["expectations"], start=1):
        name = entry.get("meta", {}).get("id", "without an id")
        where = f"{path.name}: expectation {position} ({name})"
        unknown = set(entry) - {"type", "kwargs", "severity", "meta"}
        if unknown:
            raise SuiteError(f"{where}: unknown keys {sorted(unknown)}")
        try:
            meta = RuleMeta.model_validate(entry.get("meta", {}))
        except ValidationError as error:
            first = error.errors()[0]
            raise SuiteError(f"{where}: meta.{first['loc'][0]}: {first['msg']}") from error
        if entry.get("severity") not in ("critical", "warning", "info"):
            raise SuiteError(f"{where}: severity is critical, warning or info")
        if meta.id in seen:
            raise SuiteError(f"{where}: rule id stands twice")
        if meta.kind == "row" and meta.column is None:
            raise SuiteError(f"{where}: a row rule names its column")
        seen.add(meta.id)
        rules.append(_rule(entry, meta, where))
    if not rules:
        raise SuiteError(f"{path.name}: a suite has at least one rule")
    return Suite(document["name"], path, tuple(rules))


def _rule(entry: Mapping[str, Any], meta: RuleMeta, where: str) -> Rule:
    """The rule with its query: a condition or a figure that should be like before becomes SQL."""
    severity, kwargs = entry["severity"], entry["kwargs"]
    for short, kind in (("like_before", "dataset"), ("rows_where", "row")):
        if short in kwargs and (
            set(kwargs) != {short} or entry["type"] != SQL_RULE or meta.kind != kind
        ):
            raise SuiteError(f"{where}: {short!r} stands alone in a {SQL_RULE} of kind {kind}")
    if "rows_where" in kwargs:
        condition = kwargs["rows_where"]
        where_clause = condition.replace("{", "{{").replace("}", "}}")
        query = {"unexpected_rows_query": "SELECT _row_number FROM {batch} WHERE " + where_clause}
        return Rule(meta, severity, SQL_RULE, query, condition=condition)
    if "like_before" not in kwargs:
        return Rule(meta, severity, entry["type"], kwargs)
    try:
        history = History.model_validate(kwargs["like_before"])
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, ("like_before", *first["loc"])))
        raise SuiteError(f"{where}: {key}: {first['msg']}") from error
    query = {"unexpected_rows_query": history.query()}
    return Rule(meta, severity, SQL_RULE, query, history)


def suite_files(
    kind: Literal["intake", "release"], directory: Path = EXPECTATIONS_DIR
) -> list[Path]:
    return sorted((directory / kind).glob("*.json"))


@cache
def get_suite(kind: Literal["intake", "release"], name: str) -> Suite:
    path = EXPECTATIONS_DIR / kind / f"{name}.json"
    if not path.exists():
        raise SuiteError(f"no suite {kind}/{name}.json: every dataset and mart has one")
    return read_suite(path)
