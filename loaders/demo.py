"""The demo: the invented province's extracts through Airflow to published releases."""

from __future__ import annotations

import datetime as dt
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from loaders import airflow_service
from loaders.airflow_api import FAILED_TASK, WAITING_TASK, AirflowApi, Run, TaskRun
from loaders.contracts.model import load_contracts
from loaders.demo_inputs import (
    DemoError,
    Inputs,
    generator_hash,
    is_published,
    refuse_other_inputs,
    write_stamp,
)
from loaders.postgres import embedded
from loaders.settings import Settings, get_settings

MONTHS = ("2024-12", "2025-06", "2025-12")
RELEASE_DAG = "build_and_publish"
IMPORT_TASKS = ("take", "take_one", "conclude")
RELEASE_TASKS = ("build", "gate", "approve", "publish", "export")
#: Who answers for the warnings of invented data, and why: nobody has to look at them.
ANSWER = {
    "approved_by": "Nguyễn Văn Mẫu",
    "reason": "Dữ liệu mẫu, không dùng để đánh giá / sample data, not for use",
}
POLL_SECONDS = 2
DAGS_TIMEOUT_SECONDS = 120
#: No task may change its state for this long: at full scale the longest takes some minutes.
STALL_TIMEOUT_SECONDS = 1800


def run_demo(scale: float = 0.02, seed: int = 42, months: Sequence[str] = MONTHS) -> int:
    """Sample files → Airflow → releases; 0 when every month is published and nothing failed.

    The second run with the same inputs finds everything published and says so.
    """
    console, settings = Console(), get_settings()
    settings.require_pseudonym_key()
    started = time.monotonic()
    try:
        with _services(settings):
            inputs = Inputs(scale, seed, tuple(months), generator_hash())
            refuse_other_inputs(settings, inputs)
            if is_published(settings, inputs):
                console.print(
                    "[green]Nothing to do:[/green] these months are published from these very "
                    f"files (scale {scale:g}, seed {seed})."
                )
                failed = False
            else:
                failed = _run(console, settings, inputs)
            if not failed:
                _show(console, settings)
    except (DemoError, airflow_service.AirflowServiceError) as error:
        console.print(f"[red]The demo stopped:[/red] {error}", highlight=False)
        return 1
    seconds = time.monotonic() - started
    if failed:
        console.print(f"[red]Some tasks failed, see above[/red] ({seconds:.0f} s).")
        return 1
    console.print(f"[green]Done[/green] in {seconds:.0f} s. Next: `nq42 up` for Airflow's pages.")
    return 0


@contextmanager
def _services(settings: Settings) -> Iterator[None]:
    """Stops at the end what was not running before."""
    airflow = airflow_service.status(settings) is not None
    postgres = embedded.status(settings.home).running
    # Without this a TERM ends the process on the spot and leaves everything running.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if not airflow:
            airflow_service.stop(settings)
        if not postgres:
            embedded.stop(settings.home)


def _run(console: Console, settings: Settings, inputs: Inputs) -> bool:
    """Prepare everything and run the months; True when a task failed."""
    from loaders.sample import generate
    from loaders.stages.setup import prepare_warehouse

    now = dt.datetime.now(dt.UTC)
    with progress_bars(console) as progress, ThreadPoolExecutor(1) as background:
        # Airflow mostly waits for itself while it starts: the rest is prepared meanwhile.
        starting = background.submit(airflow_service.up, settings, schedules_start=now)
        with _step(progress, "PostgreSQL, schemas, geography, programme"):
            prepare_warehouse()
        with _step(progress, f"sample extracts, scale {inputs.scale:g}"):
            generate(
                list(inputs.months),
                inputs.scale,
                inputs.seed,
                settings.inbox,
                settings.home / "truth",
            )
            write_stamp(settings, inputs)
        with _step(progress, "Airflow"):
            service = starting.result()
        with AirflowApi(service) as api:
            return MonthRuns(api, progress, inputs.months, f"{now:%Y%m%dT%H%M%S}").run()


@contextmanager
def _step(progress: Progress, name: str) -> Iterator[None]:
    """A moving bar while the block runs, then a line with its seconds."""
    started, bar = time.monotonic(), progress.add_task(name, total=None)
    try:
        yield
    finally:
        progress.remove_task(bar)
    progress.console.print(f"{name}: {time.monotonic() - started:.0f} s", highlight=False)


def progress_bars(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
    )


