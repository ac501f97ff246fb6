"""From text cells to typed values, as polars expressions: nothing here runs once per cell.

A cell that is not written as its contract says becomes null; the caller makes a finding of a
text without a value. Nothing is guessed: what could be read in two ways has to be declared.
"""

from __future__ import annotations

import re

import polars as pl

from loaders import fixed_width
from loaders.contracts.cells import FOLDS, ISO, PRECISIONS, CellOptions, DateForm, date_forms
from loaders.contracts.model import Column, ColumnExtension

#: Printable ASCII and the Latin letters that are one code point in NFC, single spaces inside:
#: what does not match is rare, and only that is folded.
_UNFOLDED = r"[^\x20-\x7e\xa1-\xac\xae-\x{24f}\x{1e00}-\x{1eff}]|  |^ | $"
_GROUP_SPACES = "[ \u00a0\u2009\u202f]"
#: Day 1 of a workbook is 1900-01-01 and day 60 its 29 February, which never was.
_SERIAL = r"^([0-9]{1,5})(?:\.[0-9]+)?$"
_SERIAL_OF_1970, _NO_SUCH_DAY = 25_569, 60


#: A pattern that only lets printable ASCII without spaces through: folding changes nothing there.
#: One with "|" may be bound to the start or the end alone.
_PLAIN = re.compile(r"\^[\w\[\]{}(),?+*/:-]+\$", re.ASCII)


def lets_only_plain_text_through(column: Column) -> bool:
    """Whether a cell that keeps the column's pattern is one that folding leaves as it is."""
    return bool(column.pattern and _PLAIN.fullmatch(column.pattern))


def usual(column: Column, text: pl.Expr, *, is_plain: bool = False) -> pl.Expr:
    """What `typed` gives for a text in the usual way of writing, null or unfit for any other.

    A row that keeps all rules with these values has the values of `typed`.

    Args:
        is_plain: the rules of another column see to it that folding changes nothing here.
    """
    options = column.extension
    if column.logical_type == "date" and options.formats:
        month_start = options.privacy.action == "truncate_month"
        date = fixed_width.to_date(text, options.formats[0], month_start=month_start)
        if date is not None:
            return date
        return _kept(options, _parsed(date_forms(options)[0], options, text))
    is_plain = is_plain or bool(column.enum) or lets_only_plain_text_through(column)
    if column.logical_type == "string" and is_plain and not options.codes:
        return text
    return typed(column, text)


def typed(column: Column, text: pl.Expr) -> pl.Expr:
    """The typed value of a column's text, null where the text is not written as declared.

    date → Date; integer → Int64; number → the printed digits as String, for PostgreSQL's numeric
    takes them all; string → String, folded, or its code.
    """
    options = column.extension
    if column.logical_type == "date":
        return _date(column, text)
    if column.logical_type == "integer":
        return _number(options, text, integer=True).cast(pl.Int64, strict=False)
    if column.logical_type == "number":
        return _number(options, text, integer=False)
    if options.codes:
        codes = options.code_of()
        return (
            folded(text)
            .str.to_lowercase()
            .replace_strict(list(codes), list(codes.values()), default=None, return_dtype=pl.String)
        )
    if column.classification == "identifier" and column.pattern:
        # The pattern decides: an identifier is never repaired.
        return text
    return folded(text)


def untyped_rule(column: Column) -> str | None:
    """The rule that a text without a value breaks; None where every text is a value."""
    if column.logical_type != "string":
        return "contract.type"
    if column.extension.unit_name:
        return "contract.unit"
    return "contract.enum" if column.extension.codes else None


def folded(text: pl.Expr) -> pl.Expr:
    """One line in NFC with single spaces and nothing invisible; null where nothing is left."""
    return text.map_batches(_folded, return_dtype=pl.String, is_elementwise=True)


