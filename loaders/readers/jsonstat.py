"""JSON-stat tables as a PX-Web service returns them, one row per cell of the cube."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from loaders.readers.base import Limits, ReaderError, Table
from loaders.readers.rows import (
    VALUE_HEADER,
    Item,
    batches,
    check_cube,
    check_held_size,
    fold,
)


def read_jsonstat(path: Path, limits: Limits) -> Table:
    """Open a json-stat 1.x answer (``{"dataset": {…}}``) or a bare 2.0 dataset.

    Headers are the dimension names plus ``value``; labels keep the office's words with runs of
    spaces folded, numbers the digits of the answer. The office ends some answers with NUL bytes:
    they are no part of the text. A table is one published answer of some thousand cells, so it
    is held whole.

    Raises:
        ReaderError: not JSON, no cube in it, or a cube whose size and values disagree.
    """
    check_held_size(path.stat().st_size, limits)
    document = _document(path.read_bytes().rstrip(b"\x00 \r\n\t"))
    cube = document.get("dataset", document) if isinstance(document, dict) else None
    if not isinstance(cube, dict) or "dimension" not in cube or "value" not in cube:
        raise ReaderError("no json-stat dataset in the answer; fetch the table again")
    try:
        names, labels = _dimensions(cube)
    except ReaderError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ReaderError(
            "the dimensions of the json-stat dataset are not those of the format "
            f"({type(error).__name__}); fetch the table again"
        ) from error
    check_cube(names, limits)
    values = _values(cube["value"], math.prod(len(column) for column in labels), limits)
    headers = [*names, VALUE_HEADER]
    return Table(headers=headers, batches=batches(headers, _rows(labels, values), limits))


def _document(content: bytes) -> Any:
    try:
        text = content.decode("utf-8-sig")
        # Numbers stay as printed: 1.10 is no 1.1, and no digit of a long one is lost.
        document = json.loads(text, parse_float=str, parse_int=str, parse_constant=_no_number)
        if "\\u" in text:
            # Half a surrogate pair is valid JSON and no text.
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else error
        raise ReaderError(f"not JSON ({reason}); fetch the table again") from error
    return document


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _dimensions(cube: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    dimension = cube["dimension"]
    names = dimension.get("id") or cube.get("id")
    if not isinstance(names, list) or not names:
        raise ReaderError("the json-stat dataset names no dimensions; fetch the table again")
    labels = []
    for name in names:
        category = dimension[name]["category"]
        texts = category.get("label", {})
        index = category.get("index") or list(texts)
        keys = index if isinstance(index, list) else sorted(index, key=lambda k: int(index[k]))
        labels.append([fold(texts.get(key, key)) for key in keys])
    return [fold(name) for name in names], labels


def _values(values: Any, cells: int, limits: Limits) -> list[Any] | dict[str, Any]:
    """The values as they came, a list or position → value, held against the size of the cube."""
    if cells > limits.max_rows:
        raise ReaderError(
            f"the dimensions span {cells} cells, {limits.max_rows} are allowed; fetch a smaller "
            "table, or raise max_rows in the contract"
        )
    if not isinstance(values, list | dict):
        raise ReaderError("the json-stat dataset has no values; fetch the table again")
    if isinstance(values, list) and len(values) != cells:
        raise ReaderError(
            f"the dimensions span {cells} cells but {len(values)} values came: the answer was cut "
            "off; fetch the table again"
        )
    if isinstance(values, dict):
        outside = [k for k in values if not (k.isascii() and k.isdigit() and len(k) < 18)]
        outside = outside or [k for k in values if int(k) >= cells]
        if outside:
            raise ReaderError(
                f"the dimensions span {cells} cells but a value has position {outside[0][:20]!r}: "
                "the answer is damaged; fetch the table again"
            )
    for value in values.values() if isinstance(values, dict) else values:
        if not isinstance(value, str | None):
            raise ReaderError(
                f"a value of the json-stat dataset is a {type(value).__name__}, not a number; "
                "fetch the table again"
            )
    return values


def _rows(labels: list[list[str]], values: list[Any] | dict[str, Any]) -> Iterator[Item]:
    """Cells in row-major order; the sparse form leaves cells out."""
    for position, key in enumerate(product(*labels)):
        value = values.get(str(position)) if isinstance(values, dict) else values[position]
        yield position + 1, "", [*key, value]
