"""Great Expectations as the gates use it: one validator for one table, over one connection."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import psycopg

from loaders.quality.ahead import Ahead, engine_over

#: Imported by Great Expectations for kinds of rules that no suite has; half of its own import.
SELDOM_USED = ("altair", "scipy.stats")


@cache
def great_expectations() -> ModuleType:
    """The library; its import takes more than a second, and only gates pay for it."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with _at_first_use(SELDOM_USED), _kept_for_good():
        library = importlib.import_module("great_expectations")
        # Our own types of expectations, which it has to know.
        importlib.import_module("loaders.quality.query_rules")
    return library


@contextmanager
def _kept_for_good() -> Iterator[None]:
    """What is made meanwhile is not looked through for garbage, now or later.

    An import makes some 300,000 objects that stay; looking through them over and over is a quarter
    of its time. What is garbage before goes first, so that it is not kept with them.
    """
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@contextmanager
def _at_first_use(names: Sequence[str]) -> Iterator[None]:
    """Modules that are imported meanwhile are loaded when something in them is asked for."""
    put: dict[str, ModuleType] = {}
    for name in names:
        if name not in sys.modules:
            put[name] = sys.modules[name] = _placeholder(name)
    try:
        yield
    finally:
        for name, module in put.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _placeholder(name: str) -> ModuleType:
    module = ModuleType(name)

    def load(attribute: str) -> Any:
        if attribute.startswith("__"):  # the import system's own questions
            raise AttributeError(attribute)
        if sys.modules.get(name) is module:
            del sys.modules[name]
        return getattr(importlib.import_module(name), attribute)

    module.__getattr__ = load  # type: ignore[method-assign]
    return module


def validator(
    connection: psycopg.Connection, schema: str, table: str, ahead: Ahead | None = None
) -> Any:
    """What judges a whole table, over this connection, which is in autocommit.

    Queries that were sent ahead are not run again.

    Its class is what checkpoints and batches end in. Those of a data source would connect twice
    more and write the source's configuration, which takes longer than most suites.
    """
    great_expectations()
    from great_expectations.core.batch import Batch
    from great_expectations.core.batch_spec import SqlAlchemyDatasourceBatchSpec
    from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
    from great_expectations.validator.validator import Validator

    from loaders.quality.query_rules import Execution

    execution = Execution(engine_over(connection), ahead)
    data = SqlAlchemyBatchData(
        execution, schema_name=schema, table_name=table, create_temp_table=False
    )
    spec = SqlAlchemyDatasourceBatchSpec({"schema_name": schema, "table_name": table})
    batch = Batch(data=data, batch_spec=spec)
    return Validator(execution, batches=[batch], data_context=_context())


@cache
def _context() -> Any:
    """Great Expectations' context of this process; it keeps nothing on disk."""
    context = great_expectations().get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context


def validate(
    validator: Any, expectations: Sequence[Mapping[str, Any]], result_format: Mapping[str, Any]
) -> list[Any]:
    """One `ExpectationValidationResult` for each expectation that left one.

    An expectation that raised is a result too, with the exception in it.

    Args:
        expectations: each with type, kwargs, severity and meta.
    """
    from great_expectations.expectations.expectation_configuration import (
        ExpectationConfiguration,
    )

    configurations = [ExpectationConfiguration(**of) for of in expectations]
    return validator.graph_validate(
        configurations=validator.process_expectations_for_validation(configurations, None),
        runtime_configuration={"result_format": dict(result_format)},
    )