def _folded(cells: pl.Series) -> pl.Series:
    rows = cells.str.contains(_UNFOLDED).arg_true()
    if rows.is_empty():
        return cells
    column = pl.col("cells")
    for pattern, replacement in FOLDS:
        column = column.str.replace_all(pattern, replacement)
    column = column.str.normalize("NFC").str.strip_chars(" ")
    column = pl.when(column.str.len_bytes() > 0).then(column)
    repaired = cells.gather(rows).alias("cells").to_frame().select(column).to_series()
    return cells.scatter(rows, repaired)


def _number(options: CellOptions, text: pl.Expr, *, integer: bool) -> pl.Expr:
    """Digits with an optional sign and point; the marks that were declared are taken out."""
    mark = {".": r"\.", ",": ",", " ": _GROUP_SPACES, None: None}[options.thousands]
    # PostgreSQL's numeric has an end too, and raises there: no figure has a hundred digits.
    whole = "[0-9]{1,18}" if integer else "[0-9]{1,100}"
    if mark:
        groups = "{1,5}" if integer else "{1,33}"
        # No number starts with a group of zeros: 0.125 is no thousand.
        whole = f"(?:{whole}|[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}}){groups})"
    decimals = "".join(options.decimals)
    fraction = "" if integer else rf"(?:[{decimals}][0-9]{{1,100}})?(?:[eE][+-]?[0-9]{{1,2}})?"
    percent = r"\s*%" if options.unit == "percent" else ""
    body = whole + fraction + percent
    pattern = f"[+-]?{body}"
    if options.negative == "parentheses":
        pattern += rf"|\({body}\)"
    valid = text.str.contains(f"^(?:{pattern})$")
    if mark:
        text = text.str.replace_all(mark, "")
    if "," in decimals:
        text = text.str.replace(",", ".", literal=True)
    if percent:
        text = text.str.replace(percent, "")
    if options.negative:
        text = text.str.replace(r"^\((.*)\)$", "-$1")
    return pl.when(valid).then(text)


def _date(column: Column, text: pl.Expr) -> pl.Expr:
    options = column.extension
    dates = [_parsed(form, options, text) for form in date_forms(options)]
    if ISO not in options.formats:
        # Date cells of a workbook arrive as ISO whatever their display format.
        dates.append(text.str.to_date(ISO, strict=False))
    if options.excel_serial:
        dates.append(_serial(text))
    return _kept(options, pl.coalesce(dates))


def _kept(options: ColumnExtension, date: pl.Expr) -> pl.Expr:
    """As much of a date as its protection leaves."""
    return date.dt.month_start() if options.privacy.action == "truncate_month" else date


def _parsed(form: DateForm, options: CellOptions, text: pl.Expr) -> pl.Expr:
    dated = pl.lit(form.lead) + text if form.lead else text
    if form.two_digit:
        dated = _century(form, options, text) + dated
    date = dated.str.to_date(form.strptime, strict=False)
    return pl.when(text.str.contains(form.guard)).then(date)


def _century(form: DateForm, options: CellOptions, text: pl.Expr) -> pl.Expr:
    year = text.str.extract(form.guard).cast(pl.Int32, strict=False)
    return pl.when(year <= options.pivot).then(pl.lit("20 ")).otherwise(pl.lit("19 "))


def _serial(text: pl.Expr) -> pl.Expr:
    day = text.str.extract(_SERIAL).cast(pl.Int32, strict=False)
    day = pl.when(day < _NO_SUCH_DAY).then(day + 1).when(day > _NO_SUCH_DAY).then(day)
    return pl.when(day > 1).then(day - _SERIAL_OF_1970).cast(pl.Date)


def precision(column: Column, text: pl.Expr) -> pl.Expr:
    """ "year", "month" or "day": how much of the date column's value was written."""
    options = column.extension
    forms = date_forms(options)
    # A date cell or a day number has a day, but no more is meant than the formats can say.
    finest = max((form.precision for form in forms), key=PRECISIONS.index, default="day")
    label = pl.lit(finest)
    for form in reversed(forms):
        label = pl.when(text.str.contains(form.guard)).then(pl.lit(form.precision)).otherwise(label)
    return pl.when(text.is_not_null()).then(label)
