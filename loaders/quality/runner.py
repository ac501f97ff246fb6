"""Runs Great Expectations suites in SQL and reports every rule, with proof that it ran."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache, partial
from string import Template
from typing import Any, Literal
from uuid import UUID

import psycopg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from loaders.postgres.database import lasting
from loaders.quality.history import Figures, History, as_record, as_sql, measure
from loaders.quality.suites import Rule, Suite
from loaders.quality.validations import keep_validation, raised_by

ROW_KEY = "_row_number"
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
        results = _by_rule(validation)
        # What one scan judges fails as one: each rule of it is asked again by itself.
        raised = {rule_id for rule_id, result in results.items() if raised_by(result)}
        alone = [
            replace(rule, condition=None)
            for rule in suite.rules
            if rule.condition and rule.meta.id in raised
        ]
        if alone:
            results |= _by_rule(validate(alone))
            validation.results = list(results.values())
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


def _by_rule(validation: Any) -> dict[str, Any]:
    """Rule id → its result, of the rules that left one."""
    return {result.expectation_config.meta["id"]: result for result in validation.results}


def _type(rule: Rule) -> str:
    from loaders.quality.query_rules import TYPE_OF

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
        kwargs["unexpected_rows_query"] = rule.history.query(as_sql(figures[rule.history.name]))
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
