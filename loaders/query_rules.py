"""Great Expectations' rule by query, run once; its own runs each query for rows and to count.

Importing this module imports Great Expectations and makes the types known to it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.compatibility.sqlalchemy import sqlalchemy as sa
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.core import UnexpectedRowsExpectation
from great_expectations.expectations.metrics.metric_provider import metric_partial
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider

ROWS, COUNT = "unexpected_rows_query.table", "unexpected_rows_query.row_count"


class CountedRowsExpectation(UnexpectedRowsExpectation):
    """For row rules: how many rows fail. Which ones is asked where they go to quarantine."""

    metric_dependencies: ClassVar[tuple[str, ...]] = (COUNT,)

    def _validate(self, metrics: dict, *_: Any, **__: Any) -> dict:
        count = metrics[COUNT]
        return {"success": count == 0, "result": {"observed_value": count}}


class RowsWhere(TableMetricProvider):
    """How many rows meet a condition; Great Expectations counts for all conditions in one scan."""

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
        condition = sa.literal_column(f"({metric_value_kwargs['condition']})")
        return sa.func.count().filter(condition), metric_domain_kwargs, {}


class RowsWhereExpectation(UnexpectedRowsExpectation):
    """For row rules that look at one row at a time: how many meet the condition."""

    condition: str
    metric_dependencies: ClassVar[tuple[str, ...]] = (RowsWhere.metric_name,)
    success_keys: ClassVar[tuple[str, ...]] = ("unexpected_rows_query", "condition")

    def _validate(self, metrics: dict, *_: Any, **__: Any) -> dict:
        count = metrics[RowsWhere.metric_name]
        return {"success": count == 0, "result": {"observed_value": count}}


class FiguresExpectation(UnexpectedRowsExpectation):
    """For dataset rules, whose query returns a few figures: those rows, at most 200."""

    metric_dependencies: ClassVar[tuple[str, ...]] = (ROWS,)

    def _validate(self, metrics: dict, *_: Any, **__: Any) -> dict:
        rows = metrics[ROWS]
        result = {"observed_value": len(rows), "details": {"unexpected_rows": rows}}
        return {"success": not rows, "result": result}


#: Kind of query → type of expectation that it runs as.
TYPE_OF = {
    "condition": "rows_where_expectation",
    "row": "counted_rows_expectation",
    "dataset": "figures_expectation",
}
