"""Any two releases compared: the lines, in either direction, and the command."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loaders.postgres.database import Role, connect
from loaders.publication import Difference, difference_csv, difference_summary, find_release
from loaders.settings import PROJECT_ROOT
from tests.integration.releases import HOUSES, KPI, STAFF, accept, accept_first_files, offer

pytestmark = pytest.mark.usefixtures("warehouse")


def test_any_two_releases_are_compared_in_either_order(tmp_path: Path) -> None:
    accept_first_files()
    first = offer("diff-1", {"numerator": 30, "value": "30.0"})
    accept(STAFF, "2025-06", "staff-for-diff", reason="one hospital more")
    offer("diff-2", {"numerator": 31, "value": 31})
    accept(HOUSES, "2025-07", "houses-for-diff")
    last = offer(
        "diff-3",
        {"numerator": 32, "value": 32},
        {"period": "2025-07", "value": "10.00", "caveat_en": "the same figure"},
        {"period": "2025-07", "kpi_id": "houses", "numerator": 40},
        parts={"model rate": "a9"},
        verdict={"verdict": "achieved", "current_value": 32},
    )
    lines = [
        ("figure", "houses", "2025-07", "restated_file", "10", "10", "10", "40", ""),
        ("figure", KPI, "2025-06", "restated_file,definition", "30.0", "32", "30", "32", ""),
        ("verdict", KPI, "2025-06", "restated_file,definition", "", "32", "", "", "achieved"),
    ]
    assert sorted(summary(difference(first, last))) == sorted(lines)
    turned = [(*row[:4], row[5], row[4], row[7], row[6], "limited_progress") for row in lines]
    assert sorted(summary(difference(last, first))) == sorted(
        row if row[0] == "verdict" else (*row[:8], "") for row in turned
    )
    assert difference(first, first) == []
    (line,) = (row for row in difference(first, last) if row["what"] == "verdict")
    assert "one hospital more" in line["evidence"] and "model rate" in line["evidence"]
    # The same through the command, with every changed input named once.
    target = tmp_path / "difference.csv"
    code, output = diff(first, last, "--csv", str(target))
    assert code == 0, output
    assert "reason: one hospital more" in output and "model rate: sha256 a → a9" in output
    assert "cơ quan gửi lại tệp / file sent again" in output
    assert len(target.read_text().splitlines()) == 4
    assert diff(first, last, "--csv", str(target))[0] == 1
    assert "there is no release 1999-01.1" in diff(first, "1999-01.1")[1]


def difference(a: str, b: str) -> list[dict[str, str]]:
    with connect(Role.AUDITOR) as connection, connection.cursor() as cursor:
        found = Difference(find_release(connection, a), find_release(connection, b))
        text = b"".join(difference_csv(cursor, found)).decode()
        counted = sum(line["lines"] for line in difference_summary(connection, found))
    lines = list(csv.DictReader(text.splitlines()))
    assert len(lines) == counted
    return lines


def summary(lines: list[dict[str, str]]) -> list[tuple[str, ...]]:
    names = ("what", "kpi_id", "period", "causes", "value_a", "value_b", "numerator_a")
    return [
        (*(line[name] for name in names), line["numerator_b"], line["verdict_b"]) for line in lines
    ]


def diff(*arguments: str) -> tuple[int, str]:
    """Exit code and output of `nq42 audit diff`."""
    done = subprocess.run(
        [sys.executable, "-m", "loaders.cli", "audit", "diff", *arguments],
        cwd=PROJECT_ROOT,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr
