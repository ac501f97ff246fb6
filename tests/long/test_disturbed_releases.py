"""A release is killed in each of its stages, and a restated month revises what depends on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap

from openpyxl import load_workbook

from loaders.audit import verify
from loaders.postgres.database import Role, connect
from loaders.stages.build import _run_dbt, drop_candidate
from loaders.stages.intake import import_dataset
from tests.end_to_end.conftest import MONTHS, Province, content, release

KILLED = """
    import os, signal, sys
    def die(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGKILL)
    import {module} as module
    module.{function} = die
    from tests.end_to_end.conftest import release
    release(sys.argv[1])
"""


def _killed(module: str, function: str) -> None:
    """Run the release stages in a process that dies by SIGKILL inside one of them."""
    script = textwrap.dedent(KILLED.format(module=module, function=function))
    killed = subprocess.run(
        [sys.executable, "-c", script, MONTHS[-1]],
        env=os.environ.copy(),
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]


def test_a_release_killed_in_each_stage_is_repeated_to_the_same_end(province: Province) -> None:
    """A restated month forces a new release; until it is out, readers see the old one."""
    before = content("marts")
    _restate_houses(province, drop=3)
    for module, function in (
        ("loaders.stages.build", "dbt"),
        ("loaders.stages.build", "_note_finished"),
        ("loaders.stages.gate.release", "write_rule_results"),
        ("loaders.stages.publish", "_switch"),
    ):
        _killed(module, function)
        assert content("marts") == before, module
    assert release(MONTHS[-1]).status == "published"
    disturbed = content("marts")
    assert disturbed != before
    # The same inputs again, undisturbed and computed anew from nothing but raw.
    candidate = _candidate_built_from_scratch()
    del disturbed["release_checksum"], disturbed["release_info"]  # made when it is published
    assert candidate == disturbed
    with connect(Role.AUDITOR) as connection:
        assert verify(connection) == []


def _candidate_built_from_scratch() -> dict[str, list[str]]:
    with connect(Role.BI) as connection:
        row = connection.execute("select candidate_id from marts.release_note").fetchone()
    assert row is not None
    _run_dbt(MONTHS[-1], list(MONTHS), row[0])
    found = content("candidate")
    drop_candidate()
    return found


def _restate_houses(province: Province, drop: int) -> None:
    """A new housing list of the newest month that leaves out one row."""
    folder = province.warehouse.inbox / "housing" / MONTHS[-1]
    path = folder / f"NhaTam_{MONTHS[-1].replace('-', '')}.xlsx"
    book = load_workbook(path)
    sheet = book["DanhSach"]
    sheet.delete_rows(8 + drop % 5)
    rows = 0
    for number in range(8, sheet.max_row + 1):
        first = next((c.value for c in sheet[number] if c.value is not None), None)
        if isinstance(first, str) and first.startswith("Tổng cộng"):
            for cell in sheet[number]:
                if cell.value == first:
                    cell.value = f"Tổng cộng: {rows}"
            break
        rows += 1
    book.save(path)
    note = {
        "data_label": "sample",
        "maturity": "final",
        "control_totals": {"rows": rows},
        "restatement": {"reason": "a household was struck from the list"},
    }
    path.with_name(path.name + ".delivery.json").write_text(json.dumps(note), "utf-8")
    result = import_dataset("housing", "temporary_houses", MONTHS[-1])
    assert result.status == "accepted", result


def test_a_restatement_revises_only_what_depends_on_it(province: Province) -> None:
    _restate_houses(province, drop=1)
    result = release(MONTHS[-1])
    assert result.status == "published"
    with connect(Role.AUDITOR) as connection:
        kpis = connection.execute(
            "select distinct kpi_id from publication.kpi_value where release_seq ="
            " (select max(release_seq) from publication.release)"
        ).fetchall()
    assert [kpi for (kpi,) in kpis] == ["temporary_houses_remaining"]
