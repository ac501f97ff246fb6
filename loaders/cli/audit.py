"""`nq42 audit`: what an auditor asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loaders.cli.common import console, errors, plain_errors
from loaders.settings import get_settings

if TYPE_CHECKING:
    import psycopg

    from loaders.audit import Verification

audit_app = typer.Typer(help="Dấu vết kiểm toán / the audit trail.", no_args_is_help=True)


@audit_app.command("verify")
def audit_verify(
    head: Annotated[str | None, typer.Option(help="Chain head kept outside.")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Verify this archive; no database is asked.")
    ] = None,
    landing: Annotated[
        Path | None, typer.Option(help="Store of landed files, to go with --export.")
    ] = None,
) -> None:
    """Recompute the chain and compare all that it vouches for; every difference is named."""
    from loaders.audit import Verification
    from loaders.audit.archive import ExportTrail
    from loaders.audit.trail import DatabaseTrail

    with plain_errors():
        if export is not None:
            with ExportTrail(export) as trail:
                _report(Verification(trail, head, landing))
            return
        with _snapshot() as connection:
            store = landing or get_settings().landing
            _report(Verification(DatabaseTrail(connection), head, store))


@audit_app.command("export")
def audit_export(
    file: Annotated[Path, typer.Argument(help="ZIP file to write; it must not exist.")],
    until: Annotated[
        str | None, typer.Option(help="Release such as 2025-07.1; later ones are left out.")
    ] = None,
) -> None:
    """Write the whole trail to one file, which can be verified without this database."""
    from loaders.audit.export import export
    from loaders.audit.trail import DatabaseTrail

    with plain_errors(), _snapshot() as connection:
        if file.exists():
            raise ValueError(f"{file} is there already; name another file")
        index = export(DatabaseTrail(connection, until), file)
    console.print(f"{file}: {len(index['members'])} members, head {index['head']}", soft_wrap=True)
    console.print("Giữ riêng mã băm này / keep this hash outside.", soft_wrap=True)


@audit_app.command("head")
def audit_head() -> None:
    """Print the head of the chain now and at the latest release, for keeping outside."""
    from loaders.audit import RELEASE_EVENT

    with plain_errors(), _snapshot() as connection:
        rows = connection.execute(
            """
            (
                select 'hiện tại / now' as label, seq, at, hash
                from audit.event
                order by seq desc
                limit 1
            )
            union all
            (
                select
                    'bản phát hành / release ' || (payload -> 'row' ->> 'release_id'),
                    seq, at, hash
                from audit.event
                where kind = %s
                order by seq desc
                limit 1
            )
            order by seq desc
            """,
            (RELEASE_EVENT,),
        ).fetchall()
    if not rows:
        raise typer.Exit(1)
    for label, seq, at, digest in rows:
        console.print(f"{digest}  {label}, event {seq}, {at:%Y-%m-%d %H:%M:%S} UTC", soft_wrap=True)


@contextmanager
def _snapshot() -> Iterator[psycopg.Connection]:
    from loaders.audit.trail import open_snapshot
    from loaders.postgres.database import Role, connect

    with connect(Role.AUDITOR) as connection:
        open_snapshot(connection)
        yield connection


def _report(verification: Verification) -> None:
    """Print what was found, as it is found; exit 1 when anything was."""
    found = 0
    for finding in verification.findings():
        found += 1
        errors.print(finding.what, highlight=False, markup=False, soft_wrap=True)
    for name, count in sorted(verification.counts.items()):
        console.print(f"{count:>10}  {name}", highlight=False)
    for note in verification.notes:
        console.print(f"chú ý / note: {note}", highlight=False, soft_wrap=True)
    if found:
        errors.print(f"{found} sai lệch / findings", highlight=False)
        raise typer.Exit(1)
    console.print(
        f"Dấu vết còn nguyên vẹn / the audit trail is whole; head {verification.head}",
        highlight=False,
        soft_wrap=True,
    )
