"""Deliveries that are late, never come, are garbage or come twice: each ends as documented."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags import arrival
from dags.arrival import ArrivalTrigger, AwaitDelivery
from dags.wiring import SourceUnreachable
from loaders.contracts.model import get_dataset
from loaders.periods import TIMEZONE
from loaders.postgres.database import Role, connect
from loaders.stages.arrival import awaited, has_arrived, note_absence
from loaders.stages.intake import import_dataset
from loaders.stages.setup import record_schedule
from tests.conftest import Warehouse
from tests.dags.waiting import Waiting, deferred, event_of, go_on
from tests.integration.landing import partial_files
from tests.integration.members import DATASET, SOURCE, deliver, prepare, row

WAIT = dt.timedelta(seconds=0.2)


@pytest.fixture(scope="module")
def ready(warehouse: Warehouse) -> Warehouse:
    prepare()
    return warehouse


@pytest.fixture
def waiting(ready: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Waiting]]:
    made: list[Waiting] = []

    def make(period: str, source: str = SOURCE, dataset: str = DATASET) -> Waiting:
        made.append(Waiting(monkeypatch, source, dataset, period))
        made[-1].run(period)
        return made[-1]

    yield make
    for one in made:
        one.restore()


def send(ready: Warehouse, period: str, people: int = 5) -> Path:
    month = f"{period[5:]}/{period[:4]}"
    return deliver(ready, [row(i, month=month) for i in range(people)], period)


def absences(period: str) -> list[str]:
    with connect(Role.AUDITOR) as connection:
        rows = connection.execute(
            "select details ->> 'absence' from audit.batch_result where period = %s"
            " and status = 'missing' and details ? 'absence' order by id",
            (period,),
        ).fetchall()
    return [absence for (absence,) in rows]


def is_awaited(month: str) -> bool:
    found = awaited(month, dt.datetime.now(dt.UTC))
    return (SOURCE, DATASET) in {(one.source, one.dataset) for one in found}


def soon(trigger: ArrivalTrigger) -> ArrivalTrigger:
    """The same trigger with short pauses, which gives up soon."""
    until = dt.datetime.now(dt.UTC) + 3 * WAIT
    arguments = trigger.serialize()[1] | {"pause_seconds": 0.05, "until": until.isoformat()}
    return ArrivalTrigger(**arguments)


def test_a_delivery_that_comes_while_it_is_waited_for_is_taken(
    ready: Warehouse, waiting: Callable[..., Waiting]
) -> None:
    one = waiting("2025-01")
    one.due(days=0)
    task = one.take()
    trigger = deferred(task)
    late_at = get_dataset(SOURCE, DATASET).extension.schedule.late_at("2025-01")
    assert dt.datetime.fromisoformat(trigger.until) == late_at > dt.datetime.now(dt.UTC)
    assert trigger.pause_seconds == ready.settings.arrival_poll_seconds
    quick = ArrivalTrigger(**trigger.serialize()[1] | {"pause_seconds": 0.05})
    timer = threading.Timer(WAIT.total_seconds(), send, (ready, "2025-01"))
    timer.start()
    event = event_of(quick)
    timer.join()
    assert event == {"is_there": True}
    assert go_on(task, event)["status"] == "accepted"
    assert (one.notices, absences("2025-01")) == ([], [])


def late(one: Waiting) -> tuple[AwaitDelivery, ArrivalTrigger]:
    """Three days after the due one the month goes on; who waits from then on, and its trigger."""
    one.due(days=-3)
    with pytest.raises(AirflowSkipException):
        go_on(one.take())
    task = one.wait()
    return task, deferred(task)


def test_a_source_three_days_late_lets_the_month_go_and_is_taken_on_the_day_it_comes(
    ready: Warehouse, waiting: Callable[..., Waiting]
) -> None:
    """The month before the day that was three days ago: its lists were due on that day."""
    due_on = dt.datetime.now(TIMEZONE).date() - dt.timedelta(days=3)
    period = (due_on.replace(day=1) - dt.timedelta(days=1)).strftime("%Y-%m")
    one = waiting(period)
    one.due(days=0)
    task = one.take()
    event = event_of(soon(deferred(task)))
    assert event == {"is_there": False}
    one.due(days=-3)  # three days pass
    with pytest.raises(AirflowSkipException, match="nothing has arrived"):
        go_on(task, event)
    notice = (SOURCE, DATASET, period, "late")
    assert (one.notices, absences(period)) == ([notice], ["late"])

    assert is_awaited(period)
    later = one.wait()
    trigger = deferred(later)
    assert one.notices == [notice]  # not a second time
    send(ready, period)
    assert event_of(soon(trigger)) == {"is_there": True}
    assert go_on(later, {"is_there": True})["status"] == "accepted"
    assert not is_awaited(period)
    with connect(Role.LOADER) as connection:
        schedule = get_dataset(SOURCE, DATASET)
        record_schedule(connection, [schedule])
    with connect(Role.AUDITOR) as connection:
        found = connection.execute(
            "select expected_on, days_late, is_on_time from audit.quality_timeliness"
            " where (source, dataset, period) = (%s, %s, %s)",
            (SOURCE, DATASET, period),
        ).fetchone()
    assert found == (due_on, 3, False)


def test_a_source_that_never_comes_is_late_once_and_given_up_once(
    waiting: Callable[..., Waiting],
) -> None:
    period = "2025-02"
    one = waiting(period)
    task, trigger = late(one)
    given_up_at = get_dataset(SOURCE, DATASET).extension.schedule.given_up_at(period)
    assert dt.datetime.fromisoformat(trigger.until) == given_up_at
    one.due(days=-11)  # the tenth day after the due one is over
    for _ in range(2):  # cleared and run again
        with pytest.raises(AirflowSkipException, match="no longer waited for"):
            go_on(task, {"is_there": False})
    assert absences(period) == ["late", "given_up"]
    assert [notice[-1] for notice in one.notices] == ["late", "given_up"]
    assert not is_awaited(period)
    with connect(Role.AUDITOR) as connection:
        (status, reason) = connection.execute(
            "select status, reason from audit.batch_current where (source, dataset, period)"
            " = (%s, %s, %s)",
            (SOURCE, DATASET, period),
        ).fetchone() or ("", "")
    assert status == "missing"
    assert reason


def test_what_is_waited_for_longer_is_late_on_its_own_day(
    waiting: Callable[..., Waiting],
) -> None:
    """A yearly list is not due with the month's first release: the month does not wait for it."""
    one = waiting("2025", "health", "nutrition_survey")
    one.run("2025-12")
    one.due(days=20)
    with pytest.raises(AirflowSkipException, match="not due yet"):
        go_on(one.take())
    assert absences("2025") == []
    listed = awaited("2025-12", dt.datetime.now(dt.UTC))
    assert {"source": "health", "dataset": "nutrition_survey", "period": "2025"} in [
        each.to_dict() for each in listed
    ]
    task = one.wait()
    schedule = get_dataset("health", "nutrition_survey").extension.schedule
    assert dt.datetime.fromisoformat(deferred(task).until) == schedule.late_at("2025")
    one.due(days=-2)
    deferred(task, {"is_there": False})
    assert absences("2025") == ["late"]
    assert one.notices == [("health", "nutrition_survey", "2025", "late")]


