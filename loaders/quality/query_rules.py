"""Great Expectations' rule by query, run once; its own runs each query for rows and to count.

Importing this module imports Great Expectations and makes the types known to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from great_expectations.compatibility.sqlalchemy import sqlalchemy as sa
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.execution_engine import ExecutionEngine, SqlAlchemyExecutionEngine
from great_expectations.expectations.core import UnexpectedRowsExpectation
from great_expectations.expectations.expectation_configuration import parse_result_format
from great_expectations.expectations.metrics.metric_provider import metric_partial, metric_value
from great_expectations.expectations.metrics.query_metric_provider import QueryMetricProvider
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.validator import ValidationDependencies

from loaders.quality.ahead import Ahead

#: So many numbers of failing rows are kept, so that the query need not run again for them.
FEW = 10_000
#: So many rows are kept of what a rule on the whole table found.
SHOWN = 200


class RuleQuery(QueryMetricProvider):
    """A metric that one query answers."""

    value_keys = ("unexpected_rows_query",)
    query_param_name = "unexpected_rows_query"
    #: What is asked of the rule's {query}.
    question: ClassVar[str]

    @classmethod
    def statement(
        cls, execution_engine: SqlAlchemyExecutionEngine, domain: dict, values: dict
    ) -> sa.TextClause:
        """The question about the rule's query, with the table in the place of {batch}."""
        selectable, _, _ = execution_engine.get_compute_domain(
            domain, domain_type=MetricDomainTypes.TABLE
        )
        query = cls._get_substituted_batch_subquery_from_query_and_batch_selectable(
            query=cls._get_query_from_metric_value_kwargs(values),
            batch_selectable=selectable,
            execution_engine=execution_engine,
        )
        return sa.text(cls.question.replace("{query}", query))


class FailingRows(RuleQuery):
    """How many rows a query finds and, where they are few, their numbers."""

    metric_name = "failing_rows.found"
    # The query stands once, so it runs once, and of its rows only the first are kept.
    question = (
        f"SELECT count(*), array_agg(f._row_number) FILTER (WHERE f.n <= {FEW})"
        " FROM (SELECT q._row_number, row_number() OVER () AS n FROM ({query}) AS q) AS f"
    )

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: dict,
        metric_value_kwargs: dict,
        metrics: dict,
        runtime_configuration: dict,
    ) -> tuple[int, list[int] | None]:
        statement = cls.statement(execution_engine, metric_domain_kwargs, metric_value_kwargs)
        count, rows = execution_engine.execute_query(statement).fetchone()
        return count, (rows or []) if count <= FEW else None


class FoundRows(RuleQuery):
    """How many rows a query finds, and the first of them, each as column → value."""

    metric_name = "found_rows.first"
    question = f"SELECT count(*) OVER () AS _found, q.* FROM ({{query}}) AS q LIMIT {SHOWN}"

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: dict,
        metric_value_kwargs: dict,
        metrics: dict,
        runtime_configuration: dict,
    ) -> tuple[int, list[dict[str, Any]]]:
        statement = cls.statement(execution_engine, metric_domain_kwargs, metric_value_kwargs)
        rows = [row._asdict() for row in execution_engine.execute_query(statement).fetchall()]
        found = [row.pop("_found") for row in rows]
        return (found[0] if found else 0), rows


class Execution(SqlAlchemyExecutionEngine):
    """Asks over one connection, and takes what was sent ahead from there."""

    def __init__(self, engine: sa.Engine, ahead: Ahead | None) -> None:
        super().__init__(engine=engine)
        self._ahead = ahead

    def send_ahead(self, queries: Iterable[tuple[str, str]]) -> None:
        """Rules' queries, each with its kind, in the order in which they are to run."""
        assert self._ahead is not None
        for kind, query in queries:
            values = {"unexpected_rows_query": query}
            self._ahead.send(QUERY_OF[kind].statement(self, {}, values))

    def resolve_metrics(
        self, metrics_to_resolve: Iterable[MetricConfiguration], *args: Any, **kwargs: Any
    ) -> dict:
        """Where queries run ahead, first all the rest: the scan for the conditions, meanwhile.

        Great Expectations asks again for what is left.
        """
        wanted = list(metrics_to_resolve)
        if self._ahead is not None:
            names = {query.metric_name for query in QUERY_OF.values()}
            wanted = [metric for metric in wanted if metric.metric_name not in names] or wanted
        return super().resolve_metrics(wanted, *args, **kwargs)

    def execute_query(self, query: Any) -> Any:
        found = None
        if self._ahead is not None and isinstance(query, sa.TextClause):
            found = self._ahead.answer(query)
        return super().execute_query(query) if found is None else found


