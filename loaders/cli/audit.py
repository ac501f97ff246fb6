"""`nq42 audit`: what an auditor asks."""

from __future__ import annotations

from typing import Annotated

import typer

from loaders.cli.common import console, errors, plain_errors
from loaders.settings import get_settings

audit_app = typer.Typer(help="The audit trail.", no_args_is_help=True)


@audit_app.command("verify")
def audit_verify(
    head: Annotated[str | None, typer.Option(help="Chain head kept outside.")] = None,
) -> None:
    """Recompute the chain and the hashes of the landed files."""
    from loaders import audit
    from loaders.postgres.database import Role, connect

    with plain_errors(), connect(Role.AUDITOR) as connection:
        findings = audit.verify(connection, expected_head=head)
        findings += audit.verify_receipts(connection, get_settings().landing)
        latest = audit.head(connection)
    for finding in findings:
        errors.print(f"event {finding.seq}: {finding.what}", highlight=False, soft_wrap=True)
    if findings:
        raise typer.Exit(1)
    console.print(f"the audit trail is whole; head {latest}")