def test_a_run_of_a_person_says_what_is_missing_at_once_and_tells_nobody(
    waiting: Callable[..., Waiting],
) -> None:
    one = waiting("2025-03")
    one.due(days=0)
    for run_type in ("manual", "backfill"):
        one.run("2025-03", run_type)
        with pytest.raises(AirflowSkipException, match="missing: nothing has arrived"):
            go_on(one.take())
    assert (one.notices, absences("2025-03")) == ([], [])
    assert is_awaited("2025-03")


def test_garbage_is_seen_refused_and_not_waited_for_again(
    ready: Warehouse, waiting: Callable[..., Waiting]
) -> None:
    period = "2025-04"
    one = waiting(period)
    task, trigger = late(one)
    send(ready, period).write_bytes(b"\x00\xff" * 500)
    assert event_of(soon(trigger)) == {"is_there": True}
    with pytest.raises(AirflowFailException, match="refused"):
        go_on(task, {"is_there": True})
    assert not is_awaited(period)


def test_a_share_that_is_away_is_waited_for_and_fails_in_the_end(
    waiting: Callable[..., Waiting], tmp_path: Path
) -> None:
    period = "2025-05"
    one = waiting(period)
    one.lie_in(str(tmp_path / "share"), "list.csv")
    one.due(days=0)
    task = one.take()
    assert event_of(soon(deferred(task))) == {"is_there": False}
    one.due(days=-3)
    with pytest.raises(SourceUnreachable, match="is the share mounted"):
        go_on(task, {"is_there": False})
    assert one.notices == [(SOURCE, DATASET, period, "late")]


