"""How a column's cells are written: the options of a contract and what may not stand together."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Precision = Literal["year", "month", "day"]
PRECISIONS: tuple[Precision, ...] = ("year", "month", "day")
Mark = Literal[".", ","]
#: Directive of a date format → digits; two digits may be one where a separator stands beside.
DIRECTIVES = {"%Y": 4, "%y": 2, "%m": 2, "%d": 2, "%H": 2, "%M": 2, "%S": 2}
ISO = "%Y-%m-%d"
#: Readers whose number cells arrive with a decimal point, whatever the sheet shows.
NUMBER_CELL_READERS = ("xlsx", "jsonstat")

_SPACES = "[\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
_INVISIBLE = "[\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
#: The same for `re` and for polars: what has no width goes, what is space becomes one space.
FOLDS = ((_INVISIBLE, ""), (_SPACES, " "))


def fold(text: str) -> str:
    """One line of text in NFC, single spaces, nothing invisible."""
    for pattern, replacement in FOLDS:
        text = re.sub(pattern, replacement, text)
    return unicodedata.normalize("NFC", text).strip(" ")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UnitName(Strict):
    """The cell holds the name of an administrative unit; its code of that time is loaded.

    ``within``: column with the name or code of the unit above, where names stand twice.
    ``ignore_type``: accept "Xã X" although only "Phường X" exists on that day.
    """

    level: Literal["commune", "district", "province"]
    within: str | None = None
    ignore_type: bool = False

    @model_validator(mode="after")
    def _has_a_level_above(self) -> UnitName:
        if self.within and self.level == "province":
            raise ValueError("'within' does not go with level 'province': nothing stands above it")
        return self


class CellOptions(Strict):
    """How the agency writes the values of a column (docs/values.md has an example of each)."""

    #: One strptime format or several, of which at most one fits a cell.
    format: str | tuple[str, ...] | None = None
    #: Dates may also be day numbers of a workbook (1900 system).
    excel_serial: bool = False
    #: Two-digit years up to it are of the 2000s, later ones of the 1900s.
    pivot: int | None = Field(default=None, ge=0, le=99)
    #: Least precision that is accepted; without it that of the coarsest format.
    precision: Precision | None = None
    #: This column has no header: it says how precise the named date column's value is.
    precision_of: str | None = None
    decimal: Mark | tuple[Mark, ...] | None = None
    thousands: Literal[".", ",", " "] | None = None
    unit: Literal["percent"] | None = None
    negative: Literal["parentheses"] | None = None
    #: What the agency writes → the code that is loaded.
    codes: dict[str, str] = Field(default_factory=dict)
    unit_name: UnitName | None = None

    @field_validator("format", "decimal")
    @classmethod
    def _not_empty(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if value is not None and not value:
            raise ValueError("an empty list says nothing; leave the key out")
        return value

    @property
    def formats(self) -> tuple[str, ...]:
        if self.format is None:
            return () if self.excel_serial else (ISO,)
        return (self.format,) if isinstance(self.format, str) else self.format

    @property
    def decimals(self) -> tuple[str, ...]:
        return tuple(self.decimal) if self.decimal else (".",)

    @property
    def least_precision(self) -> Precision:
        """The coarsest precision that a value may have."""
        if self.precision:
            return self.precision
        return min(map(precision_of, self.formats), key=PRECISIONS.index, default="day")

    def code_of(self) -> dict[str, str]:
        """Folded lower-case spelling → code."""
        return {fold(written).lower(): code for written, code in self.codes.items()}


@dataclass(frozen=True)
class DateForm:
    """One way to write a date: ``guard`` must match, then ``lead + text`` parses by ``strptime``.

    ``two_digit``: the first group of ``guard`` is the year of a century, which is still to be put
    before ``lead`` ("19 " or "20 ").
    """

    guard: str
    lead: str
    strptime: str
    precision: Precision
    two_digit: bool


def _parts(form: str) -> list[str]:
    return re.findall(r"%.|[^%]", form, re.DOTALL)


def precision_of(form: str) -> Precision:
    if "%d" in form:
        return "day"
    return "month" if "%m" in form else "year"


def date_forms(options: CellOptions) -> list[DateForm]:
    """Every accepted way to write a date, parts that are unknown as "00" included."""
    least = PRECISIONS.index(options.least_precision)
    forms = []
    for form in options.formats:
        finest = PRECISIONS.index(precision_of(form))
        for index in range(finest, least - 1, -1):
            forms.append(_date_form(form, PRECISIONS[index]))
    return forms


def _date_form(form: str, precision: Precision) -> DateForm:
    unknown = {"year": ("%m", "%d"), "month": ("%d",), "day": ()}[precision]
    parts = ["00" if part in unknown else part for part in _parts(form)]
    guard = ""
    for before, part, after in zip(["", *parts], parts, [*parts[1:], ""], strict=False):
        digits = DIRECTIVES.get(part)
        if digits is None:
            guard += re.escape(part)
            continue
        joined = any(other == "00" or other in DIRECTIVES for other in (before, after))
        if part in ("%d", "%m"):
            # "00" is an unknown part, which has a form of its own.
            guard += f"(?:0{'' if joined else '?'}[1-9]|[1-9][0-9])"
        elif part == "%y":
            guard += "([0-9]{2})"
        else:
            guard += f"[0-9]{{{digits}}}" if joined or digits == 4 else "[0-9]{1,2}"
    lead, head = "", ""
    for directive in ("%d", "%m"):
        if directive not in parts:
            lead, head = lead + "01 ", head + directive + " "
    two_digit = "%y" in parts
    head = "%C " + head if two_digit else head
    return DateForm(f"^{guard}$", lead, head + "".join(parts), precision, two_digit)


def _shape(form: str) -> str:
    """What a format looks like when the digits have no name."""
    return "".join("#" * DIRECTIVES.get(part, 0) or part for part in _parts(form))


def _is_set(value: object) -> bool:
    return value is not None and value is not False and value != {}


def cell_problems(
    options: CellOptions, logical_type: str, enum: tuple[str, ...], action: str
) -> Iterator[tuple[str, str]]:
    """Pairs (option, reason) for what makes no sense in one column."""
    number = logical_type in ("number", "integer")
    kinds = {
        "format": (logical_type == "date", "a date"),
        "excel_serial": (logical_type == "date", "a date"),
        "pivot": (logical_type == "date", "a date"),
        "precision": (logical_type == "date", "a date"),
        "decimal": (logical_type == "number", "a number (an integer has no decimals)"),
        "thousands": (number, "a number or an integer"),
        "unit": (number, "a number or an integer"),
        "negative": (number, "a number or an integer"),
        "codes": (logical_type == "string", "a string"),
        "unit_name": (logical_type == "string", "a string"),
        "precision_of": (logical_type == "string", "a string"),
    }
    used = [option for option in kinds if _is_set(getattr(options, option))]
    for option in used:
        fits, kind = kinds[option]
        if not fits:
            yield option, f"goes with the logicalType of {kind}, this column is {logical_type!r}"
    texts = [option for option in ("codes", "unit_name", "precision_of") if option in used]
    if len(texts) > 1:
        yield texts[1], f"does not go with {texts[0]!r}: both say what is loaded"
    if texts and action != "keep":
        yield texts[0], f"does not go with privacy action {action!r}"
    if logical_type == "number" and options.thousands in options.decimals:
        mark = options.thousands
        yield "thousands", f"{mark!r} is the decimal mark too; declare the other one as 'decimal'"
    yield from _date_problems(options, logical_type)
    yield from _code_problems(options, enum)


def _date_problems(options: CellOptions, logical_type: str) -> Iterator[tuple[str, str]]:
    if logical_type != "date":
        return
    if options.format is None and not options.excel_serial:
        yield "format", "a date column states its format"
        return
    shapes: dict[str, str] = {}
    for form in options.formats:
        reason = _form_problem(form)
        if reason:
            yield "format", f"{form!r}: {reason}"
            continue
        other = shapes.setdefault(_shape(form), form)
        if other != form or options.formats.count(form) > 1:
            yield "format", f"{form!r} and {other!r} fit the same cells: the value would be a guess"
        if options.precision and PRECISIONS.index(precision_of(form)) < PRECISIONS.index(
            options.precision
        ):
            yield "precision", f"{form!r} can never be as precise as {options.precision!r}"
        if options.excel_serial and re.fullmatch("#{1,5}", _shape(form)):
            yield "excel_serial", f"a day number and {form!r} fit the same cells"
    if ("%y" in "".join(options.formats)) != (options.pivot is not None):
        yield "pivot", "goes with a format of two-digit years (%y), and only with it"


def _form_problem(form: str) -> str | None:
    directives = [part for part in _parts(form) if part.startswith("%")]
    unknown = sorted(set(directives) - set(DIRECTIVES))
    if unknown:
        return f"unknown directive {unknown[0]!r}; known: {', '.join(DIRECTIVES)}"
    if len(set(directives)) != len(directives) or {"%Y", "%y"} <= set(directives):
        return "a part stands twice"
    if not {"%Y", "%y"} & set(directives):
        return "it has no year"
    if "%d" in directives and "%m" not in directives:
        return "it has a day but no month"
    if re.search(r"[0-9]", form):
        return "a digit outside of the parts could be mistaken for a value"
    return None


def _code_problems(options: CellOptions, enum: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    seen: dict[str, str] = {}
    for written, code in options.codes.items():
        folded = fold(written).lower()
        if not folded:
            yield "codes", f"{written!r} is an empty cell; an empty cell is never a code"
        if folded in seen:
            yield "codes", f"{written!r} and {seen[folded]!r} are the same spelling"
        seen[folded] = written
        if enum and code not in enum:
            yield f"codes.{written}", f"{code!r} is not in the enum: {', '.join(enum)}"
