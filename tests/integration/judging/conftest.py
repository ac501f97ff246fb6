"""Suites that a test may change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loaders.quality import suites
from loaders.quality.suites import EXPECTATIONS_DIR, get_suite
from tests.integration.judging.month import SUITE, UNIT_RULE, Change


@pytest.fixture
def change_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Edits a rule of a copy of the suites, which is in force until the end of the test."""
    folder = tmp_path / "expectations"
    shutil.copytree(EXPECTATIONS_DIR, folder)
    monkeypatch.setattr(suites, "EXPECTATIONS_DIR", folder)

    def change(edit: Change, rule_id: str = UNIT_RULE) -> None:
        path = folder / "intake" / f"{SUITE}.json"
        document = json.loads(path.read_text("utf-8"))
        edit(next(e for e in document["expectations"] if e["meta"]["id"] == rule_id))
        path.write_text(json.dumps(document), "utf-8")
        get_suite.cache_clear()

    yield change
    get_suite.cache_clear()
