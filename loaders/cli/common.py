"""What all commands share: the two consoles, plain errors, results as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console

console = Console()
errors = Console(stderr=True)


@contextmanager
def plain_errors() -> Iterator[None]:
    """An expected failure is one clear message and exit 1, not a traceback."""
    from loaders.airflow_config import AirflowServiceError
    from loaders.contracts.model import ContractError
    from loaders.postgres.embedded import EmbeddedServerError
    from loaders.quality.suites import SuiteError
    from loaders.report.pdf import ChromiumError
    from loaders.settings import SettingsError
    from loaders.stages.build import BuildError
    from loaders.stages.publish import PublishError

    try:
        yield
    except (
        AirflowServiceError,
        EmbeddedServerError,
        BuildError,
        ChromiumError,
        ContractError,
        KeyError,
        LookupError,
        PublishError,
        SettingsError,
        SuiteError,
        ValueError,
    ) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        errors.print(f"[red]nq42:[/red] {message}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error


def print_record(record: Any, *, failed: tuple[str, ...] = ()) -> None:
    """Print a stage record as JSON; exit 2 when its status says that the data were not taken."""
    console.print_json(json.dumps(record.to_dict(), ensure_ascii=False))
    if record.status in failed:
        raise typer.Exit(2)
