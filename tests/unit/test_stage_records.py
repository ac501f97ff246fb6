"""Stage records are JSON-safe."""

from __future__ import annotations

import json
from pathlib import Path

from loaders.stages.records import BuildResult, PublishResult


def test_records_become_plain_json() -> None:
    built = BuildResult("c1", "2025-06", "built", periods=("2024-06", "2025-06"))
    assert json.loads(json.dumps(built.to_dict()))["periods"] == ["2024-06", "2025-06"]
    published = PublishResult("r", "2025-06", "published", report_path=Path("a/b"))  # type: ignore[arg-type]
    assert published.to_dict()["report_path"] == "a/b"
