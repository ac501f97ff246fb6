"""A LocalExecutor whose workers are forked with the slow imports done."""

from __future__ import annotations

import importlib

from airflow.executors.local_executor import LocalExecutor

#: Great Expectations takes seconds to import, and each gate is a process of its own. Polars stays
#: out: its threads do not live on in a forked process. Our own modules stay out too, so that a
#: changed stage counts from the next task on.
SLOW_IMPORTS = (
    "great_expectations",
    "open_data_contract_standard.model",
    "pandas",
    "psycopg",
    "pyarrow",
    "sqlalchemy",
)


class WarmLocalExecutor(LocalExecutor):
    """LocalExecutor, with `SLOW_IMPORTS` in the process that the workers are forked from."""

    def start(self) -> None:
        for name in SLOW_IMPORTS:
            importlib.import_module(name)
        super().start()
