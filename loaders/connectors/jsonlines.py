"""JSON Lines: one JSON object per line, UTF-8, numbers digit for digit as they came."""

from __future__ import annotations

import json
from typing import Any, NoReturn


class Number:
    """A number that a float would round: the digits as they were written."""

    __slots__ = ("digits",)

    def __init__(self, digits: str) -> None:
        self.digits = digits


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


#: json.loads keeps the last of two equal keys, rounds fractions and takes NaN, without a word.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=Number, parse_int=Number, parse_constant=_no_constant
)


def parse(content: bytes) -> Any:
    """The document in UTF-8 bytes, with or without a byte order mark.

    Raises:
        ValueError: no JSON, or more deeply nested than anything that is data.
    """
    try:
        return _DECODER.decode(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def line(record: dict[str, Any]) -> bytes:
    """A record as one compact line, keys in their order.

    Raises:
        ValueError: text that UTF-8 cannot hold (half of a surrogate pair), or nested too deeply.
    """
    try:
        return (_compact(record) + "\n").encode("utf-8")
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _compact(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_text(k)}:{_compact(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_compact, value)) + "]"
    if isinstance(value, Number):
        return value.digits
    return _text(value)


_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
