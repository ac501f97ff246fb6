"""Runs Great Expectations suites in SQL and reports every rule, with proof that it ran."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from string import Template
from typing import Any, Literal
from uuid import UUID

import psycopg
from sqlalchemy.engine import make_url

from loaders.postgres.database import lasting
from loaders.quality.ahead import running_ahead
from loaders.quality.engine import validate, validator
from loaders.quality.history import Figures, History, as_record, as_sql, measure
from loaders.quality.suites import Rule, Suite
from loaders.quality.validations import keep_validation, raised_by

ROW_KEY = "_row_number"
#: What one sort or hash table of a rule may take; what is larger goes to disk. A rule looks at
#: whole tables: a join by index, row by row, is chosen only where columns that go together (period
#: and boundary) make a key look rarer than it is. Compiling a query takes longer than running it.
SESSION = "SET work_mem = '64MB'; SET enable_nestloop = off; SET jit = off"
#: Of each of two connections: workers of one would only take the other's core.
ONE_CORE = "SET max_parallel_workers_per_gather = 0"
#: A rule on the share of people (cards, visits) looks at so many rows of a long list: all the rows
#: of every n-th person, by the key's hash; ``$one_in`` is that n, and 1 for shorter lists. A
#: share of 1 % is then known to 0.03 points (one standard error).
SAMPLE_ROWS = 100_000
#: From so many rows on, a second connection (some 10 ms) is worth having.
AHEAD_ROWS = 50_000
#: At intake: how many rows fail a rule, and the query that finds them; none of them is fetched.
COUNTED = {
    "result_format": "BASIC",
    "include_unexpected_rows": False,
    "partial_unexpected_count": 0,
    "return_unexpected_index_query": True,
    "unexpected_index_column_names": [ROW_KEY],
}
#: Of a candidate: also what was found.
DESCRIBED = {"result_format": "COMPLETE", "include_unexpected_rows": False}
#: What of the first failing row is shown, at most.
SHOWN_CHARACTERS = 500
#: Where the queries of the release suites end a list of what failed, in mid-word or not.
LIST_CHARACTERS = 400


@dataclass(frozen=True)
class RuleOutcome:
    """One rule's result.

    ``failing_rows_sql`` selects the failing row numbers (row rules); where a condition says it all,
    ``failing_where`` is that condition, and where they are few ``failing_rows`` are the numbers of
    a query. ``figures`` are those that later periods are compared with.
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


