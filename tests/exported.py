"""Exported files read back with other means than those that wrote them, as rows of Python values.

A row of `fct_kpi_value` is compared as it comes out of PostgreSQL: decimals exact, NULL as None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pyarrow.parquet as pq
from psycopg import sql
from psycopg.rows import dict_row

from loaders.exports.sdmx_ids import original_code, original_period
from loaders.exports.text import original
from loaders.postgres.database import Role, connect

Row = dict[str, Any]
VALUES = "fct_kpi_value"
KEY = (
    *("kpi_id", "data_label", "series", "period", "boundary", "unit_code"),
    *("breakdown", "breakdown_value"),
)
CSV_CELL = re.compile(r'"((?:[^"]|"")*)"|([^,\r\n]*)')


def marts() -> dict[str, list[Row]]:
    """Mart → its published rows, read as the BI tools read them."""
    found = {}
    with connect(Role.BI) as connection, connection.cursor(row_factory=dict_row) as cursor:
        for name in _names(connection):
            cursor.execute(sql.SQL("select * from marts.{}").format(sql.Identifier(name)))
            found[name] = cursor.fetchall()
    return found


def _names(connection: psycopg.Connection) -> list[str]:
    query = "select tablename from pg_tables where schemaname = 'marts' order by 1"
    return [name for (name,) in connection.execute(query).fetchall()]


def in_order(rows: Iterable[Row]) -> list[str]:
    """Rows in one order, in a form that tells apart all that two of them may differ in.

    Decimals by their number (1.0 and 1.00 are one figure), times by the moment.
    """
    return sorted(repr({name: _plain(row[name]) for name in sorted(row)}) for row in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, (Decimal, int, float)) and not isinstance(value, bool):
        return f"number {Decimal(str(value)).normalize():f}"
    if isinstance(value, datetime):
        return f"moment {value.timestamp():.6f}"
    return value


# --- one reader for each format -----------------------------------------------------------------


def read_csv(folder: Path, name: str) -> list[Row]:
    """The CSV by its metadata: bare and empty is None, one apostrophe is taken off a text."""
    described = json.loads((folder / f"{name}.csv-metadata.json").read_text(encoding="utf-8"))
    types = {c["name"]: c["datatype"] for c in described["tableSchema"]["columns"]}
    (header, *lines) = csv_cells((folder / f"{name}.csv").read_bytes())
    assert [text for text, _ in header] == list(types)
    return [
        {
            column: _csv_value(cell, is_quoted, kind)
            for (column, kind), (cell, is_quoted) in zip(types.items(), line, strict=True)
        }
        for line in lines
    ]


def csv_cells(content: bytes) -> list[list[tuple[str, bool]]]:
    """Each line's cells, and whether they are quoted; strictly RFC 4180 behind the mark."""
    text, at, lines = content.decode("utf-8-sig"), 0, []
    assert text.endswith("\r\n")
    while at < len(text):
        line = []
        while True:
            found = CSV_CELL.match(text, at)
            assert found is not None
            is_quoted = found.group(1) is not None
            line.append(((found.group(1) or found.group(2) or "").replace('""', '"'), is_quoted))
            at = found.end()
            if text.startswith("\r\n", at):
                at += 2
                break
            assert text[at] == ",", text[at - 20 : at + 20]
            at += 1
        lines.append(line)
    return lines


def _csv_value(cell: str, is_quoted: bool, kind: str) -> Any:
    if kind == "string":
        return original(cell) if is_quoted else _none(cell)
    assert not is_quoted
    if cell == "":
        return None
    readers = {
        "boolean": {"true": True, "false": False}.__getitem__,
        "date": date.fromisoformat,
        "dateTimeStamp": datetime.fromisoformat,
        "double": float,
    }
    return readers.get(kind, Decimal)(cell)


def _none(cell: str) -> None:
    assert cell == ""


def read_parquet(folder: Path, name: str) -> list[Row]:
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)


def values_of_json(folder: Path) -> list[Row]:
    """Every figure of the series files."""
    found = []
    for path in (folder / "kpis").glob("*.json"):
        document = read_json(path)
        assert document["kpi"]["kpi_id"] == path.stem
        for series in document["series"]:
            head = {"kpi_id": path.stem} | series
            del head["observations"]
            found += [head | observation for observation in series["observations"]]
    return found


def values_of_sdmx(folder: Path) -> list[Row]:
    """Every observation, read by pysdmx against the structure; every code is in its list."""
    from pysdmx.io import get_datasets

    (data,) = get_datasets(folder / "kpi_values.csv", folder / "structure.xml")
    components = data.structure.components
    frame = data.data
    assert list(frame.columns) == [component.id for component in components]
    names = {}
    for component in components:
        if component.enumeration is not None:
            names[component.id] = {code.id: code.name for code in component.enumeration}
            used = set(frame[component.id].dropna()) - {""}
            assert used <= names[component.id].keys(), (component.id, used)
    return [_observation(record, names) for record in frame.to_dict("records")]


def _observation(record: Row, names: dict[str, dict[str, str]]) -> Row:
    def code(name: str) -> str | None:
        return original_code(record[name]) if record[name] else None

    def number(name: str) -> Decimal | None:
        found = record[name]
        return None if found is None or found != found else Decimal(str(found))

    return {
        "kpi_id": code("KPI"),
        "data_label": code("DATA_LABEL"),
        "series": code("SERIES"),
        "period": original_period(record["TIME_PERIOD"]),
        "boundary": code("BOUNDARY"),
        "unit_level": code("UNIT_LEVEL"),
        "unit_code": code("UNIT_CODE"),
        "unit_id": code("REF_AREA"),
        "breakdown": code("BREAKDOWN"),
        "breakdown_value": code("BREAKDOWN_VALUE"),
        "numerator": number("NUMERATOR"),
        "denominator": number("DENOMINATOR"),
        "value": number("OBS_VALUE"),
        "contributors": number("CONTRIBUTORS"),
        "denominator_id": code("DENOMINATOR_ID"),
        "denominator_vintage": code("DENOMINATOR_VINTAGE"),
        "maturity": code("MATURITY"),
        "is_suppressed": {"C": True, "F": False}[record["CONF_STATUS"]],
        "caveat": names["CAVEAT"][record["CAVEAT"]] if record["CAVEAT"] else None,
    }


def read_sheets(path: Path) -> dict[str, list[list[Any]]]:
    """Sheet → its rows as they are shown, title and header first; no cell is a formula."""
    book = openpyxl.load_workbook(path)
    found = {}
    for sheet in book:
        assert sheet.freeze_panes == "A3"
        assert not [c.coordinate for row in sheet for c in row if c.data_type in ("f", "e")]
        found[sheet.title] = [[cell.value for cell in row] for row in sheet.iter_rows()]
    return found


def values_of_sheets(sheets: dict[str, list[list[Any]]]) -> list[Row]:
    """The figures of the sheets of communes and of the time series."""
    found = []
    for name, (_, header, *rows) in sheets.items():
        if name.startswith(("Theo xã", "Chuỗi")):
            columns = [text.split("\n")[1] for text in header]
            found += [dict(zip(columns, row, strict=True)) for row in rows]
    return found
