"""From text cells to typed rows: the syntactic rules of a contract, applied while reading.

Every cell is checked against its column (type, required, pattern, code list, range, citizen
number). A row that fails any rule is quarantined whole, with one finding per failing column; the
others leave with their identifiers already replaced.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from loaders import fixed_width, values
from loaders.contracts.cells import fold
from loaders.contracts.model import Column, Dataset
from loaders.periods import end_of, start_of
from loaders.privacy import pseudonym
from loaders.readers.base import ROW_NUMBER, SHEET, ReaderError, TextBatch
from loaders.units import Refusal, UnitNames

RULE_VERSION = 1
#: What quarantine keeps of a cell.
KEPT_CHARACTERS = 500
ERROR, PARSED, ROW_DATA = "__error__", "__parsed__", "__row__"
#: Century, sex and year of birth in a citizen number.
BIRTH = "__birth__"
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
    "contract.unit": (
        "validity",
        "tên đơn vị hành chính không xác định được",
        "the name is not that of one administrative unit",
    ),
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
class Checked:
    """Typed rows that keep every rule, their identifiers still open, and what the rest broke."""

    frames: list[pl.DataFrame]
    findings: list[Finding]
    rows_read: int


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
        # A header may feed an open and an identifier column: then its text is personal.
        personal = {c.header(period) for c in dataset.columns if c.is_personal}
        self._open_headers = {header for header in self._headers.values() if header} - personal
        self._units = {
            c.name: UnitNames(c.extension.unit_name, end_of(period))
            for c in dataset.loaded_columns
            if c.extension.unit_name
        }
        self._rules = {c.name: self._rules_of(c) for c in dataset.loaded_columns}
        # What is cut out of a plain text is plain: a card's parts need no look of their own.
        self._plain_headers = {
            self._headers[c.name]
            for c in dataset.loaded_columns
            if c.logical_type == "string"
            and c.extension.privacy.action != "substring"
            and not c.extension.codes
            and not c.extension.unit_name
            and values.lets_only_plain_text_through(c)
        }
        self._usual = self._values(self._usual_value)
        self._careful = self._values(values.typed)
        # One expression for each column: they are computed side by side.
        self._broken = [
            pl.any_horizontal(broken for broken, _ in rules).fill_null(False).alias(name)
            for name, rules in self._rules.items()
            if rules
        ]
        self._protection = [self._protected(c, key) for c in dataset.loaded_columns]
        self._protection += [pl.col(ROW_NUMBER), pl.col(SHEET)]
        self._typed = [PARSED + c.name for c in dataset.loaded_columns] + [ROW_NUMBER, SHEET]
        self._errors = [self._error(c).alias(ERROR + c.name) for c in dataset.loaded_columns]
        self._row_data = self._open_cells().alias(ROW_DATA)
        self._period_seen = False

    def conform(self, batch: TextBatch) -> Conformed:
        """Check, type and pseudonymise one batch; raises what `check` raises."""
        return self.protect(self.check(batch))

    def check(self, batch: TextBatch) -> Checked:
        """Type the cells of one batch and part the rows that break a rule.

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
            return Checked([], findings, len(findings))
        good, rest = self._split(frame, self._usual)
        self._check_period(good)
        frames = [good]
        if rest.height:
            # Few rows are not written in the usual way: only they are looked at with all care.
            good, bad = self._split(rest, self._careful)
            self._check_period(good if good.height else bad)
            frames.append(good)
            findings += self._findings(bad)
        return Checked(frames, findings, frame.height + len(batch.broken))

    def protect(self, checked: Checked) -> Conformed:
        """The rows with pseudonyms in place of identifiers."""
        frames = [frame.select(self._protection) for frame in checked.frames]
        frame = pl.concat(frames) if frames else pl.DataFrame()
        return Conformed(frame, checked.findings, checked.rows_read)

    def _split(
        self, frame: pl.DataFrame, parsed: list[pl.Expr]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows that keep every rule, with their typed values alone, and the others whole."""
        checked = frame.with_columns(parsed)
        failing = checked.select(self._broken).select(pl.any_horizontal(pl.all())).to_series()
        good = checked.select(self._typed)
        if not failing.any():
            return good, checked.clear()
        return good.filter(~failing), checked.filter(failing)

    def _values(self, typed: Callable[[Column, pl.Expr], pl.Expr]) -> list[pl.Expr]:
        columns = self.dataset.loaded_columns
        parsed = [self._parsed(column, typed).alias(PARSED + column.name) for column in columns]
        # Each use of an expression computes it anew; these digits are used four times.
        births = [
            self._text(column)
            .str.slice(3, 3)
            .cast(pl.Int32, strict=False)
            .alias(BIRTH + column.name)
            for column in columns
            if column.extension.citizen_number
        ]
        return parsed + births

    def _usual_value(self, column: Column, text: pl.Expr) -> pl.Expr:
        is_plain = self._headers[column.name] in self._plain_headers
        return values.usual(column, text, is_plain=is_plain)

    def _cell(self, column: Column) -> pl.Expr:
        header = column.header(self.period)
        return pl.lit(None, dtype=pl.String) if header is None else pl.col(header)

    def _text(self, column: Column) -> pl.Expr:
        text = self._cell(column)
        privacy = column.extension.privacy
        if privacy.action == "substring" and privacy.start is not None and privacy.stop is not None:
            return text.str.slice(privacy.start, privacy.stop - privacy.start)
        return text

    def _parsed(self, column: Column, typed: Callable[[Column, pl.Expr], pl.Expr]) -> pl.Expr:
        """The typed value, null where the text does not parse."""
        options = column.extension
        if options.precision_of:
            dated = self.dataset.column(options.precision_of)
            return values.precision(dated, self._cell(dated))
        if options.unit_name:
            within = options.unit_name.within
            above = self._cell(self.dataset.column(within)) if within else None
            return self._units[column.name].codes(self._text(column), above)
        return typed(column, self._text(column))

    def _rules_of(self, column: Column) -> list[tuple[pl.Expr, str]]:
        """What makes a cell fail, with the id of the rule; the first that holds is reported."""
        text, parsed = self._text(column), pl.col(PARSED + column.name)
        rules: list[tuple[pl.Expr, str]] = []
        untyped = values.untyped_rule(column)
        if column.required:
            # Folding may leave nothing of a text.
            rules.append(((text if untyped else parsed).is_null(), "contract.required"))
        if untyped:
            rules.append((text.is_not_null() & parsed.is_null(), untyped))
        if column.logical_type == "string":
            # Pattern and list hold for what is loaded.
            text = parsed
        if column.logical_type == "date":
            years = dt.date(1900, 1, 1), dt.date(2199, 12, 31)
            rules.append((~parsed.is_between(*years), "contract.range"))
        if column.pattern:
            is_like = fixed_width.contains(text, column.pattern)
            rules.append((~is_like, "contract.pattern"))
        if column.enum:
            rules.append((~text.is_in([fold(value) for value in column.enum]), "contract.enum"))
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
        for broken, rule in reversed(self._rules[column.name]):
            error = pl.when(broken.fill_null(False)).then(pl.lit(rule)).otherwise(error)
        return error

    def _citizen_number_agrees(self, column: Column) -> pl.Expr:
        citizen = column.extension.citizen_number
        assert citizen is not None
        century_and_year = pl.col(BIRTH + column.name)
        digit = century_and_year // 100
        agrees = digit.is_between(0, 5)
        if citizen.sex_column:
            sex = pl.col(PARSED + citizen.sex_column)
            expected = pl.when(digit % 2 == 0).then(pl.lit("1")).otherwise(pl.lit("2"))
            # A sex code that is no code is that column's own finding.
            agrees = agrees & ((sex == expected) | ~sex.is_in(["1", "2"])).fill_null(True)
        if citizen.birth_column:
            year = pl.col(PARSED + citizen.birth_column).dt.year()
            stated = 1900 + 100 * (digit // 2) + century_and_year % 100
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
        """One finding for each failing cell, in order of rows and columns."""
        if bad.height == 0:
            return []
        bad = bad.with_columns(*self._errors, self._row_data)
        findings = []
        for column in self.dataset.loaded_columns:
            errors = bad.get_column(ERROR + column.name)
            if errors.null_count() == bad.height:
                continue
            cells = bad.filter(errors.is_not_null()).select(
                ROW_NUMBER,
                SHEET,
                pl.col(errors.name),
                self._shown(column),
                self._above(column),
                _kept(self._shown(column)).alias("kept"),
                ROW_DATA,
            )
            for number, sheet, rule_id, value, above, kept, row_data in cells.iter_rows():
                reasons = self._reasons(rule_id, column, value, above)
                findings.append(
                    Finding(number, sheet, column.name, rule_id, kept, row_data, *reasons)
                )
        return sorted(findings, key=lambda finding: finding.row_number)

    def _open_cells(self) -> pl.Expr:
        """What may be shown of a row, as JSON."""
        if not self._open_headers:
            return pl.lit("{}")
        cells = [_kept(pl.col(header)) for header in sorted(self._open_headers)]
        return pl.struct(cells).struct.json_encode()

    def _shown(self, column: Column) -> pl.Expr:
        """The cell, where it may be shown."""
        header = self._headers[column.name]
        cell = pl.col(header) if header in self._open_headers else pl.lit(None, pl.String)
        return cell.alias("value")

    def _above(self, column: Column) -> pl.Expr:
        """The unit above that the contract names for a unit's name, where it may be shown."""
        options = column.extension.unit_name
        if options is None or options.within is None:
            return pl.lit(None, pl.String).alias("above")
        return self._shown(self.dataset.column(options.within)).alias("above")

    def _reasons(
        self, rule: str, column: Column, value: str | None, above: str | None
    ) -> tuple[str, str]:
        """The rule's sentences, or the cell's own where they may be shown."""
        _, reason_vi, reason_en = CONTRACT_RULES[rule]
        options = column.extension.unit_name
        if rule == "contract.unit" and options and value is not None:
            # The nearest names would tell what stands in a personal cell.
            within = self.dataset.column(options.within) if options.within else None
            if within is None or self._headers[within.name] in {None, *self._open_headers}:
                refusal = self._units[column.name].resolve(value, above)
                assert isinstance(refusal, Refusal)
                return refusal.reason_vi, refusal.reason_en
        return reason_vi, reason_en

    @staticmethod
    def _protected(column: Column, key: bytes) -> pl.Expr:
        """The column as the stage table takes it; identifiers are replaced here."""
        value = pl.col(PARSED + column.name)
        privacy = column.extension.privacy
        if privacy.action == "pseudonym":
            value = pseudonym(value, key, privacy.domain or "")
        return value.alias(column.name)


def _kept(text: pl.Expr) -> pl.Expr:
    """A cell as quarantine keeps it: PostgreSQL takes no NUL, and nobody reads a megabyte."""
    text = text.str.replace_all("\0", "␀", literal=True)
    is_long = text.str.len_chars() > KEPT_CHARACTERS
    return pl.when(is_long).then(text.str.head(KEPT_CHARACTERS) + "…").otherwise(text)
