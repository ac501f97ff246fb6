"""Columns and datasets of a few cells, to test what a contract's options do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from loaders.conform import Conformed, Conformer
from loaders.contracts.model import Column, ColumnExtension, Dataset, get_dataset
from loaders.readers.base import TextBatch

KEY = b"a key of at least thirty-two bytes."


def column(logical_type: str, name: str = "x", **options: Any) -> Column:
    """An open column with a header of its own name; ``options`` of the column or its extension."""
    own = {
        key: options.pop(key)
        for key in ("required", "classification", "pattern", "minimum", "maximum", "enum")
        if key in options
    }
    defaults: dict[str, Any] = {
        "label_vi": name,
        "description": name,
        "required": False,
        "classification": "open",
        "pattern": None,
        "minimum": None,
        "maximum": None,
        "enum": (),
    }
    extension = ColumnExtension.model_validate({"header": name} | options)
    return Column(name=name, logical_type=logical_type, extension=extension, **defaults | own)


def dataset(*columns: Column) -> Dataset:
    known = get_dataset("social_insurance", "health_insurance_members")
    extension = known.extension.model_copy(update={"period_column": None})
    return replace(known, columns=columns, extension=extension)


def frame(**cells: list[str | None]) -> pl.DataFrame:
    height = len(next(iter(cells.values())))
    return pl.DataFrame(cells, schema=dict.fromkeys(cells, pl.String)).with_columns(
        pl.Series("_row_number", range(1, height + 1), dtype=pl.Int64),
        pl.lit("").alias("_sheet"),
    )


def conform(columns: list[Column], period: str = "2025-07", **cells: list[str | None]) -> Conformed:
    return Conformer(dataset(*columns), period, KEY).conform(TextBatch(frame(**cells)))
