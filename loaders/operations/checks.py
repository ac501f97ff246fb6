"""What a check of `nq42 doctor` answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what was looked at, in Vietnamese and English, such as "dung lượng / disk".
        found: what there is.
        fix: what to do; empty when nothing is wrong.
    """

    name: str
    status: Status
    found: str
    fix: str = ""


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """The check's answer; what it did not expect is an error too, and stops no other check."""
    try:
        return check()
    except Exception as error:
        fix = "read docs/runbook.md#doctor_error; what the check needs could not be read"
        return Check(name, "error", f"{type(error).__name__}: {error}".strip(), fix)
