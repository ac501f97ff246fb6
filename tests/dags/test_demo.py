"""The order in which the demo runs months, and what it says. Airflow itself is played by a list."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from loaders import demo
from loaders.airflow_api import WAITING_TASK, Run, TaskRun
from loaders.contracts.model import load_contracts
from loaders.demo import MonthRuns, latest_reports
from loaders.demo_inputs import DemoError, Inputs, refuse_other_inputs, write_stamp
from loaders.settings import Settings

MONTHS = ("2024-06", "2025-06")
IMPORTS = {f"import_{contract.source}" for contract in load_contracts()}


class PlayedAirflow:
    """Every run ends at the second look; `failing` ones fail in the task `x.gate`."""

    def __init__(
        self,
        failing: Sequence[tuple[str, str]] = (),
        silent: Sequence[str] = (),
        asking: Sequence[str] = (),
    ) -> None:
        self.failing, self.silent, self.asking = set(failing), set(silent), set(asking)
        self.answers: list[tuple[str | None, str, dict[str, str]]] = []
        self.started: list[tuple[str, str]] = []
        self.looks: dict[tuple[str, str], int] = {}
        self.open_at_start: list[int] = []

    def dag_ids(self) -> set[str]:
        return {*IMPORTS, demo.RELEASE_DAG}

    def import_errors(self) -> list[str]:
        return []

    def trigger(self, dag_id: str, period: str, run_id: str) -> Run:
        others = [k for k in self.started if k[1] != period and self.looks.get(k, 0) < 2]
        self.open_at_start.append(len(others))
        self.started.append((dag_id, period))
        return Run(dag_id, run_id, period, "queued")

    def runs(self, dag_id: str) -> list[Run]:
        return [
            Run(dag_id, f"asset_{month}", month, "queued")
            for month in MONTHS
            if month not in self.silent
            and all(self.looks.get((name, month), 0) >= 2 for name in IMPORTS)
        ]

    def tasks_of(self, runs: Sequence[Run]) -> list[tuple[Run, list[TaskRun]]]:
        answer = []
        for run in runs:
            key = (run.dag_id, run.period or "")
            self.looks[key] = self.looks.get(key, 0) + 1
            ended = self.looks[key] >= 2
            fails = key in self.failing
            state = ("failed" if fails else "success") if ended else "running"
            tasks = [TaskRun("x.gate", state, 1, 1.0), TaskRun("y.load", "upstream_failed", 0, 0.0)]
            if run.dag_id == demo.RELEASE_DAG and run.period in self.asking:
                answered = run.period in [period for period, _, _ in self.answers]
                ended = ended and answered
                state = "success" if ended else "running"
                parked = "success" if answered else WAITING_TASK
                tasks = [TaskRun("approve", parked, 1, 1.0)]
            if run.dag_id != demo.RELEASE_DAG:
                silent = run.period in self.silent
                tasks.append(TaskRun("conclude", "failed" if silent else "success", 1, 1.0))
            answer.append((Run(run.dag_id, run.run_id, run.period, state), tasks))
        return answer

    def question(self, run: Run, task: TaskRun) -> str:
        return f"**{task.task_id}**\nwhat is asked of {run.period} [1]"

    def answer(self, run: Run, task: TaskRun, option: str, inputs: dict[str, str]) -> None:
        self.answers.append((run.period, option, inputs))

    def log_tail(self, run: Run, task: TaskRun) -> list[str]:
        return [f"why {run.dag_id} {task.task_id}"]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "POLL_SECONDS", 0)


def play(airflow: PlayedAirflow) -> tuple[bool, str]:
    shown = io.StringIO()
    with Progress(console=Console(file=shown, width=200)) as progress:
        failed = MonthRuns(airflow, progress, MONTHS, "mark").run()  # type: ignore[arg-type]
    return failed, shown.getvalue()


def test_every_import_of_every_month_is_started_once_in_order() -> None:
    airflow = PlayedAirflow()
    failed, shown = play(airflow)
    assert not failed
    assert len(airflow.started) == len(set(airflow.started)) == len(IMPORTS) * len(MONTHS)
    assert [month for _, month in airflow.started] == sorted(month for _, month in airflow.started)
    assert shown.count(f"{demo.RELEASE_DAG}: success") == len(MONTHS)


def test_a_month_starts_when_the_imports_before_it_have_ended() -> None:
    airflow = PlayedAirflow()
    play(airflow)
    assert set(airflow.open_at_start) == {0}


def test_a_failed_task_is_named_with_its_log_and_the_others_go_on() -> None:
    airflow = PlayedAirflow(failing=[("import_health", "2024-06")])
    failed, shown = play(airflow)
    assert failed
    assert "why import_health x.gate" in shown
    assert "y.load" not in shown  # it only follows
    assert shown.count(f"{demo.RELEASE_DAG}: success") == len(MONTHS)


def test_a_release_that_asks_is_answered_once_and_visibly() -> None:
    airflow = PlayedAirflow(asking=["2025-06"])
    failed, shown = play(airflow)
    assert not failed
    assert airflow.answers == [("2025-06", "Approve", demo.ANSWER)]
    assert "what is asked of 2025-06 [1]" in shown
    assert f"approved by {demo.ANSWER['approved_by']}" in shown


def test_a_failed_release_fails_the_demo() -> None:
    failed, shown = play(PlayedAirflow(failing=[(demo.RELEASE_DAG, "2025-06")]))
    assert failed
    assert f"why {demo.RELEASE_DAG} x.gate" in shown


def test_a_month_that_was_not_concluded_is_not_waited_for() -> None:
    _, shown = play(PlayedAirflow(silent=["2024-06"]))
    assert shown.count(f"{demo.RELEASE_DAG}: success") == 1


def test_dags_that_cannot_be_read_end_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlayedAirflow, "dag_ids", lambda _: set())
    monkeypatch.setattr(PlayedAirflow, "import_errors", lambda _: ["x.py: SyntaxError"])
    with pytest.raises(DemoError, match=r"x\.py: SyntaxError"):
        play(PlayedAirflow())


def test_no_change_for_long_ends_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "STALL_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(PlayedAirflow, "tasks_of", lambda _, runs: [(run, []) for run in runs])
    with pytest.raises(DemoError, match="no task has changed"):
        play(PlayedAirflow())


def test_another_sample_in_the_same_home_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    inputs = Inputs(0.02, 42, MONTHS, "a")
    refuse_other_inputs(settings, inputs)
    write_stamp(settings, inputs)
    assert json.loads((tmp_path / "demo.json").read_text())["scale"] == 0.02
    refuse_other_inputs(settings, inputs)
    with pytest.raises(DemoError, match="another scale"):
        refuse_other_inputs(settings, Inputs(1, 42, MONTHS, "a"))


def test_the_newest_reports_are_named_each_by_what_it_is(tmp_path: Path) -> None:
    names = ("2025-06.1.html", "2025-06.1.quality.html", "2025-12.1.html", "2025-12.1.quality.html")
    for age, name in enumerate(reversed(names)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    (tmp_path / "data_docs").mkdir()
    (tmp_path / "data_docs" / "index.html").touch()
    assert {name.split(" / ")[1]: path.name for name, path in latest_reports(tmp_path).items()} == {
        "month report": "2025-12.1.html",
        "data quality": "2025-12.1.quality.html",
    }
    assert latest_reports(tmp_path / "none") == {}
