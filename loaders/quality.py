"""Runs Great Expectations suites in SQL and reports every rule, with proof that it ran.

A suite is data: ``expectations/intake/<source>__<dataset>.json`` and
``expectations/release/<mart>.json``. Each expectation carries in its ``meta`` what the product
needs: id, version, kind (``row``: the failing rows are quarantined; ``dataset`` or ``release``:
the whole is judged), dimension, owner, origin and a sentence in Vietnamese and English. A rule
that looks across time says which figure should be ``like_before`` (`loaders.history`) instead of
writing SQL; one that looks at one row at a time says with ``rows_where`` which rows break it, and
all of these are judged in one scan of the table.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from string import Template
from typing import Any, Literal
from uuid import UUID

import psycopg
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from loaders.history import Figures, History, as_record, as_sql, measure
from loaders.postgres.database import lasting
from loaders.validations import keep_validation, raised_by

EXPECTATIONS_DIR = Path(__file__).resolve().parents[1] / "expectations"
DIMENSIONS = Literal[
    "accuracy", "completeness", "uniqueness", "consistency", "timeliness", "validity"
]
ROW_KEY = "_row_number"
SQL_RULE = "unexpected_rows_expectation"
#: What one sort or hash table of a rule may take; what is larger goes to disk.
WORK_MEM = "64MB"
#: A rule on the share of people (cards, visits) looks at so many rows of a long list: all the rows
#: of every n-th person, by the key's hash; ``$one_in`` is that n, and 1 for shorter lists. A
#: share of 1 % is then known to 0.03 points (one standard error).
SAMPLE_ROWS = 100_000
#: At intake: how many rows fail a rule, and the query that finds them; none of them is fetched.
COUNTED = {
    "result_format": "BASIC",
    "include_unexpected_rows": False,
    "partial_unexpected_count": 0,
    "return_unexpected_index_query": True,
    "unexpected_index_column_names": [ROW_KEY],
}
#: Of a candidate: also what was found; of a query's rows at most 200 come.
DESCRIBED = {"result_format": "COMPLETE", "include_unexpected_rows": False}
#: What of the first failing row is shown, at most.
SHOWN_CHARACTERS = 500


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


@dataclass(frozen=True)
class RuleOutcome:
    """One rule's result.

    ``failing_rows_sql`` selects the failing row numbers (row rules); where a condition says it all,
    ``failing_where`` is that condition. ``figures`` are those that later periods are compared with.
    """

    rule: Rule
    rows_scanned: int
    rows_failing: int
    observed: str
    result: Literal["pass", "fail", "error"]
    failing_rows_sql: str | None = None
    failing_where: str | None = None
    failing_rows: Sequence[int] | None = None
    figures: Mapping[str, int | float] | None = None


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


def run_suite(
    url: str, schema: str, table: str, suite: Suite, variables: Mapping[str, str]
) -> list[RuleOutcome]:
    """Run every rule of a suite on one table, in SQL.

    Args:
        url: SQLAlchemy URL with the role that may read the table.
        variables: values for ``$name`` in the suite's queries (period, period_end, …).

    Returns:
        One outcome per rule, in the suite's order. A rule that raised is an ``error``, and a rule
        that left no result is one too: a rule that did not run is a failure.

    Raises:
        psycopg.OperationalError: the database was away meanwhile: what was found means nothing.
    """
    with lasting(make_url(url)), _table(url, schema, table) as (batch, engine):
        target = f'"{schema}"."{table}"'
        with engine.connect() as connection:

            def run(query: str) -> list[tuple[Any, ...]]:
                return [tuple(row) for row in connection.exec_driver_sql(query.replace("%", "%%"))]

            ((rows,),) = run(f"SELECT count(*) FROM {target}")
            figures = _measure(run, target, suite.histories)
        variables = {**variables, "one_in": str(max(1, rows // SAMPLE_ROWS))}
        validate = partial(_validate, batch, suite, variables, figures)
        validation = validate(suite.rules)
        results = {r.expectation_config.meta["id"]: r for r in validation.results}
        # What one scan judges fails as one: each rule of it is asked again by itself.
        again = [r for r in suite.rules if r.condition and raised_by(results[r.meta.id])]
        if again:
            alone = [replace(rule, condition=None) for rule in again]
            results |= {r.expectation_config.meta["id"]: r for r in validate(alone).results}
            validation.results = [results[rule.meta.id] for rule in suite.rules]
    texts = {
        rule.meta.id: (rule.meta.description_vi, rule.meta.description_en) for rule in suite.rules
    }
    keep_validation(validation, suite.name, variables["period"], texts)
    return [
        _outcome(rule, results.get(rule.meta.id), rows, target, variables, figures)
        for rule in suite.rules
    ]


def _validate(
    batch: Any,
    suite: Suite,
    variables: Mapping[str, str],
    figures: Mapping[str, Figures],
    rules: Sequence[Rule],
) -> Any:
    """Great Expectations' result for these rules of a suite."""
    import great_expectations as gx

    is_intake = any(rule.meta.kind == "row" for rule in suite.rules)
    expectations = [
        {
            "type": _type(rule),
            "kwargs": _kwargs(rule, variables, figures),
            "severity": rule.severity,
            "meta": {"id": rule.meta.id},
        }
        for rule in rules
    ]
    return batch.validate(
        gx.ExpectationSuite(name=suite.name, expectations=expectations),
        result_format=COUNTED if is_intake else DESCRIBED,
    )


def _type(rule: Rule) -> str:
    from loaders.query_rules import TYPE_OF

    if not rule.is_query:
        return rule.type
    return TYPE_OF.get("condition" if rule.condition else rule.meta.kind, rule.type)


