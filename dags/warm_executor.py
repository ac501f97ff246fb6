"""A LocalExecutor that keeps priorities and takes no task that went on for one that was killed.

Its workers are forked warm, and may be killed.
"""

from __future__ import annotations

import importlib
import multiprocessing
from collections import Counter
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

    Airflow's own also reports the end of the process in which a task parked itself when the task
    goes on already: an answer may come at once. The scheduler takes that report for the task's own
    end, and what runs for killed: it fails it, or has it tried again beside itself.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        #: How many processes of a task are under way: two when it went on as soon as it was parked.
        self._processes: Counter[Any] = Counter()

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
        keys = [workload.key for workload in workload_list]
        self.running.update(keys)
        self._processes.update(keys)
        super()._process_workloads(workload_list)

    def change_state(self, key: Any, state: Any, info: Any = None, **options: Any) -> None:
        """Report how a process ended; not while a later one of the same task is under way."""
        if self._processes[key] > 1:
            self._processes[key] -= 1
            return
        del self._processes[key]
        super().change_state(key, state, info, **options)
