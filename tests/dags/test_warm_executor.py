"""Killed workers keep nobody else from work; what went on at once is not taken for killed."""

from __future__ import annotations

import multiprocessing
import time
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.executors.local_executor import LocalExecutor

from dags.warm_executor import PatientQueue, WarmLocalExecutor


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


def test_the_end_of_the_process_that_parked_a_task_is_not_reported_as_that_of_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LocalExecutor, "_process_workloads", lambda *_: None)
    executor = WarmLocalExecutor(parallelism=1)
    task: Any = SimpleNamespace(key="the same for both processes")
    executor._process_workloads([task])
    executor._process_workloads([task])  # answered before the first process was seen to end
    executor.change_state(task.key, "success")
    assert task.key in executor.running
    assert task.key not in executor.event_buffer
    executor.change_state(task.key, "failed")  # the second is killed
    assert task.key not in executor.running
    assert executor.event_buffer.pop(task.key)[0] == "failed"
    executor._process_workloads([task])
    executor.change_state(task.key, "success")
    assert executor.event_buffer.pop(task.key)[0] == "success"


def test_work_that_says_that_it_runs_is_reported_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalExecutor, "_process_workloads", lambda *_: None)
    executor = WarmLocalExecutor(parallelism=1)
    callback: Any = SimpleNamespace(key="callback")
    executor._process_workloads([callback])
    for state in ("running", "success"):
        executor.change_state(callback.key, state)
        assert executor.event_buffer.pop(callback.key)[0] == state