class MonthRuns:
    """Runs the months through Airflow.

    The imports of a month start when those of the month before have ended, while that month is
    built and published: two cores have no room for more, and releases come in order.
    """

    def __init__(
        self, api: AirflowApi, progress: Progress, months: Sequence[str], mark: str
    ) -> None:
        self.api, self.progress, self.months, self.mark = api, progress, months, mark
        self.imports = [f"import_{contract.source}" for contract in load_contracts()]
        total = len(self.imports) * len(IMPORT_TASKS) + len(RELEASE_TASKS)
        self.bars = {m: progress.add_task(m, total=total, start=False) for m in months}
        self.runs: dict[str, dict[str, Run]] = {month: {} for month in months}
        self.known: set[str] = set()
        self.answered: set[str] = set()
        self.seen: dict[tuple[str, str, str], str | None] = {}
        self.changed_at = time.monotonic()

    def run(self) -> bool:
        """Run all months; True when a task failed.

        Raises:
            DemoError: Airflow cannot read the DAGs, or nothing happens any more.
        """
        self.wait_for_dags()
        self.known = {run.run_id for run in self.api.runs(RELEASE_DAG)}
        waiting = list(self.months)
        while True:
            imported = all(
                run.is_finished
                for runs in self.runs.values()
                for run in runs.values()
                if run.dag_id != RELEASE_DAG
            )
            if waiting and imported:
                self._start(waiting.pop(0))
            self._poll()
            if not waiting and all(self._is_done(month) for month in self.months):
                return any(run.state == "failed" for r in self.runs.values() for run in r.values())
            if time.monotonic() - self.changed_at > STALL_TIMEOUT_SECONDS:
                raise DemoError(f"no task has changed for {STALL_TIMEOUT_SECONDS} s")
            time.sleep(POLL_SECONDS)

    def wait_for_dags(self) -> None:
        wanted = {*self.imports, RELEASE_DAG}
        deadline = time.monotonic() + DAGS_TIMEOUT_SECONDS
        while missing := wanted - self.api.dag_ids():
            if errors := self.api.import_errors():
                raise DemoError("Airflow cannot read a DAG file:\n" + "\n".join(errors))
            if time.monotonic() > deadline:
                raise DemoError(f"Airflow does not show {', '.join(sorted(missing))}")
            time.sleep(0.5)

    def _start(self, month: str) -> None:
        for dag_id in self.imports:
            run = self.api.trigger(dag_id, month, f"demo_{month}_{self.mark}")
            self.runs[month][dag_id] = run
        self.progress.start_task(self.bars[month])

    def _is_done(self, month: str) -> bool:
        runs = self.runs[month]
        if not runs or not all(run.is_finished for run in runs.values()):
            return False
        # A month that some source did not conclude is never released. It is skipped where all is
        # taken: then the month is announced already.
        concluded = all(
            self.seen.get((run.dag_id, run.run_id, "conclude")) in ("success", "skipped")
            for run in runs.values()
            if run.dag_id != RELEASE_DAG
        )
        return RELEASE_DAG in runs or not concluded

    def _poll(self) -> None:
        for run in self.api.runs(RELEASE_DAG):
            if run.run_id not in self.known and run.period in self.runs:
                self.runs[run.period].setdefault(RELEASE_DAG, run)
        for month, runs in self.runs.items():
            if not runs or self._is_done(month):
                continue
            for run, tasks in self.api.tasks_of(list(runs.values())):
                self._note(month, runs[run.dag_id], run, tasks)
            self._draw(month)

    def _note(self, month: str, before: Run, run: Run, tasks: list[TaskRun]) -> None:
        self.runs[month][run.dag_id] = run
        for task in tasks:
            key = (run.dag_id, run.run_id, task.name)
            if self.seen.get(key) != task.state:
                self.seen[key] = task.state
                self.changed_at = time.monotonic()
            if task.state == WAITING_TASK and run.run_id not in self.answered:
                self.answered.add(run.run_id)
                self._answer(month, run, task)
        if run.is_finished and not before.is_finished:
            colour = "green" if run.state == "success" else "red"
            seconds = sum(task.seconds or 0 for task in tasks)
            self.progress.console.print(
                f"{month} {run.dag_id}: [{colour}]{run.state}[/{colour}], "
                f"{len(tasks)} tasks, {seconds:.0f} s",
                highlight=False,
            )
            for task in tasks:
                self._explain(run, task)

    def _answer(self, month: str, run: Run, task: TaskRun) -> None:
        """Approve what the release gate lets wait, as a person would on Airflow's page."""
        show = partial(self.progress.console.print, markup=False, highlight=False, soft_wrap=True)
        show(f"{month} {run.dag_id}: {task.task_id} asks a person")
        for line in self.api.question(run, task).splitlines():
            show(f"    {line}")
        self.api.answer(run, task, "Approve", ANSWER)
        show(f"  approved by {ANSWER['approved_by']}: {ANSWER['reason']}")

    def _explain(self, run: Run, task: TaskRun) -> None:
        """Say why a task failed; one that only follows a failed one needs no word."""
        if task.state != FAILED_TASK[0]:
            return
        self.progress.console.print(f"  [red]{escape(task.name)} failed[/red]:", highlight=False)
        for line in self.api.log_tail(run, task):
            self.progress.console.print(
                f"    {line}", markup=False, highlight=False, soft_wrap=True
            )

    def _draw(self, month: str) -> None:
        run_ids = {run.run_id for run in self.runs[month].values()}
        mine = {key: state for key, state in self.seen.items() if key[1] in run_ids}
        done = sum(TaskRun("", state, 0, None).is_finished for state in mine.values())
        running = [f"{key[0]}.{key[2]}" for key, state in mine.items() if state == "running"]
        shown = ", ".join(name.removeprefix("import_") for name in sorted(running)[:2])
        self.progress.update(
            self.bars[month],
            completed=done,
            description=f"{month} {'published' if self._is_done(month) else shown}",
        )


def _show(console: Console, settings: Settings) -> None:
    """The published scorecard, and where the reports are."""
    from loaders.report import show_scorecard

    show_scorecard(console)
    for name, path in latest_reports(settings.reports).items():
        console.print(f"{name}: {path}", highlight=False, soft_wrap=True)


def latest_reports(folder: Path) -> dict[str, Path]:
    """The newest month report and the newest quality report of a folder, by what they are."""
    written = sorted(folder.glob("*.html"), key=lambda path: path.stat().st_mtime)
    quality = [path for path in written if path.name.endswith(".quality.html")]
    month = [path for path in written if path not in quality]
    kinds = {"Báo cáo tháng / month report": month, "Chất lượng dữ liệu / data quality": quality}
    return {name: paths[-1] for name, paths in kinds.items() if paths}
