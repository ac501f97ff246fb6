"""A LocalExecutor that keeps priorities, and whose workers are forked with slow imports done."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

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
    """LocalExecutor, with `SLOW_IMPORTS` in the process that the workers are forked from.

    Airflow's own hands every task at once to a queue that is first in, first out, so that a release
    stood behind all imports whatever its priority. Here one task for each worker waits there, which
    keeps the workers busy; the others wait where the scheduler chooses by priority.
    """

    def start(self) -> None:
        for name in SLOW_IMPORTS:
            importlib.import_module(name)
        super().start()

    @property
    def slots_occupied(self) -> int:
        return max(0, super().slots_occupied - self.parallelism)

    def trigger_tasks(self, open_slots: int) -> None:
        super().trigger_tasks(open_slots + self.parallelism)

    def _process_workloads(self, workload_list: Sequence[Any]) -> None:
        # Left again when the worker reports how it ended.
        self.running.update(workload.key for workload in workload_list)
        super()._process_workloads(workload_list)
