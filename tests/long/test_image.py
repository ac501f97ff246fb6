"""The build of the image, instruction by instruction in a folder: what it installs works alone.

No Docker engine is needed: the first stage copies files and runs commands, and the second only
takes the result over. What a base image would bring is this machine's Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from loaders.contracts.model import load_contracts
from loaders.settings import PROJECT_ROOT
from tests.conftest import TEST_KEY

TARGET = "/opt/nq42"


def instructions(stage: int) -> list[tuple[str, str]]:
    """Instruction and argument of a stage of the Dockerfile, in order."""
    text = (PROJECT_ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    lines = text.replace("\\\n", " ").splitlines()
    every = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    begins = [number for number, parts in enumerate(every) if parts[0] == "FROM"]
    ends = [*begins[1:], len(every)]
    return [(parts[0], parts[1]) for parts in every[begins[stage] + 1 : ends[stage]]]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that the image has as /opt/nq42."""
    root = tmp_path_factory.mktemp("image")
    known = {"ENV", "WORKDIR", "COPY", "RUN"}
    # How this machine reaches its package index is its own affair, as that of Docker's host is.
    ours = ("NQ42_", "AIRFLOW", "PYTHON", "VIRTUAL_ENV")
    outside = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    for instruction, argument in instructions(0):
        assert instruction in known, f"{instruction} is not understood here"
        if instruction == "WORKDIR":
            assert argument == TARGET
        elif instruction == "COPY":
            *sources, target = argument.split()
            for source in sources:
                origin = PROJECT_ROOT / source
                if origin.is_dir():
                    ignored = shutil.ignore_patterns("__pycache__", "target", "logs")
                    shutil.copytree(origin, root / target, ignore=ignored)
                else:
                    shutil.copy(origin, root / target)
        elif instruction == "RUN":
            done = subprocess.run(
                ["bash", "-euc", argument],
                cwd=root,
                env=outside | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr[-3000:]
    yield root
    shutil.rmtree(root)  # more than a gigabyte


def run(image: Path, *command: str, **variables: str) -> str:
    done = subprocess.run(
        [image / ".venv" / "bin" / command[0], *command[1:]],
        cwd="/",
        env={"PATH": f"{image}/.venv/bin:/usr/bin:/bin", "HOME": "/nonexistent", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout


def test_the_second_stage_takes_everything_over() -> None:
    copies = [argument for name, argument in instructions(1) if name == "COPY"]
    assert f"--from=build {TARGET} {TARGET}" in copies


def test_the_image_prepares_a_warehouse(image: Path, empty_database: URL, tmp_path: Path) -> None:
    """Everything that the stages need is in the image, and nothing of this folder is used."""
    address = empty_database.render_as_string(hide_password=False)
    said = run(
        image,
        "nq42",
        "setup",
        NQ42_DATABASE_URL=address,
        NQ42_HOME=str(tmp_path / "home"),
        NQ42_PSEUDONYM_KEY=TEST_KEY,
    )
    assert "warehouse is ready" in said
    place = run(image, "python", "-P", "-c", "import loaders; print(loaders.__file__)")
    assert place.strip() == str(image / "loaders" / "__init__.py")


def test_the_image_shows_every_dag(image: Path, tmp_path: Path) -> None:
    program = """
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder="dags")
print(bag.import_errors, *sorted(bag.dags), sep="\\n")
"""
    variables = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    program = program.replace('"dags"', repr(str(image / "dags")))
    lines = run(image, "python", "-c", program, PYTHONPATH=str(image), **variables).splitlines()
    imports = {f"import_{contract.source}" for contract in load_contracts()}
    assert "{}" in lines
    assert imports | {"build_and_publish"} <= set(lines)
