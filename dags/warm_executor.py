"""A LocalExecutor that keeps priorities; its workers are forked warm, and may be killed."""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Sequence
from multiprocessing import queues
from typing import Any

from airflow.executors import local_executor
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


class PatientQueue(queues.SimpleQueue):
    """A SimpleQueue that waits without its lock.

    The standard one waits with it: a worker that is killed while it has nothing to do takes the
    lock along, and no other gets work again.
    """

    def __init__(self) -> None:
        super().__init__(ctx=multiprocessing.get_context())

    def get(self) -> Any:
        """The next item; waits for it."""
        while True:
            self._reader.poll(None)
            with self._rlock:
                if self._reader.poll(0):  # nobody else was faster
                    return self._reader.recv()


class WarmLocalExecutor(LocalExecutor):
    """LocalExecutor, with `SLOW_IMPORTS` in the process that the workers are forked from.

    Airflow's own hands every task at once to a queue that is first in, first out, so that a release
    stood behind all imports whatever its priority. Here one task for each worker waits there, which
    keeps the workers busy; the others wait where the scheduler chooses by priority.
    """

    def start(self) -> None:
        for name in SLOW_IMPORTS:
            importlib.import_module(name)
        local_executor.SimpleQueue = PatientQueue
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
