"""Row rules in SQL, as Great Expectations runs them here: counted, not fetched.

Great Expectations' own expectation runs a query twice, for its rows and for their number, and the
client takes every row that the query finds. The gate needs the number alone: quarantine is written
inside the database, by the same query. Importing this module imports Great Expectations.
"""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.expectations.core.unexpected_rows_expectation import (
    UnexpectedRowsExpectation,
)

#: The name by which a suite asks for it.
ROW_RULE = "expect_no_failing_rows"
COUNT = "unexpected_rows_query.row_count"


class ExpectNoFailingRows(UnexpectedRowsExpectation):
    """No row of the batch is found by ``unexpected_rows_query``."""

    metric_dependencies: ClassVar[tuple[str, ...]] = (COUNT,)

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        failing = metrics[COUNT]
        return {"success": failing == 0, "result": {"observed_value": failing}}
