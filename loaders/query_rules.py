"""Great Expectations' rule by query, run once; its own runs each query for rows and to count.

Importing this module imports Great Expectations and makes the two types known to it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.expectations.core import UnexpectedRowsExpectation

ROWS, COUNT = "unexpected_rows_query.table", "unexpected_rows_query.row_count"


class CountedRowsExpectation(UnexpectedRowsExpectation):
    """For row rules: how many rows fail. Which ones is asked where they go to quarantine."""

    metric_dependencies: ClassVar[tuple[str, ...]] = (COUNT,)

    def _validate(self, metrics: dict, *_: Any, **__: Any) -> dict:
        count = metrics[COUNT]
        return {"success": count == 0, "result": {"observed_value": count}}


class FiguresExpectation(UnexpectedRowsExpectation):
    """For dataset rules, whose query returns a few figures: those rows, at most 200."""

    metric_dependencies: ClassVar[tuple[str, ...]] = (ROWS,)

    def _validate(self, metrics: dict, *_: Any, **__: Any) -> dict:
        rows = metrics[ROWS]
        result = {"observed_value": len(rows), "details": {"unexpected_rows": rows}}
        return {"success": not rows, "result": result}


#: Kind of rule → type of expectation that its query runs as.
TYPE_OF = {"row": "counted_rows_expectation", "dataset": "figures_expectation"}
