"""Sheets of a workbook, written row by row: typed cells, nothing that could be executed, no row or
text cut in silence."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, NamedStyle, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.utils.escape import escape
from openpyxl.writer.excel import ExcelWriter

from loaders.exports.release import ExportError

#: Excel's own limits; beyond them it drops rows and text without a word.
MAX_ROWS = 1_048_576
MAX_TEXT = 32_767
#: Vietnamese separators wherever the program honours the format's language: 1.234,5.
LOCALE = "[$-42A]"
TONES = {"good": "D5EFD9", "fair": "E8F3D0", "weak": "FFF1C9", "bad": "F9D6D2"}
#: Every member of the file says this: the same release gives the same bytes.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
FORMULA_STARTS = tuple("=+-@'\t\r\n＝＋－＠")


@dataclass(frozen=True)
class Column:
    """A column of a sheet: its header in both languages, its width in characters."""

    vi: str
    en: str
    width: int = 14

    @property
    def header(self) -> str:
        return f"{self.vi}\n{self.en}"


@dataclass(frozen=True)
class Shown:
    """A value with the way it is shown: decimals of a number, the tone behind a word."""

    value: Any
    decimals: int | None = None
    tone: str = ""


class Book:
    """A workbook in the making; `save` writes it."""

    def __init__(self, title: str, facts: dict[str, str], made_at: dt.datetime) -> None:
        self.book = Workbook(write_only=True)
        properties = self.book.properties
        properties.title, properties.creator = title, "nq42"
        properties.description = "\n".join(f"{key}: {value}" for key, value in facts.items())
        properties.created = properties.modified = made_at.replace(tzinfo=None, microsecond=0)
        self._styles: dict[tuple[str, str], str] = {}
        self._style("header", font=Font(bold=True, color="FFFFFF"), fill=_fill("1F4E79"))
        self._style("title", font=Font(bold=True, size=14))

    def _style(self, name: str, **look: Any) -> None:
        wrapped = Alignment(wrap_text=True, vertical="top")
        self.book.add_named_style(NamedStyle(name=name, alignment=wrapped, **look))

    def add(
        self,
        name: str,
        columns: Sequence[Column],
        rows: Iterable[Sequence[Any]],
        title: str | None = None,
    ) -> int:
        """Add a sheet with a header that stays in view; the number of rows.

        Rows beyond Excel's limit go on in further sheets: "name (2)", "name (3)", …
        """
        sheet, used, count, number = self._sheet(name, columns, title), 0, 0, 1
        used = top = 1 + (title is not None)
        for row in rows:
            if used == MAX_ROWS:
                number += 1
                sheet, used = self._sheet(f"{name} ({number})", columns, title), top
            sheet.append([self._cell(sheet, value) for value in row])
            used, count = used + 1, count + 1
        return count

    def save(self, path: Path) -> None:
        with _SteadyZip(path, "w", zipfile.ZIP_DEFLATED) as archive:
            ExcelWriter(self.book, archive).save()

    def _sheet(self, name: str, columns: Sequence[Column], title: str | None) -> Any:
        sheet = self.book.create_sheet(name)
        for number, column in enumerate(columns, start=1):
            sheet.column_dimensions[get_column_letter(number)].width = column.width
        top = 1 + (title is not None)
        sheet.freeze_panes = f"A{top + 1}"
        sheet.print_title_rows = f"{top}:{top}"
        sheet.page_setup.orientation, sheet.page_setup.fitToHeight = "landscape", 0
        sheet.sheet_properties.pageSetUpPr.fitToPage = True
        if title is not None:
            sheet.append([self._text(sheet, title, "title")])
        sheet.append([self._text(sheet, column.header, "header") for column in columns])
        return sheet

    def _cell(self, sheet: Any, value: Any) -> Any:
        shown = value if isinstance(value, Shown) else Shown(value)
        if isinstance(shown.value, str):
            return self._text(sheet, shown.value, self._look("@", shown.tone))
        if shown.value is None:
            return None
        cell = WriteOnlyCell(sheet, shown.value)
        if isinstance(shown.value, (Decimal, int, float)) and not isinstance(shown.value, bool):
            places = "0" * (shown.decimals or 0)
            cell.style = self._look(f"{LOCALE}#,##0" + ("." + places if places else ""), shown.tone)
        elif isinstance(shown.value, dt.date):
            cell.style = self._look(f"{LOCALE}dd/mm/yyyy", shown.tone)
        return cell

    def _text(self, sheet: Any, text: str, style: str) -> Any:
        if ILLEGAL_CHARACTERS_RE.search(text):
            text = escape(text)
        if len(text) > MAX_TEXT:
            raise ExportError(f"a text of {len(text)} characters is too long for a cell of Excel")
        cell = WriteOnlyCell(sheet, text)
        cell.style = style
        # openpyxl would make a formula of a text that begins with "=".
        cell.data_type = "s"
        # Stays text also when somebody edits the cell.
        cell.quotePrefix = text.startswith(FORMULA_STARTS)
        return cell

    def _look(self, number_format: str, tone: str) -> str:
        """The name of the style for a format and a tone, made when it is first asked for."""
        key = (number_format, tone)
        if key not in self._styles:
            self._styles[key] = f"nq42 {len(self._styles) + 1}"
            look: dict[str, Any] = {"number_format": number_format}
            if tone in TONES:
                look["fill"] = _fill(TONES[tone])
            self._style(self._styles[key], **look)
        return self._styles[key]


def _fill(colour: str) -> PatternFill:
    return PatternFill("solid", start_color=colour)


class _SteadyZip(zipfile.ZipFile):
    """A ZIP file whose members carry no time of writing."""

    def writestr(self, member: Any, data: Any, *args: Any, **kwargs: Any) -> None:
        super().writestr(self._steady(member), data, *args, **kwargs)

    def write(self, filename: Any, arcname: Any = None, *_: Any, **__: Any) -> None:
        with Path(filename).open("rb") as source, self.open(self._steady(arcname), "w") as target:
            while block := source.read(1 << 20):
                target.write(block)

    def _steady(self, name: str) -> zipfile.ZipInfo:
        member = zipfile.ZipInfo(name, ZIP_TIME)
        member.compress_type = self.compression
        return member
