"""Starting points for a new source and a new KPI: files that pass every check as they are."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

NAME = re.compile(r"^[a-z][a-z0-9_]{2,40}$")
TEMPLATES = Path(__file__).parent / "templates"
LIST_END = "    {{ return(kpis) }}\n"


class ScaffoldError(ValueError):
    """Nothing was written; the message says what to change."""


def new_source(root: Path, source: str, dataset: str) -> list[Path]:
    """Contract, suite, examples and staging model of a source with one dataset by commune.

    Returns:
        The files written, relative to the project.

    Raises:
        ScaffoldError: a name that is none, or a file that is there already.
    """
    _check_names(source=source, dataset=dataset)
    staging = f"dbt_project/models/staging/{source}"
    return _write(
        root,
        {
            f"loaders/contracts/{source}.yaml": "source/contract.yaml",
            f"expectations/intake/{source}__{dataset}.json": "source/suite.json",
            f"tests/guards/rules/{source}__{dataset}.yaml": "source/examples.yaml",
            f"{staging}/stg_{source}__{dataset}.sql": "source/staging.sql",
            f"{staging}/_{source}__models.yml": "source/models.yml",
        },
        source=source,
        dataset=dataset,
    )


def new_kpi(root: Path, kpi_id: str, source: str, dataset: str) -> list[Path]:
    """Model, worked example and registry entry of a KPI of the register; it becomes computed.

    Raises:
        ScaffoldError: no such KPI in the register, no such dataset, or files that are there.
    """
    _check_names(kpi_id=kpi_id, source=source, dataset=dataset)
    staging = root / f"dbt_project/models/staging/{source}/stg_{source}__{dataset}.sql"
    if not staging.exists():
        raise ScaffoldError(f"no staging model {staging.name}: make the source first")
    register = root / "dbt_project/seeds/programme_kpi.csv"
    lines = register.read_text(encoding="utf-8").splitlines(keepends=True)
    header = next(csv.reader(lines[:1]))
    position = next((i for i, line in enumerate(lines) if line.startswith(f"{kpi_id},")), None)
    if position is None:
        raise ScaffoldError(f"{register.name} has no row {kpi_id}: the programme does not name it")
    models = "dbt_project/models/kpi"
    written = _write(
        root,
        {
            f"{models}/kpi__{kpi_id}.sql": "kpi/model.sql",
            f"{models}/_kpi__models_{kpi_id}.yml": "kpi/models.yml",
            f"{models}/_kpi__unit_tests_{kpi_id}.yml": "kpi/unit_tests.yml",
            f"dbt_project/macros/kpis/{kpi_id}.sql": "kpi/macro.sql",
        },
        kpi_id=kpi_id,
        source=source,
        dataset=dataset,
    )
    row = dict(zip(header, next(csv.reader([lines[position]])), strict=True))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, header, lineterminator="\n")
    writer.writerow(row | {"register_state": "computed", "source_dataset": f"{source}.{dataset}"})
    lines[position] = buffer.getvalue()
    register.write_text("".join(lines), encoding="utf-8")
    registry = root / "dbt_project/macros/kpi.sql"
    text = registry.read_text(encoding="utf-8")
    entry = f"    {{% do kpis.update(kpis_{kpi_id}()) %}}\n"
    registry.write_text(text.replace(LIST_END, entry + LIST_END, 1), encoding="utf-8")
    return [*written, register.relative_to(root), registry.relative_to(root)]


def _check_names(**names: str) -> None:
    for what, name in names.items():
        if not NAME.match(name):
            raise ScaffoldError(
                f"{what} {name!r}: small letters, digits and _, beginning with a letter"
            )


def _write(root: Path, files: dict[str, str], **values: str) -> list[Path]:
    """All files or none."""
    # dbt's own braces stay as they are.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  files of the project, no HTML
    )
    there = [name for name in files if (root / name).exists()]
    if there:
        raise ScaffoldError(f"{there[0]} is there already; nothing was written")
    for name, template in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = environment.get_template(template).render(**values)
        path.write_text(text, encoding="utf-8")
    return [Path(name) for name in files]
