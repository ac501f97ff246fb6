"""Great Expectations' rule by query, run once; its own runs each query for rows and to count.

Importing this module imports Great Expectations and makes the types known to it.
"""

from __future__ import annotations

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

#: So many numbers of failing rows are kept, so that the query need not run again for them.
FEW = 10_000
#: So many rows are kept of what a rule on the whole table found.
SHOWN = 200


class FailingRows(QueryMetricProvider):
    """How many rows a query finds and, where they are few, their numbers."""

    metric_name = "failing_rows.found"
    value_keys = ("unexpected_rows_query",)
    query_param_name = "unexpected_rows_query"

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: dict,
        metric_value_kwargs: dict,
        metrics: dict,
        runtime_configuration: dict,
    ) -> tuple[int, list[int] | None]:
        query = _query(cls, execution_engine, metric_domain_kwargs, metric_value_kwargs)
        # The query stands once, so it runs once, and of its rows only the first are kept.
        statement = sa.text(
            f"SELECT count(*), array_agg(f._row_number) FILTER (WHERE f.n <= {FEW})"
            f" FROM (SELECT q._row_number, row_number() OVER () AS n FROM ({query}) AS q) AS f"
        )
        count, rows = execution_engine.execute_query(statement).fetchone()
        return count, (rows or []) if count <= FEW else None


class FoundRows(QueryMetricProvider):
    """How many rows a query finds, and the first of them, each as column → value."""

    metric_name = "found_rows.first"
    value_keys = ("unexpected_rows_query",)
    query_param_name = "unexpected_rows_query"

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: dict,
        metric_value_kwargs: dict,
        metrics: dict,
        runtime_configuration: dict,
    ) -> tuple[int, list[dict[str, Any]]]:
        query = _query(cls, execution_engine, metric_domain_kwargs, metric_value_kwargs)
        statement = sa.text(
            f"SELECT count(*) OVER () AS _found, q.* FROM ({query}) AS q LIMIT {SHOWN}"
        )
        rows = [row._asdict() for row in execution_engine.execute_query(statement).fetchall()]
        found = [row.pop("_found") for row in rows]
        return (found[0] if found else 0), rows


def _query(
    provider: type[QueryMetricProvider],
    execution_engine: SqlAlchemyExecutionEngine,
    domain: dict,
    values: dict,
) -> str:
    """The rule's query, with the table in the place of {batch}."""
    selectable, _, _ = execution_engine.get_compute_domain(
        domain, domain_type=MetricDomainTypes.TABLE
    )
    return provider._get_substituted_batch_subquery_from_query_and_batch_selectable(
        query=provider._get_query_from_metric_value_kwargs(values),
        batch_selectable=selectable,
        execution_engine=execution_engine,
    )


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


#: Kind of query → type of expectation that it runs as.
TYPE_OF = {
    "condition": "rows_where_expectation",
    "row": "counted_rows_expectation",
    "dataset": "figures_expectation",
    "release": "figures_expectation",
}
