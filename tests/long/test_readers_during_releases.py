"""Fifty releases in a row under eight readers: no error, and never two releases as one picture."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from loaders.postgres.database import Role, conninfo
from loaders.settings import PROJECT_ROOT
from loaders.stages.publish import publish
from tests.candidates import make_candidate
from tests.conftest import Warehouse

RELEASES = 50
MANNERS = (
    "snapshot",
    "snapshot",
    "snapshot",
    "transaction",
    "transaction",
    "transaction",
    "statements",
    "statements",
)
MOST_SECONDS_OF_A_RELEASE = 5  # a release by itself takes a tenth of a second


def test_readers_see_one_release_at_a_time(warehouse: Warehouse, tmp_path: Path) -> None:
    password = warehouse.settings.bi_password
    assert password is not None
    address = conninfo(
        warehouse.url.set(username=str(Role.BI), password=password.get_secret_value())
    )
    _release(0)
    readers = []
    for number, manner in enumerate(MANNERS):
        command = [sys.executable, "-m", "tests.long.release_reader", address, manner]
        command.append(str(tmp_path / f"{number}.json"))
        readers.append(subprocess.Popen(command, stdin=subprocess.PIPE, cwd=PROJECT_ROOT))
    try:
        time.sleep(3)  # all have begun
        longest = max(_release(number) for number in range(1, RELEASES + 1))
    finally:
        for reader in readers:
            reader.communicate(timeout=60)
    found: list[dict[str, Any]] = [
        json.loads((tmp_path / f"{number}.json").read_text("utf-8"))
        for number in range(len(MANNERS))
    ]
    for manner, saw in zip(MANNERS, found, strict=True):
        print(manner, saw["looks"], "looks,", len(saw["seen"]), "releases, moved", saw["moved"])
    print(f"the longest release took {longest:.2f} s")
    for saw in found:
        assert saw["errors"] == [] and saw["mixed"] == []
        # Never back to an earlier one, and they did read while it was switched.
        numbers = [int(release.partition(".")[2]) for release in saw["seen"]]
        assert numbers == sorted(numbers) and len(numbers) > RELEASES / 5
    # Two statements by themselves may see two releases; whoever wants one picture asks in one.
    assert any(saw["moved"] for saw in found)
    assert longest < MOST_SECONDS_OF_A_RELEASE


def _release(number: int) -> float:
    name = f"turn-{number}"
    cells = [{"unit_code": f"{code}", "caveat_en": name} for code in range(21000, 21020)]
    make_candidate(name, cells, period="2025-07")
    started = time.monotonic()
    assert publish(name).status == "published"
    return time.monotonic() - started
