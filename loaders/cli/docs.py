"""`nq42 docs`: documentation that is made from what ran."""

from __future__ import annotations

import typer

from loaders.cli.common import console, plain_errors

docs_app = typer.Typer(help="Documentation made from what ran.", no_args_is_help=True)


@docs_app.callback()
def _group() -> None:
    """Keep `quality` a verb of its own while it is the only one."""


@docs_app.command("quality")
def docs_quality() -> None:
    """Write Great Expectations' Data Docs, a site that needs no network."""
    from loaders.report.data_docs import write_data_docs

    with plain_errors():
        console.print(str(write_data_docs()), highlight=False, soft_wrap=True)
