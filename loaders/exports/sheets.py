"""Sheets of a workbook, written row by row: typed cells, nothing that could be executed, no row or
text cut in silence."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
#: Rows above the figures: the title, then the header.
TOP = 2
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
    """A workbook in the making, for a `with` block; `save` writes the file.

    Every sheet begins with the title. Rows go to a temporary file: memory does not grow with them.
    """

    def __init__(self, title: str, facts: dict[str, str], made_at: dt.datetime) -> None:
        self.book, self.title = Workbook(write_only=True), title
        properties = self.book.properties
        properties.title, properties.creator = title, "nq42"
        properties.description = "\n".join(f"{key}: {value}" for key, value in facts.items())
        properties.created = properties.modified = made_at.replace(tzinfo=None, microsecond=0)
        self._looks: dict[tuple[str, str], str] = {}
        self._dresses: dict[tuple[str, bool], Any] = {}
        self._style("header", font=Font(bold=True, color="FFFFFF"), fill=_fill("1F4E79"))
        self._style("title", is_wrapped=False, font=Font(bold=True, size=14))

    def _style(self, name: str, *, is_wrapped: bool = True, **look: Any) -> None:
        alignment = Alignment(wrap_text=is_wrapped, vertical="top")
        self.book.add_named_style(NamedStyle(name=name, alignment=alignment, **look))

    def add(
        self,
        name: str,
        columns: Sequence[Column],
        rows: Iterable[Sequence[Any]],
    ) -> int:
        """Add a sheet with title and header, which stay in view; the number of rows.

        Rows beyond Excel's limit go on in further sheets: "name (2)", "name (3)", …
        """
        sheet, count, number = self._sheet(name, columns), 0, 1
        used = TOP
        for row in rows:
            if used == MAX_ROWS:
                number += 1
                sheet, used = self._sheet(f"{name} ({number})", columns), TOP
            sheet.append([self._cell(sheet, value) for value in row])
            used, count = used + 1, count + 1
        return count

    def __enter__(self) -> Book:
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was not saved: openpyxl leaves its files open and on disk."""
        for sheet in self.book.worksheets:
            if not sheet.closed:
                sheet.close()
                sheet._writer.cleanup()

    def save(self, path: Path) -> None:
        with _SteadyZip(path, "w", zipfile.ZIP_DEFLATED) as archive:
            ExcelWriter(self.book, archive).save()

    def _sheet(self, name: str, columns: Sequence[Column]) -> Any:
        sheet = self.book.create_sheet(name)
        for number, column in enumerate(columns, start=1):
            sheet.column_dimensions[get_column_letter(number)].width = column.width
        sheet.freeze_panes = f"A{TOP + 1}"
        sheet.print_title_rows = f"1:{TOP}"
        sheet.page_setup.orientation, sheet.page_setup.fitToHeight = "landscape", 0
        sheet.sheet_properties.pageSetUpPr.fitToPage = True
        sheet.append([self._text(sheet, self.title, "title")])
        sheet.append([self._text(sheet, column.header, "header") for column in columns])
        return sheet

    def _cell(self, sheet: Any, value: Any) -> Any:
        shown = value if isinstance(value, Shown) else Shown(value)
        if shown.value is None:
            return None
        if isinstance(shown.value, str):
            return self._text(sheet, shown.value, self._look("@", shown.tone))
        cell = WriteOnlyCell(sheet, shown.value)
        if isinstance(shown.value, dt.date):
            self._dress(cell, self._look(f"{LOCALE}dd/mm/yyyy", shown.tone))
        else:
            places = "." + "0" * shown.decimals if shown.decimals else ""
            self._dress(cell, self._look(f"{LOCALE}#,##0{places}", shown.tone))
        return cell

    def _text(self, sheet: Any, text: str, style: str) -> Any:
        if ILLEGAL_CHARACTERS_RE.search(text):
            text = escape(text)
        if len(text) > MAX_TEXT:
            raise ExportError(f"a text of {len(text)} characters is too long for a cell of Excel")
        cell = WriteOnlyCell(sheet, text)
        # openpyxl would make a formula of a text that begins with "=".
        cell.data_type = "s"
        # Quoted it stays text also when somebody edits the cell.
        self._dress(cell, style, is_quoted=text.startswith(FORMULA_STARTS))
        return cell

    def _dress(self, cell: Any, style: str, *, is_quoted: bool = False) -> None:
        """Looking a style up by its name takes longer than writing a cell: done once for each."""
        key = (style, is_quoted)
        if key not in self._dresses:
            cell.style, cell.quotePrefix = style, is_quoted
            self._dresses[key] = cell._style
        cell._style = self._dresses[key]

    def _look(self, number_format: str, tone: str) -> str:
        """The name of the style for a format and a tone, made when it is first asked for."""
        key = (number_format, tone)
        if key not in self._looks:
            self._looks[key] = f"nq42 {len(self._looks) + 1}"
            look: dict[str, Any] = {"number_format": number_format}
            if tone in TONES:
                look["fill"] = _fill(TONES[tone])
            self._style(self._looks[key], **look)
        return self._looks[key]


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
