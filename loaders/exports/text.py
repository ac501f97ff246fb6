"""Text that a spreadsheet shows and never executes, and that comes back as it was.

Spreadsheets take a cell that begins with = + - @ for a formula, also behind blanks, and some drop a
tab or line break before they look. Where the list separator is a semicolon, as under Vietnamese
settings, what follows a semicolon within a text begins a cell of its own.
"""

from __future__ import annotations

import re

import polars as pl

MARK = "'"
#: Also in their full width, which East Asian settings read as the narrow ones.
STARTERS = "=+\\-@＝＋－＠"
#: What a spreadsheet may pass over before it looks; written out, so that both engines agree.
PASSED = ' "\t\r\n\f\v\u00a0\u2007\u200b\u202f\u3000\ufeff'
_AT_START = rf"^(?:[\t\r\n]|[{PASSED}]*[{STARTERS}{MARK}])"
_CELL_WITHIN = rf"([;\t\r\n][{PASSED}]*)"


def harmless(text: pl.Expr) -> pl.Expr:
    """An apostrophe before whatever a spreadsheet could execute, and before an apostrophe there."""
    within = text.str.replace_all(rf"{_CELL_WITHIN}([{STARTERS}{MARK}])", "${1}" + MARK + "${2}")
    return pl.when(within.str.contains(_AT_START)).then(pl.lit(MARK) + within).otherwise(within)


def original(text: str) -> str:
    """The text that :func:`harmless` made harmless."""
    return re.sub(_CELL_WITHIN + MARK, r"\1", text.removeprefix(MARK))
