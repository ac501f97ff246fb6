"""What a build tells of its models, by dbt itself on a small project of three."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from loaders.stages import build
from loaders.stages.dbt_results import SLOWEST, ModelRun, log_models
from tests.conftest import Warehouse

PROFILES = build.DBT_PROJECT / "profiles.yml"
GOOD = "select pg_sleep(0.3)::text as slept"
BROKEN = "select 1 / 0 as broken"


@pytest.fixture
def project(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Makes a project `first` ▶ `second` ▶ `third`, whose second model is given."""

    def make(second: str) -> None:
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "tests").mkdir(exist_ok=True)
        models = {
            "first": GOOD,
            "second": f"{second} from {{{{ ref('first') }}}}",
            "third": "select 1 as one from {{ ref('second') }}",
        }
        for name, text in models.items():
            (tmp_path / "models" / f"{name}.sql").write_text(text, encoding="utf-8")

    settings = "name: small\nprofile: nq42\nmodels: {+materialized: table}\n"
    (tmp_path / "dbt_project.yml").write_text(settings, encoding="utf-8")
    (tmp_path / "profiles.yml").write_text(PROFILES.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(build, "DBT_PROJECT", tmp_path)
    monkeypatch.setattr(build, "seed_reference", lambda: False)
    return make


def told(logs: list[Any]) -> dict[str, str]:
    return {line["model"]: line["status"] for line in logs if line["event"] == "model"}


def test_every_model_is_logged_with_its_seconds(project: Callable[[str], None]) -> None:
    project("select 2 as two")
    with structlog.testing.capture_logs() as logs:
        seconds = build._run_dbt("2025-06", ["2025-06"], "small")
    assert told(logs) == dict.fromkeys(("first", "second", "third"), "success")
    assert seconds == {line["model"]: line["seconds"] for line in logs if "model" in line}
    assert seconds["first"] >= 0.3
    assert next(iter(logs[-1]["models"])) == "first"


def test_a_broken_build_tells_what_ran_and_what_was_left_out(
    project: Callable[[str], None],
) -> None:
    project(BROKEN)
    with (
        structlog.testing.capture_logs() as logs,
        pytest.raises(build.BuildError, match=r"model\.small\.second"),
    ):
        build._run_dbt("2025-06", ["2025-06"], "small")
    assert told(logs) == {"first": "success", "second": "error", "third": "skipped"}


def test_a_killed_build_does_not_tell_of_the_one_before(
    project: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    project("select 2 as two")
    build._run_dbt("2025-06", ["2025-06"], "small")
    monkeypatch.setattr(build, "DBT", "import os; os.kill(os.getpid(), 9)")
    with structlog.testing.capture_logs() as logs, pytest.raises(build.BuildInterrupted):
        build._run_dbt("2025-06", ["2025-06"], "small")
    assert logs == []


def test_only_the_slowest_are_named_again() -> None:
    runs = [ModelRun(f"m{number}", "success", float(number)) for number in range(SLOWEST + 1)]
    with structlog.testing.capture_logs() as logs:
        log_models(runs)
    assert list(logs[-1]["models"]) == [f"m{number}" for number in range(SLOWEST, 0, -1)]
