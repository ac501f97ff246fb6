"""Documented damage: about one row in a hundred of each file is made wrong, and it is written down.

A defect damages a real record, so the row is quarantined and the truth leaves it out. Of an exact
duplicate the first row stays, so the truth does not change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from loaders.contracts.model import Dataset
from loaders.sample.province import Month, stream

Row = dict[str, str | None]
#: Files with fewer rows get no damage: one row would be more than the contract lets pass.
LEAST_ROWS = 25
UNKNOWN_UNIT, UNKNOWN_FACILITY = "99999", "51999"
DUPLICATE = "exact_duplicate"


@dataclass(frozen=True)
class Context:
    """What a change may look at besides its row."""

    dataset: Dataset
    month: Month
    outdated_units: list[str]
    position: int

    def format_of(self, column: str) -> str:
        return self.dataset.column(column).extension.formats[0]


@dataclass(frozen=True)
class Kind:
    """One kind of damage and the rule that is expected to catch it."""

    kind: str
    rule: str
    change: Callable[[Row, Context], None]
    eligible: str | None = None


@dataclass(frozen=True)
class Defect:
    """One damaged row; ``row_number`` counts data rows from 1."""

    row_number: int
    kind: str
    rule: str


def set_to(column: str, value: str | None) -> Callable[[Row, Context], None]:
    """A change that writes one value into one column."""

    def change(row: Row, _: Context) -> None:
        row[column] = value

    return change


def _short_citizen_number(row: Row, _: Context) -> None:
    row["person_key"] = str(row["person_key"])[:11]


def _other_sex(row: Row, _: Context) -> None:
    number = str(row["person_key"])
    row["person_key"] = number[:3] + str(int(number[3]) ^ 1) + number[4:]


def written_date(context: Context, column: str, year: int, month: int, number: int) -> str:
    """A date, also an impossible one, in the format of the column."""
    written = context.format_of(column)
    for mark, value in (("%Y", f"{year:04d}"), ("%m", f"{month:02d}"), ("%d", f"{number:02d}")):
        written = written.replace(mark, value)
    return written


def set_date(column: str, years: int, month: int, number: int) -> Callable[[Row, Context], None]:
    """A change that writes a date, ``years`` from the month's own year; it may be impossible."""

    def change(row: Row, context: Context) -> None:
        row[column] = written_date(context, column, context.month.year + years, month, number)

    return change


def _birth_on_31_february(row: Row, context: Context) -> None:
    year = _birth_year(row)
    row["birth_month"] = written_date(context, "birth_month", year, 2, 31)


def _birth_year(row: Row) -> int:
    number = str(row["person_key"])
    return 1900 + int(number[3]) // 2 * 100 + int(number[4:6])


def _born_in(row: Row, context: Context, year: int) -> None:
    """Another year of birth, in the citizen number too, so that only the date is wrong."""
    number = str(row["person_key"])
    digit = (year - 1900) // 100 * 2 + int(number[3]) % 2
    row["person_key"] = f"{number[:3]}{digit}{year % 100:02d}{number[6:]}"
    row["birth_month"] = written_date(context, "birth_month", year, 6, 15)


def _born_in_the_future(row: Row, context: Context) -> None:
    _born_in(row, context, context.month.year + 1)


def _born_1950(row: Row, context: Context) -> None:
    _born_in(row, context, 1950)


def _outdated_unit(column: str) -> Callable[[Row, Context], None]:
    def change(row: Row, context: Context) -> None:
        codes = context.outdated_units
        row[column] = codes[context.position % len(codes)] if codes else UNKNOWN_UNIT

    return change


def _card_too_short(row: Row, _: Context) -> None:
    row["card_key"] = str(row["card_key"])[:14]


def _swap_dates(row: Row, context: Context) -> None:
    row["valid_to"] = written_date(context, "valid_to", context.month.year - 9, 12, 31)
    row["valid_from"] = written_date(context, "valid_from", context.month.year, 1, 1)


def _completed_too_early(row: Row, context: Context) -> None:
    row["completed_on"] = written_date(context, "completed_on", 2019, 5, 20)


def _grade_outside_level(row: Row, _: Context) -> None:
    row["grade"] = "12" if row["level_code"] in ("1", "2") else "3"


def _nothing(_: Row, __: Context) -> None:
    return None


def citizen_kinds(future_rule: str | None) -> list[Kind]:
    """Damage of person columns; ``future_rule`` None where the file has the number alone."""
    kinds = [Kind("citizen_number_11_digits", "contract.pattern", _short_citizen_number)]
    if future_rule is not None:
        kinds += [
            Kind("citizen_number_against_sex", "contract.citizen_number", _other_sex),
            Kind("sex_code_9", "contract.enum", set_to("sex_code", "9")),
            Kind("birth_on_31_february", "contract.type", _birth_on_31_february),
            Kind("birth_in_the_future", future_rule, _born_in_the_future),
        ]
    return kinds


def unit_kinds(suite: str, column: str, eligible: str | None = None) -> list[Kind]:
    """A unit code that does not exist, or not in the month."""
    rule = f"{suite}.unit_valid_on_date"
    return [
        Kind("unit_unknown", rule, set_to(column, UNKNOWN_UNIT), eligible),
        Kind("unit_not_valid_in_month", rule, _outdated_unit(column), eligible),
    ]


