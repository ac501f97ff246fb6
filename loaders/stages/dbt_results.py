"""What dbt did in one command, node by node, from the results it leaves behind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loaders.log import get_logger

#: How many of a build's models are named as its slowest.
SLOWEST = 10


@dataclass(frozen=True)
class ModelRun:
    """One model of a build; `status` is dbt's own: success, error or skipped."""

    name: str
    status: str
    seconds: float


def model_runs(results: Path) -> list[ModelRun]:
    """Every model that the command reached, in the order in which they ended; none without a file.

    A killed dbt leaves no results.
    """
    return [
        ModelRun(node["unique_id"].split(".")[2], node["status"], round(node["execution_time"], 3))
        for node in _nodes(results)
        if node["unique_id"].startswith("model.")
    ]


def log_models(runs: list[ModelRun]) -> None:
    """A line for each model, and one that names the slowest; nothing where nothing ran."""
    if not runs:
        return
    log = get_logger()
    for run in runs:
        log.info("model", model=run.name, status=run.status, seconds=run.seconds)
    slowest = sorted(runs, key=lambda run: run.seconds, reverse=True)[:SLOWEST]
    log.info("slowest models", models={run.name: run.seconds for run in slowest})


def failure(results: Path, output: str) -> str:
    """What failed, by name; the last lines of dbt's output when it left no results."""
    failed = [
        f"{node['unique_id']}: {str(node.get('message')).strip()[:500]}"
        for node in _nodes(results)
        if node["status"] in ("error", "fail")
    ]
    if not failed:
        failed = output.strip().splitlines()[-15:]
    return "dbt failed; the published release is unchanged:\n" + "\n".join(failed)


def _nodes(results: Path) -> list[dict[str, Any]]:
    if not results.exists():
        return []
    return list(json.loads(results.read_text(encoding="utf-8"))["results"])
