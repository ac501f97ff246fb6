"""Structured logs on stderr: one line per event, the same field names everywhere."""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager
from typing import Any, Literal

import structlog

FIELDS = ("source", "dataset", "period", "stage", "batch_id", "run_id")


def configure_logging(log_format: Literal["console", "json"] = "console") -> None:
    """Send structured logs to stderr, as text for people or as JSON lines.

    Only the command line calls this: inside Airflow, structlog is already set up to write to the
    task's own log.
    """
    renderers: list[Any] = (
        [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
        if log_format == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), sort_keys=False)]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _fields_first,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def _fields_first(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Put the fields by which people search in front, in one order."""
    ordered = {name: event.pop(name) for name in FIELDS if event.get(name) is not None}
    for name in FIELDS:
        event.pop(name, None)
    return ordered | event


def get_logger() -> Any:
    """A structlog logger."""
    return structlog.get_logger()


def log_context(
    *,
    source: str | None = None,
    dataset: str | None = None,
    period: str | None = None,
    stage: str | None = None,
    batch_id: str | None = None,
    run_id: str | None = None,
) -> AbstractContextManager[None]:
    """Add these fields to every log line inside the `with` block; a None leaves a field alone."""
    given = {
        "source": source,
        "dataset": dataset,
        "period": period,
        "stage": stage,
        "batch_id": batch_id,
        "run_id": run_id,
    }
    return structlog.contextvars.bound_contextvars(
        **{name: value for name, value in given.items() if value is not None}
    )
