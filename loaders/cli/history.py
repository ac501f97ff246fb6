"""`nq42 audit asof` and `nq42 audit diff`: what was published, and what has changed since."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from loaders.cli.common import console, errors, plain_errors
from loaders.periods import TIMEZONE


def add_history(audit_app: typer.Typer) -> None:
    """Add the two commands to `nq42 audit`."""
    audit_app.command("asof")(audit_asof)
    audit_app.command("diff")(audit_diff)


def audit_asof(
    moment: Annotated[
        str | None,
        typer.Argument(
            metavar="DATE",
            help="A day (its end) or a time in Asia/Ho_Chi_Minh: 2026-01-31, '2026-01-31 14:30'.",
        ),
    ] = None,
    release: Annotated[
        str | None, typer.Option(help="Instead of a date: a release, such as 2025-07.2.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="New folder for one CSV file per mart.")] = None,
) -> None:
    """What was published on that day: every mart as it was, its hash against the manifest."""
    from loaders import publication
    from loaders.postgres.database import Role, connect

    with plain_errors(), connect(Role.AUDITOR) as connection:
        if (moment is None) == (release is None):
            raise ValueError("name either a date or --release")
        found = (
            publication.find_release(connection, release)
            if release
            else publication.release_at(connection, publication.parse_moment(str(moment)))
        )
        published = found.published_at.astimezone(TIMEZONE).isoformat(sep=" ", timespec="seconds")
        console.print(f"release {found.release_id}, published {published}", highlight=False)
        lost = []
        for mart in publication.give_back(connection, found, out):
            console.print(
                f"{mart.sha256}  {mart.mart}.csv  {mart.rows} rows", highlight=False, soft_wrap=True
            )
            if not mart.is_exact:
                lost.append(mart)
    for mart in lost:
        errors.print(
            f"marts.{mart.mart} of release {found.release_id}: the ledgers give sha256 "
            f"{mart.sha256}, the manifest says {mart.recorded_sha256}; run nq42 audit verify",
            highlight=False,
            soft_wrap=True,
        )
    if lost:
        raise typer.Exit(1)
    console.print("every mart is what was published", highlight=False)


def audit_diff(
    release_a: Annotated[str, typer.Argument(help="A release, such as 2025-06.1.")],
    release_b: Annotated[str, typer.Argument(help="Another one, earlier or later.")],
    csv: Annotated[
        Path | None, typer.Option(help="New file: every figure and verdict, with both values.")
    ] = None,
) -> None:
    """Every figure and verdict that differs between two releases, and why."""
    from loaders import publication
    from loaders.postgres.database import Role, connect
    from loaders.report import words

    with plain_errors(), connect(Role.AUDITOR) as connection:
        if csv is not None and csv.exists():
            raise ValueError(f"{csv} is there already: name a new file")
        difference = publication.Difference(
            publication.find_release(connection, release_a),
            publication.find_release(connection, release_b),
        )
        summary = publication.difference_summary(connection, difference)
        for line in publication.changed_inputs(connection, difference):
            console.print(line, highlight=False, soft_wrap=True)
        table = Table("", "KPI", "change", "cause", Column("number", justify="right"))
        for line in summary:
            causes = [
                words.text_of(words.CAUSES, cause)
                for cause in filter(None, line["causes"].split(","))
            ]
            table.add_row(
                line["what"],
                line["kpi_id"],
                line["change"],
                "; ".join(f"{one.vi} / {one.en}" for one in causes),
                f"{line['lines']:,}",
            )
        console.print(table if table.row_count else "no figure and no verdict differs")
        if csv is not None:
            part = csv.with_name(f"{csv.name}.part")
            with connection.cursor() as cursor, part.open("wb") as file:
                file.writelines(publication.difference_csv(cursor, difference))
            part.rename(csv)
            console.print(str(csv), highlight=False, soft_wrap=True)
