"""Where two recorded values differ, path by path, in words for a finding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from loaders.audit.chain import Digits

SHOWN = 80
#: Nothing that is recorded is nested as deeply; what is cannot be walked through.
MAX_DEPTH = 60
_ABSENT = object()


def parse(text: str) -> dict[str, Any]:
    """A JSON object of the trail, numbers with a fraction in their digits.

    Raises:
        ValueError: it is not one, is nested beyond `MAX_DEPTH`, holds half a character, or names a
            key twice, of which a reader may see either.
    """
    try:
        value = json.loads(
            text,
            parse_float=Digits,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_deep(value):
        raise ValueError("nested too deeply")
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def differences(recorded: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Columns, and paths within them, whose value is not the recorded one; empty when all agree.

    A column that a later migration added is no change while it is empty.
    """
    later = {name for name in found.keys() - recorded.keys() if found[name] is None}
    kept = {name: value for name, value in found.items() if name not in later}
    return [
        f"{path}: {_shown(old)} → {_shown(new)}" for path, old, new in _walk("", recorded, kept)
    ]


def _walk(path: str, recorded: Any, found: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(recorded, dict) and isinstance(found, dict):
        for key in sorted(recorded.keys() | found.keys()):
            inner = f"{path}.{key}" if path else key
            yield from _walk(inner, recorded.get(key, _ABSENT), found.get(key, _ABSENT))
    elif isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        for number, pair in enumerate(zip(recorded, found, strict=True)):
            yield from _walk(f"{path}[{number}]", *pair)
    # True == 1 in Python, not in what was recorded.
    elif type(recorded) is not type(found) or recorded != found:
        yield path, recorded, found


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "(absent)"
    text = value if isinstance(value, Digits) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
