"""Codes and periods in the forms that SDMX allows, each of which leads back to the original."""

from __future__ import annotations

import re

ALLOWED = re.compile(r"[A-Za-z0-9_@\-]")
FREQUENCIES = {"M": "Tháng / Month", "Q": "Quý / Quarter", "A": "Năm / Year"}


def sdmx_id(code: str) -> str:
    """A code as an SDMX identifier: every other character, and a sign at its start, as $ and hex.

    "60+" → "60$2B"; no identifier begins with a sign that a spreadsheet would execute.
    """
    found = []
    for number, character in enumerate(code):
        if ALLOWED.fullmatch(character) and not (number == 0 and character in "-@"):
            found.append(character)
        else:
            found.append("".join(f"${byte:02X}" for byte in character.encode()))
    return "".join(found)


def original_code(identifier: str) -> str:
    """The code that :func:`sdmx_id` made the identifier of."""
    parts = re.split(r"((?:\$[0-9A-F]{2})+)", identifier)
    return "".join(
        bytes.fromhex(part.replace("$", "")).decode() if part.startswith("$") else part
        for part in parts
    )


def sdmx_period(period: str) -> tuple[str, str]:
    """Frequency and SDMX time period; a school year is a year from September on.

    "2024-2025" → ("A", "2024-09-01/P1Y"). Months, quarters and years are written alike.
    """
    if len(period) == len("2024-2025"):
        return "A", f"{period[:4]}-09-01/P1Y"
    if len(period) == len("2024"):
        return "A", period
    return ("Q" if "Q" in period else "M"), period


def original_period(time_period: str) -> str:
    """The period that :func:`sdmx_period` wrote."""
    if time_period.endswith("/P1Y"):
        return f"{time_period[:4]}-{int(time_period[:4]) + 1}"
    return time_period
