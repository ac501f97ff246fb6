"""JSON-stat tables as a PX-Web service returns them, one row per cell of the cube."""

from __future__ import annotations

import json
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import polars as pl

from loaders.readers.base import ROW_NUMBER, SHEET, Limits, ReaderError, Table, TextBatch

VALUE_HEADER = "value"


def read_jsonstat(path: Path, limits: Limits) -> Table:
    """Open a json-stat 1.x answer (``{"dataset": {…}}``) or a bare 2.0 dataset.

    Headers are the dimension names plus ``value``; labels keep the office's words with runs of
    spaces folded. The office ends some answers with NUL bytes: they are no part of the text.
    A table is one published answer of some thousand cells, so it is read whole.

    Raises:
        ReaderError: not JSON, no cube in it, or a cube whose size and values disagree.
    """
    content = path.read_bytes().rstrip(b"\x00 \r\n\t")
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits is a ValueError, nesting without end the other.
        raise ReaderError(f"not JSON ({error}); fetch the table again") from error
    cube = document.get("dataset", document) if isinstance(document, dict) else None
    if not isinstance(cube, dict) or "dimension" not in cube or "value" not in cube:
        raise ReaderError("no json-stat dataset in the answer; fetch the table again")
    try:
        names, labels = _dimensions(cube)
        values = _values(cube["value"], [len(column) for column in labels], limits)
    except (AttributeError, KeyError, TypeError) as error:
        raise ReaderError(
            "the dataset is not built as json-stat says (dimension, category, index, value); fetch "
            "the table again"
        ) from error
    rows = [[*key, value] for key, value in zip(product(*labels), values, strict=True)]
    headers = [*names, VALUE_HEADER]
    if len(set(headers)) < len(headers):
        raise ReaderError(f"two columns have one name: {headers}; fetch the table again")
    frame = pl.DataFrame(
        rows, schema={header: pl.String for header in headers}, orient="row"
    ).with_columns(
        pl.Series(ROW_NUMBER, range(1, len(rows) + 1), dtype=pl.Int64),
        pl.lit("").alias(SHEET),
    )
    return Table(headers=headers, batches=iter([TextBatch(frame)]))


def _fold(label: str) -> str:
    return " ".join(label.split())


def _dimensions(cube: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    dimension = cube["dimension"]
    names = dimension.get("id") or cube.get("id")
    if not names:
        raise ReaderError("the json-stat dataset names no dimensions; fetch the table again")
    labels = []
    for name in names:
        category = dimension[name]["category"]
        index = category.get("index") or {key: i for i, key in enumerate(category["label"])}
        if isinstance(index, list):
            index = {key: i for i, key in enumerate(index)}
        keys = sorted(index, key=index.__getitem__)
        labels.append([_fold(category.get("label", {}).get(key, key)) for key in keys])
    return [_fold(name) for name in names], labels


def _values(values: Any, sizes: list[int], limits: Limits) -> list[str | None]:
    """Cell values in row-major order as text; the sparse form leaves cells out."""
    cells = prod(sizes)
    if cells > limits.max_rows:
        # The sparse form can claim any number of cells in a few bytes.
        raise ReaderError(
            f"the dimensions span {cells} cells, {limits.max_rows} rows are allowed; fetch a "
            "smaller table, or raise limits.max_rows in the contract"
        )
    if isinstance(values, dict):
        values = [values.get(str(position)) for position in range(cells)]
    if len(values) != cells:
        raise ReaderError(
            f"the dimensions span {cells} cells but {len(values)} values came: the answer was cut "
            "off; fetch the table again"
        )
    return [None if value is None else str(value) for value in values]