def test_a_question_keeps_nothing_and_sees_what_will_be_refused(
    ready: Warehouse, waiting: Callable[..., Waiting], tmp_path: Path
) -> None:
    assert not has_arrived(SOURCE, DATASET, "2025-08")
    path = send(ready, "2025-08")
    assert has_arrived(SOURCE, DATASET, "2025-08")
    assert partial_files() == []
    path.write_bytes(b"")
    assert has_arrived(SOURCE, DATASET, "2025-08")
    one = waiting("2025-08")
    for name in ("a1.csv", "a2.csv"):
        (tmp_path / name).touch()
    one.lie_in(str(tmp_path), "a*.csv")
    assert has_arrived(SOURCE, DATASET, "2025-08")
    one.run("2025-08")
    with pytest.raises(AirflowFailException, match="2 files match"):
        go_on(one.take())


def test_other_trouble_is_left_to_the_task(
    waiting: Callable[..., Waiting], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that is not there fails the task, where people look, and not the triggerer."""
    one = waiting("2025-09")
    one.due(days=0)
    trigger = soon(deferred(one.take()))
    one.lie_in("$NQ42_SHARE_OF_NOBODY", "list.csv")
    assert event_of(trigger) == {"is_there": True}
    with pytest.raises(Exception, match="NQ42_SHARE_OF_NOBODY is not set"):
        go_on(one.take())


def test_a_source_that_does_not_answer_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()

    def ask(source: str, dataset: str, period: str) -> bool:
        return release.wait(20) if source == "dead" else True

    monkeypatch.setattr("loaders.stages.arrival.has_arrived", ask)
    until = (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)).isoformat()

    def trigger(source: str) -> ArrivalTrigger:
        return ArrivalTrigger(
            source=source, dataset="d", period="2025-01", until=until, pause_seconds=0.01
        )

    async def both() -> Any:
        dead = [asyncio.ensure_future(anext(trigger("dead").run())) for _ in range(40)]
        alive = await asyncio.wait_for(anext(trigger("alive").run()), 10)
        assert not any(future.done() for future in dead)
        release.set()
        await asyncio.gather(*dead)
        return alive.payload

    monkeypatch.setattr(arrival, "_asking", type(arrival._asking)(asyncio.Lock))
    assert asyncio.run(both()) == {"is_there": True}


def test_the_same_delivery_taken_twice_at_once_is_loaded_once(ready: Warehouse) -> None:
    period = "2025-10"
    send(ready, period, people=30)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(import_dataset, SOURCE, DATASET, period, f"r{i}") for i in (1, 2)]
        statuses = sorted(future.result().status for future in futures)
    assert statuses == ["accepted", "unchanged"]
    with connect(Role.AUDITOR) as connection:
        counts = connection.execute(
            "select (select count(*) from audit.receipt where period = %(p)s), (select count(*)"
            " from audit.batch_accepted where period = %(p)s)",
            {"p": period},
        ).fetchone()
    with connect(Role.ADMIN) as connection:
        rows = connection.execute(
            "select count(*) from raw.social_insurance__health_insurance_members where _period=%s",
            (period,),
        ).fetchone()
    assert (counts, rows) == ((1, 1), (30,))


def test_an_absence_is_recorded_once_whoever_sees_it(ready: Warehouse) -> None:
    period = "2025-11"
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: note_absence(SOURCE, DATASET, period, "late"), range(4)))
    assert sorted(done) == [False, False, False, True]
    send(ready, period)
    assert import_dataset(SOURCE, DATASET, period).status == "accepted"
    # What came meanwhile is neither late any more nor given up.
    assert not note_absence(SOURCE, DATASET, period, "given_up")
    assert absences(period) == ["late"]
