"""From text cells to typed rows: the syntactic rules of a contract, applied while reading.

Every cell is checked against its column (type, required, pattern, code list, range, citizen
number). A row that fails any rule is quarantined whole, with one finding per failing column; the
others leave with their identifiers already replaced.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import polars as pl

from loaders.contracts.model import Column, Dataset
from loaders.periods import start_of
from loaders.privacy import pseudonym
from loaders.readers.base import ROW_NUMBER, SHEET, ReaderError, TextBatch

RULE_VERSION = 1
ERROR, PARSED = "__error__", "__parsed__"
INTEGER = r"^[+-]?\d{1,18}$"
NUMBER = r"^[+-]?\d+(\.\d+)?([eE][+-]?\d{1,3})?$"
#: Rule id → (dimension, reason in Vietnamese, reason in English).
CONTRACT_RULES = {
    "contract.row": (
        "validity",
        "không tách được dòng thành ô",
        "the row cannot be split into cells",
    ),
    "contract.required": ("completeness", "thiếu giá trị bắt buộc", "a required value is missing"),
    "contract.type": ("validity", "không đúng kiểu dữ liệu", "not of the column's type"),
    "contract.pattern": ("validity", "không đúng mẫu", "not of the column's pattern"),
    "contract.enum": ("validity", "mã không có trong danh mục", "code not in the list"),
    "contract.range": ("validity", "ngoài khoảng cho phép", "outside the allowed range"),
    "contract.period": ("consistency", "dòng của kỳ khác", "the row belongs to another period"),
    "contract.citizen_number": (
        "consistency",
        "số định danh không khớp giới tính hoặc năm sinh",
        "the citizen number contradicts sex or year of birth",
    ),
}


@dataclass(frozen=True)
class Finding:
    """One failing cell. ``value`` is None where the column is personal."""

    row_number: int
    sheet: str
    column: str | None
    rule_id: str
    value: str | None
    row_data: str
    reason_vi: str
    reason_en: str


@dataclass(frozen=True)
class Conformed:
    """Typed rows ready for COPY (columns as in the stage table) and what was found in the rest."""

    frame: pl.DataFrame
    findings: list[Finding]
    rows_read: int


class Conformer:
    """Applies one dataset's contract for one period to batches of text."""

    def __init__(self, dataset: Dataset, period: str, key: bytes) -> None:
        self.dataset, self.period = dataset, period
        self._headers = {c.name: c.header(period) for c in dataset.loaded_columns}
        self._rules = {c.name: self._rules_of(c) for c in dataset.loaded_columns}
        self._protection = [self._protected(c, key) for c in dataset.loaded_columns]
        self._period_seen = False

    def conform(self, batch: TextBatch) -> Conformed:
        """Check, type and pseudonymise one batch.

        Raises:
            ReaderError: the rows belong to another month.
        """
        findings = [
            Finding(
                row.row_number, "", None, "contract.row", None, "{}", row.reason_vi, row.reason_en
            )
            for row in batch.broken
        ]
        frame = batch.frame
        if frame.height == 0:
            return Conformed(frame, findings, len(findings))
        columns = self.dataset.loaded_columns
        checked = frame.with_columns(self._parsed(c).alias(PARSED + c.name) for c in columns)
        self._check_period(checked)
        # One expression for each column: they are computed side by side.
        faulty = checked.select(
            pl.any_horizontal(when for when, _ in rules).fill_null(False).alias(name)
            for name, rules in self._rules.items()
            if rules
        )
        failing = faulty.select(pl.any_horizontal(pl.all())).to_series()
        bad = checked.filter(failing)
        good = checked if bad.height == 0 else checked.filter(~failing)
        findings += self._findings(bad)
        protected = good.select(*self._protection, ROW_NUMBER, SHEET)
        return Conformed(protected, findings, frame.height + len(batch.broken))

    def _text(self, column: Column) -> pl.Expr:
        header = self._headers[column.name]
        text = pl.lit(None, dtype=pl.String) if header is None else pl.col(header)
        privacy = column.extension.privacy
        if privacy.action == "substring" and privacy.start is not None and privacy.stop is not None:
            return text.str.slice(privacy.start, privacy.stop - privacy.start)
        return text

    def _parsed(self, column: Column) -> pl.Expr:
        """The typed value, null where the text does not parse."""
        text = self._text(column)
        if column.logical_type == "date":
            return self._date(column, text)
        if column.logical_type == "integer":
            valid = text.str.contains(INTEGER)
            return pl.when(valid).then(text).cast(pl.Int64, strict=False)
        if column.logical_type == "number":
            # Kept as text: PostgreSQL's numeric takes every digit that was printed.
            return pl.when(text.str.contains(NUMBER)).then(text)
        return text

    @staticmethod
    def _date(column: Column, text: pl.Expr) -> pl.Expr:
        form = column.extension.format or "%Y-%m-%d"
        if "%d" not in form:
            text, form = pl.lit("01 ") + text, f"%d {form}"
        date = text.str.to_date(form, strict=False)
        if form != "%Y-%m-%d":
            # Date cells of a workbook arrive as ISO whatever their display format.
            date = pl.coalesce(date, text.str.to_date("%Y-%m-%d", strict=False))
        if column.extension.privacy.action == "truncate_month":
            date = date.dt.truncate("1mo")
        return date

    def _rules_of(self, column: Column) -> list[tuple[pl.Expr, str]]:
        """What makes a cell fail, with the id of the rule; the first that holds is reported."""
        text, parsed = self._text(column), pl.col(PARSED + column.name)
        rules: list[tuple[pl.Expr, str]] = []
        if column.required:
            rules.append((text.is_null(), "contract.required"))
        if column.logical_type != "string":
            rules.append((text.is_not_null() & parsed.is_null(), "contract.type"))
        if column.logical_type == "date":
            rules.append((~parsed.dt.year().is_between(1900, 2199), "contract.range"))
        if column.pattern:
            rules.append((~text.str.contains(column.pattern), "contract.pattern"))
        if column.enum:
            rules.append((~text.is_in(list(column.enum)), "contract.enum"))
        if column.minimum is not None:
            rules.append((parsed.cast(pl.Float64, strict=False) < column.minimum, "contract.range"))
        if column.maximum is not None:
            rules.append((parsed.cast(pl.Float64, strict=False) > column.maximum, "contract.range"))
        if column.name == self.dataset.extension.period_column:
            rules.append((parsed != pl.lit(start_of(self.period)), "contract.period"))
        if column.extension.citizen_number:
            rules.append((~self._citizen_number_agrees(column), "contract.citizen_number"))
        return rules

    def _error(self, column: Column) -> pl.Expr:
        """Id of the first rule that the cell breaks, null when it is good."""
        error = pl.lit(None, dtype=pl.String)
        for condition, rule in reversed(self._rules[column.name]):
            error = pl.when(condition.fill_null(False)).then(pl.lit(rule)).otherwise(error)
        return error

    def _citizen_number_agrees(self, column: Column) -> pl.Expr:
        citizen = column.extension.citizen_number
        assert citizen is not None
        text = self._text(column)
        digit = text.str.slice(3, 1).cast(pl.Int32, strict=False)
        agrees = digit.is_between(0, 5)
        if citizen.sex_column:
            sex = pl.col(PARSED + citizen.sex_column)
            expected = pl.when(digit % 2 == 0).then(pl.lit("1")).otherwise(pl.lit("2"))
            # A sex code that is no code is that column's own finding.
            agrees = agrees & ((sex == expected) | ~sex.is_in(["1", "2"])).fill_null(True)
        if citizen.birth_column:
            year = pl.col(PARSED + citizen.birth_column).dt.year()
            stated = 1900 + 100 * (digit // 2) + text.str.slice(4, 2).cast(pl.Int32, strict=False)
            agrees = agrees & (year == stated).fill_null(True)
        return agrees

    def _check_period(self, checked: pl.DataFrame) -> None:
        """A whole file of another period is refused; single rows of one are quarantined."""
        name = self.dataset.extension.period_column
        if name is None or self._period_seen:
            return
        stated = checked.get_column(PARSED + name).drop_nulls()
        if stated.len() and not (stated == start_of(self.period)).any():
            found = ", ".join(sorted(set(stated.dt.strftime("%Y-%m").head(1000))))
            raise ReaderError(
                f"the rows are of {found}, the delivery is for {self.period} "
                f"(column {self._headers[name]!r}); ask for the file of {self.period}"
            )
        self._period_seen = bool(stated.len())

    def _findings(self, bad: pl.DataFrame) -> list[Finding]:
        findings = []
        if bad.height == 0:
            return findings
        bad = bad.with_columns(
            self._error(c).alias(ERROR + c.name) for c in self.dataset.loaded_columns
        )
        open_headers = {
            header: None
            for c in self.dataset.loaded_columns
            if not c.is_personal
            and (header := self._headers[c.name]) is not None
            # A header may feed an open and an identifier column: then its text is personal.
            and not any(
                o.is_personal and o.header(self.period) == header for o in self.dataset.columns
            )
        }
        for row in bad.iter_rows(named=True):
            row_data = json.dumps({h: row[h] for h in open_headers}, ensure_ascii=False)
            for column in self.dataset.loaded_columns:
                rule = row[ERROR + column.name]
                if rule is None:
                    continue
                header = self._headers[column.name]
                _, reason_vi, reason_en = CONTRACT_RULES[rule]
                findings.append(
                    Finding(
                        row_number=row[ROW_NUMBER],
                        sheet=row[SHEET],
                        column=column.name,
                        rule_id=rule,
                        value=row[header] if header in open_headers else None,
                        row_data=row_data,
                        reason_vi=reason_vi,
                        reason_en=reason_en,
                    )
                )
        return findings

    @staticmethod
    def _protected(column: Column, key: bytes) -> pl.Expr:
        """The column as the stage table takes it; identifiers are replaced here."""
        value = pl.col(PARSED + column.name)
        privacy = column.extension.privacy
        if privacy.action == "pseudonym":
            value = pseudonym(value, key, privacy.domain or "")
        return value.alias(column.name)