def duplicate_kind(suite: str) -> Kind:
    """The same row once more at the end of the file."""
    return Kind(DUPLICATE, f"{suite}.not_repeated", _nothing)


#: Every kind of damage by dataset, in the order in which they are used in turn.
KINDS: dict[str, list[Kind]] = {
    "health_insurance_members": [
        *citizen_kinds("hi_members.birth_not_in_future"),
        Kind("valid_from_missing", "contract.required", set_to("valid_from", None)),
        Kind("card_too_short", "contract.pattern", _card_too_short),
        Kind("valid_to_before_valid_from", "hi_members.validity_in_order", _swap_dates),
        *unit_kinds("hi_members", "residence_unit_code"),
        duplicate_kind("hi_members"),
    ],
    "pupils": [
        *citizen_kinds("pupils.age_plausible"),
        Kind("level_missing", "contract.required", set_to("level_code", None)),
        Kind("grade_outside_level", "pupils.grade_fits_level", _grade_outside_level, "_has_grade"),
        Kind("born_1950", "pupils.age_plausible", _born_1950),
        *unit_kinds("pupils", "residence_unit_code"),
        duplicate_kind("pupils"),
    ],
    "staff": [
        Kind("profession_unknown", "contract.enum", set_to("profession_code", "XX")),
        Kind("facility_not_in_register", "staff.facility_known",
             set_to("facility_code", UNKNOWN_FACILITY)),
        *citizen_kinds("staff.birth_not_in_future"),
        Kind("degree_missing", "contract.required", set_to("degree_code", None)),
        duplicate_kind("staff"),
    ],
    "facilities": [
        Kind("beds_negative", "contract.range", set_to("planned_beds", "-5"), "_may_break"),
        Kind("beds_not_a_number", "contract.type", set_to("planned_beds", "ba mươi"), "_may_break"),
        Kind("type_unknown", "contract.enum", set_to("facility_type_code", "BX"), "_may_break"),
        Kind("name_missing", "contract.required", set_to("facility_name", None), "_may_break"),
        *unit_kinds("facilities", "unit_code", "_may_break"),
        duplicate_kind("facilities"),
    ],
    "temporary_houses": [
        Kind("completed_before_approved", "houses.approved_before_completed",
             _completed_too_early),
        Kind("approved_on_missing", "contract.required", set_to("approved_on", None)),
        *citizen_kinds(None),
        Kind("group_unknown", "contract.enum", set_to("household_group_code", "XX")),
        Kind("start_on_31_february", "contract.type", set_date("started_on", 0, 2, 31)),
        *unit_kinds("houses", "unit_code"),
        duplicate_kind("houses"),
    ],
}  # fmt: skip


def damage(
    dataset: Dataset,
    month: Month,
    text: pl.DataFrame,
    records: pl.DataFrame,
    outdated_units: list[str],
    share: float,
    seed: int,
    kinds: list[Kind],
) -> tuple[pl.DataFrame, np.ndarray, list[Defect]]:
    """Damage ``share`` of the rows.

    Args:
        text: cells by contract column, one row per record.
        records: the typed rows behind them; boolean columns say which rows a kind may take.
        share: part of the rows to damage, duplicates included.
        kinds: the kinds of damage of this dataset, used in turn.

    Returns:
        The file's rows (duplicates at the end), a mask over ``records`` of rows that quarantine
        takes, and the list of defects by row number.
    """
    lost = np.zeros(text.height, dtype=bool)
    count = round(share * text.height)
    if share > 0 and text.height >= LEAST_ROWS:
        count = max(count, 1)
    if not kinds or count == 0 or text.height < LEAST_ROWS:
        return text, lost, []
    rng = stream(seed, f"defects/{dataset.source}/{dataset.name}/{month.period}")
    # Small files hold one or two damaged rows: another kind each month shows them all in time.
    order = [kinds[(month.index + i) % len(kinds)] for i in range(len(kinds))]
    shares = [count // len(order) + (i < count % len(order)) for i in range(len(order))]
    free = np.ones(text.height, dtype=bool)
    defects: list[Defect] = []
    duplicates = np.zeros(0, dtype=np.int64)
    changes: dict[str, tuple[list[int], list[str | None]]] = {}
    for kind, wanted in zip(order, shares, strict=True):
        allowed = free if kind.eligible is None else free & records[kind.eligible].to_numpy()
        pool = np.flatnonzero(allowed)
        victims = np.sort(rng.choice(pool, min(wanted, len(pool)), replace=False))
        free[victims] = False
        if kind.kind == DUPLICATE:
            duplicates = victims
            continue
        lost[victims] = True
        for position, (index, row) in enumerate(
            zip(victims.tolist(), text[victims].to_dicts(), strict=True)
        ):
            before = dict(row)
            kind.change(row, Context(dataset, month, outdated_units, position))
            for column, value in row.items():
                if value != before[column]:
                    rows, values = changes.setdefault(column, ([], []))
                    rows.append(index)
                    values.append(value)
            defects.append(Defect(index + 1, kind.kind, kind.rule))
    damaged = text.with_columns(
        text[column].scatter(rows, values) for column, (rows, values) in changes.items()
    )
    copies = damaged[duplicates]
    defects += [
        Defect(text.height + 1 + i, DUPLICATE, kind.rule)
        for kind in kinds
        if kind.kind == DUPLICATE
        for i in range(len(duplicates))
    ]
    return pl.concat([damaged, copies]), lost, sorted(defects, key=lambda d: d.row_number)