class OfOneMetric(UnexpectedRowsExpectation):
    """A rule that is judged by one metric of the whole table, and says itself which.

    Great Expectations finds that out for any expectation by building its configuration some thirty
    times, which takes longer than most of the queries.
    """

    metric_value_keys: ClassVar[tuple[str, ...]] = ("unexpected_rows_query",)

    def get_validation_dependencies(
        self,
        execution_engine: ExecutionEngine | None = None,
        runtime_configuration: dict | None = None,
    ) -> ValidationDependencies:
        (name,) = self.metric_dependencies
        metric = MetricConfiguration(
            metric_name=name,
            metric_domain_kwargs={"batch_id": self.batch_id},
            metric_value_kwargs={key: getattr(self, key) for key in self.metric_value_keys},
        )
        result_format = (runtime_configuration or {}).get("result_format", "BASIC")
        return ValidationDependencies({name: metric}, parse_result_format(result_format))


class CountedRowsExpectation(OfOneMetric):
    """For row rules that look at several rows at once."""

    metric_dependencies: ClassVar[tuple[str, ...]] = (FailingRows.metric_name,)

    def _validate(self, metrics: dict, *_: Any, **__: Any) -> dict:
        count, rows = metrics[FailingRows.metric_name]
        return {"success": count == 0, "result": {"observed_value": count, "failing_rows": rows}}


class RowsWhere(TableMetricProvider):
    """How many rows meet a condition, and the numbers of the first.

    Great Expectations asks for all conditions in one scan.
    """

    metric_name = "rows_where.count"
    value_keys = ("condition",)

    @metric_partial(
        engine=SqlAlchemyExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.AGGREGATE_FN,
        domain_type=MetricDomainTypes.TABLE,
    )
    def _sqlalchemy(
        cls,
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: dict,
        metric_value_kwargs: dict,
        metrics: dict,
        runtime_configuration: dict,
    ) -> tuple[Any, dict, dict]:
        # PostgreSQL aggregates once what stands twice in these words.
        found = f"array_agg(_row_number) FILTER (WHERE {metric_value_kwargs['condition']})"
        counted = sa.literal_column(
            f"coalesce(cardinality({found}), 0)::bigint || coalesce(({found})[:{FEW}], '{{}}')",
            sa.ARRAY(sa.BigInteger),
        )
        return counted, metric_domain_kwargs, {}


class RowsWhereExpectation(OfOneMetric):
    """For row rules that look at one row at a time: how many, and which, meet the condition."""

    condition: str
    metric_dependencies: ClassVar[tuple[str, ...]] = (RowsWhere.metric_name,)
    metric_value_keys: ClassVar[tuple[str, ...]] = ("condition",)

    def _validate(self, metrics: dict, *_: Any, **__: Any) -> dict:
        count, *rows = metrics[RowsWhere.metric_name]
        failing = rows if count <= FEW else None
        return {"success": count == 0, "result": {"observed_value": count, "failing_rows": failing}}


class FiguresExpectation(OfOneMetric):
    """For rules on the whole table, whose query returns what is wrong with it."""

    metric_dependencies: ClassVar[tuple[str, ...]] = (FoundRows.metric_name,)

    def _validate(self, metrics: dict, *_: Any, **__: Any) -> dict:
        count, rows = metrics[FoundRows.metric_name]
        result = {"observed_value": count, "details": {"unexpected_rows": rows}}
        return {"success": count == 0, "result": result}


#: Kind of query → metric that asks it.
QUERY_OF: dict[str, type[RuleQuery]] = {
    "row": FailingRows,
    "dataset": FoundRows,
    "release": FoundRows,
}
#: Kind of query → type of expectation that it runs as.
TYPE_OF = {
    "condition": "rows_where_expectation",
    "row": "counted_rows_expectation",
    "dataset": "figures_expectation",
    "release": "figures_expectation",
}
