"""A worker that is killed while it waits for work keeps nobody else from it."""

from __future__ import annotations

import multiprocessing
import time

from dags.warm_executor import PatientQueue


def _take(items: PatientQueue, taken: PatientQueue) -> None:
    taken.put("waiting")
    taken.put(items.get())


def test_work_is_taken_after_a_waiting_worker_was_killed() -> None:
    context = multiprocessing.get_context("fork")
    items, taken = PatientQueue(), PatientQueue()
    workers = [context.Process(target=_take, args=(items, taken)) for _ in range(2)]
    for worker in workers:
        worker.start()
        assert taken.get() == "waiting"
        time.sleep(0.2)  # it is in `get` by now; the first would hold the lock of a SimpleQueue
    workers[0].kill()
    workers[0].join()
    items.put("work")
    workers[1].join(10)
    workers[1].kill()
    assert not taken.empty()
    assert taken.get() == "work"