def run_suite(
    url: str,
    schema: str,
    table: str,
    suite: Suite,
    variables: Mapping[str, str],
    rows: int | None = None,
) -> list[RuleOutcome]:
    """Run every rule of a suite on one table, in SQL.

    Args:
        url: SQLAlchemy URL with the role that may read the table.
        variables: values for ``$name`` in the suite's queries (period, period_end, …).
        rows: of the table, where they are counted already.

    Returns:
        One outcome per rule, in the suite's order. A rule that raised is an ``error``, and a rule
        that left no result is one too: a rule that did not run is a failure.

    Raises:
        psycopg.OperationalError: the database was away meanwhile: what was found means nothing.
    """
    with ExitStack() as stack:
        connection = stack.enter_context(_session(url))

        def run(query: str) -> list[tuple[Any, ...]]:
            return connection.execute(query.encode()).fetchall()

        target = f'"{schema}"."{table}"'
        if rows is None:
            ((rows,),) = run(f"SELECT count(*) FROM {target}")
        variables = {**variables, "one_in": str(max(1, rows // SAMPLE_ROWS))}
        ahead = None
        if rows >= AHEAD_ROWS:
            second = stack.enter_context(_session(url))
            for each in (connection, second):
                each.execute(ONE_CORE)
            ahead = stack.enter_context(running_ahead(second))
        judging = validator(connection, schema, table, ahead)
        if ahead:
            judging.execution_engine.send_ahead(_independent(suite, variables))
        figures = _measure(run, target, suite.histories)
        judge = partial(_judge, judging, suite, variables, figures)
        results = judge(suite.rules)
        # What one scan judges fails as one: each rule of it is asked again by itself.
        alone = [
            replace(rule, condition=None)
            for rule in suite.rules
            if rule.condition and (found := results.get(rule.meta.id)) and raised_by(found)
        ]
        if alone:
            results |= judge(alone)
    texts = {
        rule.meta.id: (rule.meta.description_vi, rule.meta.description_en) for rule in suite.rules
    }
    keep_validation(list(results.values()), suite.name, variables["period"], texts)
    return [
        _outcome(rule, results.get(rule.meta.id), rows, target, variables, figures)
        for rule in suite.rules
    ]


@contextmanager
def _session(url: str) -> Iterator[psycopg.Connection]:
    """A connection for rules, in autocommit."""
    with lasting(make_url(url)) as connection:
        connection.execute(SESSION)
        yield connection


def _independent(suite: Suite, variables: Mapping[str, str]) -> list[tuple[str, str]]:
    """Kind and query of the rules that need nothing measured before; the slow ones, of rows, first.

    A condition is judged with all others, in their scan.
    """
    rules = [r for r in suite.rules if r.is_query and not r.condition and not r.history]
    return [
        (rule.meta.kind, _substitute(rule.kwargs["unexpected_rows_query"], variables))
        for rule in sorted(rules, key=lambda rule: rule.meta.kind != "row")
    ]


def _judge(
    validator: Any,
    suite: Suite,
    variables: Mapping[str, str],
    figures: Mapping[str, Figures],
    rules: Sequence[Rule],
) -> dict[str, Any]:
    """Rule id → Great Expectations' result, of the rules that left one."""
    expectations = [
        {
            "type": _type(rule),
            "kwargs": _kwargs(rule, variables, figures),
            "severity": rule.severity,
            "meta": {"id": rule.meta.id},
        }
        for rule in rules
    ]
    is_intake = any(rule.meta.kind == "row" for rule in suite.rules)
    results = validate(validator, expectations, COUNTED if is_intake else DESCRIBED)
    return {result.expectation_config.meta["id"]: result for result in results}


def _type(rule: Rule) -> str:
    from loaders.quality.query_rules import TYPE_OF

    if not rule.is_query:
        return rule.type
    return TYPE_OF["condition" if rule.condition else rule.meta.kind]


def _kwargs(
    rule: Rule, variables: Mapping[str, str], figures: Mapping[str, Figures]
) -> dict[str, Any]:
    kwargs = dict(rule.kwargs)
    if rule.condition:
        kwargs["condition"] = rule.condition
    if rule.history and rule.history.name in figures:
        kwargs["unexpected_rows_query"] = rule.history.query(as_sql(figures[rule.history.name]))
    return _substitute(kwargs, variables)


def _measure(
    run: Callable[[str], list[tuple[Any, ...]]], table: str, wanted: Sequence[History]
) -> dict[str, Figures]:
    """The figures that can be measured; the rule of another one raises, and says why."""
    try:
        return measure(run, table, wanted)
    except psycopg.Error:
        if len(wanted) == 1:
            return {}
    return {name: f for one in wanted for name, f in _measure(run, table, [one]).items()}


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
    shown = _shortened(figures, SHOWN_CHARACTERS)
    return shown if failing == 1 else f"{failing} rows, the first: {shown}"


def _figure(value: Any) -> str:
    """A number as people write it: 240 and not 240.0 or 2.4E+2."""
    if isinstance(value, float | Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return _shortened(str(value), LIST_CHARACTERS - 1)


def _shortened(text: str, limit: int) -> str:
    """At most so many characters: whole words, and that more follow."""
    if len(text) <= limit:
        return text
    text = text[: limit - 2]
    return f"{(text.rpartition(' ')[0] or text).rstrip(',')} …"
