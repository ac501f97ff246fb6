"""What a kind of defect is, and the changes of which kinds are made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from loaders.periods import end_of
from loaders.sample.defects import DUPLICATE, Context, Kind, Row, written_date

Change = Callable[[Row, Context], None]
LineChange = Callable[[str], str]


@dataclass(frozen=True)
class DefectKind:
    """One thing that goes wrong in one dataset's file.

    Attributes:
        rules: any of these must find the row.
        change: what happens to the cells, by contract column, as text.
        may: condition on the records (contract columns, typed) that a row must meet to be taken.
        again: the row stays as it is, and stands once more at the end of the file, changed.
        line: what happens to the line of a CSV file, beside the cells.
        warns: the rules only warn: the row is found, and stays.
    """

    name: str
    dataset: str
    rules: tuple[str, ...]
    change: Change
    may: pl.Expr | None = None
    again: bool = False
    line: LineChange | None = None
    warns: bool = False


def of_sample(dataset: str, kind: Kind) -> DefectKind:
    """A kind with which the sample province damages its own files."""
    may = None if kind.eligible is None else pl.col(kind.eligible)
    return DefectKind(
        kind.kind, dataset, (kind.rule,), kind.change, may, again=kind.kind == DUPLICATE
    )


def unchanged(_: Row, __: Context) -> None:
    return None


def put(**cells: str | None) -> Change:
    """These texts into these columns."""

    def change(row: Row, _: Context) -> None:
        row.update(cells)

    return change


def raised(column: str, above: str) -> Change:
    """A count that is larger than that of another column by one."""

    def change(row: Row, _: Context) -> None:
        row[column] = str(int(row[above] or 0) + 1)

    return change


def edited(column: str, edit: Callable[[str], str]) -> Change:
    """The text of a column, changed."""

    def change(row: Row, _: Context) -> None:
        row[column] = edit(row[column] or "")

    return change


def last_day(context: Context) -> dt.date:
    return end_of(context.month.period)


def day_after_end(column: str, days: int) -> Change:
    """A day so many days after the last one of the period; before it when negative."""

    def change(row: Row, context: Context) -> None:
        day = last_day(context) + dt.timedelta(days=days)
        row[column] = written_date(context, column, day.year, day.month, day.day)

    return change


def months_before(context: Context, months: int) -> tuple[int, int]:
    """Year and month so many months before the month of the file."""
    index = context.month.year * 12 + context.month.number - 1 - months
    return index // 12, index % 12 + 1


def month_before(column: str, months: int) -> Change:
    """The first day of the month so many months before that of the file."""

    def change(row: Row, context: Context) -> None:
        row[column] = written_date(context, column, *months_before(context, months), 1)

    return change


def aged(months: int) -> Change:
    """So many months old in the month of the file; the citizen number, if any, says the same."""

    def change(row: Row, context: Context) -> None:
        year, month = months_before(context, months)
        number = row.get("person_key")
        if number:
            digit = (year - 1900) // 100 * 2 + int(number[3]) % 2
            row["person_key"] = f"{number[:3]}{digit}{year % 100:02d}{number[6:]}"
        row["birth_month"] = written_date(context, "birth_month", year, month, 15)

    return change


def american(column: str) -> Change:
    """A date with the month first, and a day that can be no month."""

    def change(row: Row, context: Context) -> None:
        day = last_day(context)
        row[column] = f"{day.month:02d}/{day.day}/{day.year}"

    return change


def both(*changes: Change) -> Change:
    def change(row: Row, context: Context) -> None:
        for each in changes:
            each(row, context)

    return change
