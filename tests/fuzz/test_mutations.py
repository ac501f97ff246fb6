"""Ten thousand damaged deliveries, other ones in each run, in processes that may die of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = 11_000
LOADS = 440
PEAK_MB = 1_500
#: What pytest is asked to run, and how many cases each of the processes side by side is given.
PROGRAM = """
import sys, pytest
from tests.peak import peak_mb
code = pytest.main(sys.argv[1:])
print("peak MB", peak_mb())
sys.exit(code)
"""


def started(path: str, folder: Path, **cases: int) -> subprocess.Popen[str]:
    options = ["-q", "-s", "-p", "no:xdist", f"--basetemp={folder}", "--log-level=WARNING"]
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", PROGRAM, *options, path],
        cwd=ROOT,
        env=os.environ | {name: str(number) for name, number in cases.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_no_damage_ends_otherwise_than_in_accounts_or_a_refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = "tests/mutations/test_mutations.py"
    runs = [
        started(half, tmp_path / "a", NQ42_MUTATION_CASES=CASES // 2),
        started(half, tmp_path / "b", NQ42_MUTATION_CASES=CASES // 2),
    ]
    outputs = [run.communicate()[0] for run in runs]
    for run, output in zip(runs, outputs, strict=True):
        # A process that died of a case left its bytes in the file `delivery` of its folder.
        assert run.returncode == 0, output[-20_000:]
        assert int(re.findall(r"peak MB (\d+)", output)[0]) < PEAK_MB
    ran = [int(re.findall(r"cases in all: (\d+)", output)[0]) for output in outputs]
    with capsys.disabled():
        print("\n".join(output[output.find("\n") :] for output in outputs))
        print(f"{sum(ran)} damaged deliveries")
    assert sum(ran) >= 10_000


def test_no_damage_reaches_the_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = started("tests/mutations/test_load.py", tmp_path / "loads", NQ42_MUTATION_LOADS=LOADS)
    output = run.communicate()[0]
    assert run.returncode == 0, output[-20_000:]
    ends = re.findall(r"^\.?(\w+: \{.*\})$", output, re.MULTILINE)
    with capsys.disabled():
        print("\n" + "\n".join(ends))
    assert len(ends) > 5
