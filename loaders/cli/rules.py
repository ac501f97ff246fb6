"""`nq42 rules`: every rule of both gates, and who answers for it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from loaders.cli.common import console, plain_errors


def rules(
    source: Annotated[str | None, typer.Option(help="Only rules of this source.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only rules of this dataset or mart.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list instead.")] = False,
    width: Annotated[int, typer.Option(help="Columns of the table; 0 takes the terminal.")] = 0,
) -> None:
    """List every rule of both gates: what it asks, how severe it is, its owner and origin."""
    with plain_errors():
        found = list_rules(source, dataset)
    if as_json:
        console.print_json(json.dumps(found, ensure_ascii=False))
        return
    table = Table(title=f"{len(found)} quy tắc / rules", show_lines=True)
    for heading in ("Quy tắc / Rule", "Mức / Severity", "Nội dung / Meaning", "Nguồn / Origin"):
        table.add_column(heading, overflow="fold")
    for rule in found:
        table.add_row(
            f"{rule['id']} v{rule['version']}\n{rule['dataset']}",
            f"{rule['severity']}\n{rule['kind']}\n{rule['dimension']}",
            f"{rule['description_vi']}\n{rule['description_en']}",
            f"{rule['owner']}\n{rule['origin']}",
        )
    (Console(width=width) if width else console).print(table)


def list_rules(source: str | None = None, dataset: str | None = None) -> list[dict[str, Any]]:
    """Every rule as a record, in the order of suites and rules.

    ``source`` is None for the rules of marts, whose ``gate`` is ``release``.

    Raises:
        LookupError: no rule belongs to the source or dataset asked for.
    """
    from loaders.contracts.model import load_contracts
    from loaders.quality.suites import get_suite, suite_files

    names = {d.raw_table: (d.source, d.name) for c in load_contracts() for d in c.datasets}
    records = []
    for gate in ("intake", "release"):
        for path in suite_files(gate):  # type: ignore[arg-type]
            suite_source, name = names.get(path.stem, (None, path.stem))
            if source not in (None, suite_source) or dataset not in (None, name):
                continue
            for rule in get_suite(gate, path.stem).rules:  # type: ignore[arg-type]
                records.append(
                    {"gate": gate, "source": suite_source, "dataset": name}
                    | {"severity": rule.severity}
                    | rule.meta.model_dump()
                    | {"limit": rule.expected}
                )
    if not records:
        known = ", ".join(sorted({source for source, _ in names.values()}))
        raise LookupError(f"no rule of source {source}, dataset {dataset}; sources: {known}")
    return records
