"""JSON with exact numbers: a decimal is written in its own digits, never by way of a float."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from loaders.exports.tables import plain


def json_text(value: Any) -> str:
    """The text of a value; keys in the order that they have.

    Raises:
        TypeError: a value that JSON has no form for.
    """
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return f'"{value.astimezone(UTC).isoformat().removesuffix("+00:00")}Z"'
    if isinstance(value, date):
        return f'"{value.isoformat()}"'
    if isinstance(value, Mapping):
        members = (f"{json_text(key)}:{json_text(item)}" for key, item in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",\n".join(map(json_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def json_object(frame: pl.DataFrame, names: Sequence[str]) -> pl.Expr:
    """One JSON object per row: what :func:`json_text` writes, a whole column at a time."""
    members = [
        pl.lit(json_text(name) + ":") + _json_cells(frame[name]).fill_null("null") for name in names
    ]
    return pl.lit("{") + pl.concat_str(members, separator=",") + "}"


def _json_cells(column: pl.Series) -> pl.Expr:
    cells = pl.col(column.name)
    if column.dtype.is_integer() or column.dtype == pl.Boolean:
        return cells.cast(pl.String)
    if column.dtype.is_decimal():
        shortest = cells.cast(pl.String).str.replace(r"(\.\d*?)0+$", "$1")
        return shortest.str.strip_suffix(".")
    # A text, or a day, occurs many times.
    known = {value: json_text(value) for value in column.drop_nulls().unique()}
    return cells.replace_strict(known, default=None, return_dtype=pl.String)


def write_json(path: Path, value: Any) -> None:
    path.write_text(json_text(value) + "\n", encoding="utf-8")
