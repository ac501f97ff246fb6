"""Great Expectations' own results, kept for its Data Docs: counts only, no value of any row.

One file for each suite and period, `<reports>/data_docs/results/<suite>/<period>.json`: the newest
run, so that the folder does not grow with reruns. What counts as proof is `audit.rule_result`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from loaders.files import write_text
from loaders.log import get_logger
from loaders.settings import get_settings

#: Of a result; everything else may hold values: lists of unexpected ones, their rows, queries.
COUNTS = (
    *("element_count", "missing_count", "missing_percent", "unexpected_count"),
    *("unexpected_percent", "unexpected_percent_total", "unexpected_percent_nonmissing"),
)
NOT_RUN = "the rule did not run: audit.rule_result says why"


def results_folder() -> Path:
    folder = get_settings().reports
    assert folder is not None
    return folder / "data_docs" / "results"


def keep_validation(
    results: Sequence[Any], suite: str, period: str, texts: Mapping[str, tuple[str, str]]
) -> None:
    """Keep the counts of a suite's `ExpectationValidationResult`s.

    A full disk is logged and stops no gate.

    Args:
        texts: the sentence of each rule, Vietnamese and English, by rule id.
    """
    from great_expectations import __version__
    from great_expectations.validator.validation_statistics import calc_validation_statistics

    statistics = calc_validation_statistics(list(results))._asdict()
    kept = {
        "success": bool(statistics.pop("success")),
        "suite_name": suite,
        "statistics": {name: _number(figure) for name, figure in statistics.items()},
        "suite_parameters": {},
        "meta": {
            "great_expectations_version": __version__,
            # A batch that is validated without a checkpoint has no run of its own.
            "run_id": {"run_name": None, "run_time": datetime.now(UTC).isoformat()},
            "batch_spec": {"data_asset_name": suite, "period": period},
        },
        "results": [_counts(result, texts) for result in results],
    }
    path = results_folder() / suite / f"{period}.json"
    try:
        write_text(path, json.dumps(kept, ensure_ascii=False, sort_keys=True))
    except OSError as error:
        get_logger().warning("result for Data Docs was not kept", path=str(path), error=str(error))


def raised_by(result: Any) -> Mapping[str, Any] | None:
    """The exception behind a result; that of a column rule is nested under the id of a metric."""
    exception = result.exception_info or {}
    nested = [exception, *(of for of in exception.values() if isinstance(of, Mapping))]
    return next((of for of in nested if of.get("raised_exception")), None)


def _counts(result: Any, texts: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """A result with its counts; of an error only that there was one, as messages quote values.

    Not by the result's own `to_json_dict`, which copies every failing row.
    """
    config, found = result.expectation_config, result.result or {}
    figures = {name: _number(found.get(name)) for name in (*COUNTS, "observed_value")}
    rule_id = config.meta["id"]
    raised = raised_by(result) is not None
    return {
        "success": bool(result.success),
        "expectation_config": {
            "type": config.type,
            "kwargs": {k: v for k, v in config.kwargs.items() if k != "batch_id"},
            "severity": str(getattr(config.severity, "value", config.severity)),
            "meta": {"id": rule_id, "notes": [rule_id, *texts[rule_id]]},
        },
        "result": {name: figure for name, figure in figures.items() if figure is not None},
        "meta": {},
        "exception_info": {
            "raised_exception": raised,
            "exception_message": NOT_RUN if raised else None,
            "exception_traceback": "",  # the renderer wants a text
        },
    }


def _number(value: Any) -> int | float | None:
    """A figure as JSON has it; None for whatever is no single number."""
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real | Decimal) else None