def _kwargs(
    rule: Rule, variables: Mapping[str, str], figures: Mapping[str, Figures]
) -> dict[str, Any]:
    kwargs = dict(rule.kwargs)
    if rule.condition:
        kwargs["condition"] = rule.condition
    if rule.history and rule.history.name in figures:
        # Great Expectations reads braces as places to fill in, and `_substitute` dollar signs.
        found = as_sql(figures[rule.history.name])
        found = found.replace("{", "{{").replace("}", "}}").replace("$", "$$")
        kwargs["unexpected_rows_query"] = rule.history.query(found)
    return _substitute(kwargs, variables)


def _measure(
    run: Callable[[str], list[tuple[Any, ...]]], table: str, wanted: Sequence[History]
) -> dict[str, Figures]:
    """The figures that can be measured; the rule of another one raises, and says why."""
    try:
        return measure(run, table, wanted)
    except SQLAlchemyError:
        if len(wanted) == 1:
            return {}
    return {name: f for one in wanted for name, f in _measure(run, table, [one]).items()}


@contextmanager
def _table(url: str, schema: str, table: str) -> Iterator[tuple[Any, Any]]:
    """Great Expectations' batch of a whole table and the engine that it is judged with.

    Great Expectations makes several engines, and by default connects anew for each query, which
    takes longer than most of them: all share one connection, which is closed at the end.
    """
    opened: list[Any] = []

    class OneConnection(StaticPool):
        def __init__(self, creator: Callable[..., Any], **kwargs: Any) -> None:
            def connect_once(*args: Any) -> Any:
                if not opened:
                    opened.append(creator(*args))
                return opened[0]

            super().__init__(connect_once, **kwargs)

    try:
        with warnings.catch_warnings():
            # Deprecated in favour of a schema in the connection, which its PostgreSQL source lacks.
            warnings.simplefilter("ignore", DeprecationWarning)
            source = _context().data_sources.add_or_update_postgres(
                "warehouse",
                connection_string=url,
                kwargs={
                    "poolclass": OneConnection,
                    # Each query is a transaction of its own: nothing to begin or to roll back.
                    "isolation_level": "AUTOCOMMIT",
                    "connect_args": {"options": f"-c work_mem={WORK_MEM}"},
                },
                assets=[
                    {"type": "table", "name": table, "table_name": table, "schema_name": schema}
                ],
            )
        asset = source.get_asset(table)
        yield asset.get_batch(asset.build_batch_request()), source.get_execution_engine().engine
    finally:
        for connection in opened:
            connection.close()


@cache
def _context() -> Any:
    """Great Expectations' context of this process; it keeps nothing on disk."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    # Importing Great Expectations takes seconds; only gates pay for it.
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context


def _substitute(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return Template(value).substitute(variables) if "$" in value else value
    if isinstance(value, Mapping):
        return {key: _substitute(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item, variables) for item in value]
    return value


def _outcome(
    rule: Rule,
    result: Any,
    rows: int,
    target: str,
    variables: Mapping[str, str],
    figures: Mapping[str, Figures],
) -> RuleOutcome:
    if result is None:
        return RuleOutcome(rule, rows, 0, "the rule did not run", "error")
    if exception := raised_by(result):
        message = _without_value(str(exception.get("exception_message")))
        return RuleOutcome(rule, rows, 0, message[:500], "error")
    found = dict(result.result)
    query: str | None = None
    if rule.is_query:
        failing = int(found.get("observed_value", 0))
        observed = f"{failing} rows"
        if rule.meta.kind == "row":
            text = _substitute(rule.kwargs["unexpected_rows_query"], variables)
            query = text.format(batch=target)  # as Great Expectations does
        elif failing:
            observed = _first_row(found["details"]["unexpected_rows"], failing)
    else:
        # Of a table without rows Great Expectations leaves the count empty.
        failing = int(found.get("unexpected_count") or 0)
        observed = str(found.get("observed_value", f"{failing} rows"))
        if rule.meta.kind == "row" and failing:
            query = re.sub(r";\s*$", "", found["unexpected_index_query"])
    # A row rule has no tolerance of its own: any failing row goes to quarantine.
    passed = failing == 0 if rule.meta.kind == "row" else bool(result.success)
    return RuleOutcome(
        rule,
        rows,
        failing,
        observed,
        "pass" if passed else "fail",
        query if failing else None,
        _substitute(rule.condition, variables) if failing else None,
        found.get("failing_rows"),
        as_record(figures[rule.history.name]) if rule.history else None,
    )


def _without_value(message: str) -> str:
    """What PostgreSQL says of a value quotes it, and the value may be a person's."""
    named = re.match(r"\(psycopg\.errors\.(\w+)\)", message)
    error = getattr(psycopg.errors, named[1], None) if named else None
    if error is not None and issubclass(error, psycopg.DataError):
        return f"{error.__name__}: a value does not fit what the rule does with it"
    return message


def _first_row(rows: Sequence[Mapping[str, Any]], failing: int) -> str:
    """The figures of the first failing row: "found=120, usual=240"; never a person's key."""
    figures = ", ".join(
        f"{name}={_figure(value)}"
        for name, value in (rows[0] if rows else {}).items()
        if not (name.endswith("_key") or name == ROW_KEY or isinstance(value, UUID))
    )
    if not figures:
        return f"{failing} rows"
    shown = figures[:SHOWN_CHARACTERS]
    return shown if failing == 1 else f"{failing} rows, the first: {shown}"


def _figure(value: Any) -> str:
    """A number as people write it: 240 and not 240.0 or 2.4E+2."""
    if isinstance(value, float | Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)
