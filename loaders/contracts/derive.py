"""What follows from a contract: tables, dbt sources and the data dictionary."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml
from psycopg import sql

from loaders.contracts.model import LINEAGE_COLUMNS, Contract, Dataset

GENERATED = "# Generated from the contract by `nq42 contracts derive`; edit the contract instead.\n"


def table_columns(dataset: Dataset) -> dict[str, str]:
    """Column name → PostgreSQL type, contract columns first, lineage columns last."""
    own = {column.name: column.physical_type for column in dataset.loaded_columns}
    return own | LINEAGE_COLUMNS


def column_list(columns: dict[str, str]) -> sql.Composed:
    """``"name" type, …`` for CREATE TABLE."""
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
        for name, kind in columns.items()
    )


def raw_table_ddl(dataset: Dataset) -> list[sql.Composable]:
    """Statements that create the raw table, partitioned by period, with its comments."""
    table = sql.Identifier("raw", dataset.raw_table)
    statements: list[sql.Composable] = [
        sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}) PARTITION BY LIST (_period)").format(
            table, column_list(table_columns(dataset))
        ),
        sql.SQL("COMMENT ON TABLE {} IS {}").format(
            table, sql.Literal(f"{dataset.title_vi} / {dataset.description} {dataset.grain}")
        ),
    ]
    statements += [
        sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
            table,
            sql.Identifier(column.name),
            sql.Literal(f"{column.label_vi} / {column.description}"),
        )
        for column in dataset.loaded_columns
    ]
    return statements


def dbt_sources(contract: Contract) -> str:
    """The dbt source YAML of one contract."""
    tables = [
        {
            "name": dataset.name,
            "identifier": dataset.raw_table,
            "description": f"{dataset.title_vi}. {dataset.description} {dataset.grain}",
            "columns": [
                {
                    "name": column.name,
                    "data_type": column.physical_type,
                    "description": f"{column.label_vi}. {column.description}",
                }
                for column in dataset.loaded_columns
            ],
        }
        for dataset in sorted(contract.datasets, key=lambda dataset: dataset.name)
    ]
    document = {
        "version": 2,
        "sources": [
            {
                "name": contract.source,
                "schema": "raw",
                "description": f"{contract.title_vi} / {contract.title_en}. {contract.purpose}",
                "tables": tables,
            }
        ],
    }
    return GENERATED + yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=100)


def data_dictionary(contracts: Iterable[Contract]) -> str:
    """The data dictionary as Markdown, Vietnamese labels first."""
    lines = [
        "<!-- Generated from the contracts by `nq42 contracts derive`; edit the contracts. -->",
        "# Từ điển dữ liệu / Data dictionary",
        "",
    ]
    for contract in contracts:
        lines += [f"## {contract.title_vi} / {contract.title_en}", "", contract.purpose, ""]
        lines += [f"Limits: {contract.limitations}", ""]
        for dataset in contract.datasets:
            lines += [
                f"### `raw.{dataset.raw_table}`: {dataset.title_vi}",
                "",
                f"{dataset.description} {dataset.grain}",
                "",
                "| column | nhãn | type | class | in the file | protection | meaning |",
                "|---|---|---|---|---|---|---|",
            ]
            for column in dataset.columns:
                header = (column.extension.header or "—").replace("|", "\\|")
                kind = column.physical_type if column.is_loaded else "not loaded"
                lines.append(
                    f"| `{column.name}` | {column.label_vi} | {kind} | {column.classification} "
                    f"| {header} | {column.extension.privacy.action} | {column.description} |"
                )
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def derived_files(contracts: Iterable[Contract], root: Path) -> dict[Path, str]:
    """Path → content of every file generated from the contracts."""
    contracts = list(contracts)
    files = {
        root / f"dbt_project/models/staging/{c.source}/_{c.source}__sources.yml": dbt_sources(c)
        for c in contracts
    }
    files[root / "docs/data_dictionary.md"] = data_dictionary(contracts)
    return files
