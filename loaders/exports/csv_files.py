"""CSV by RFC 4180, one file per mart, with its description beside it (CSV on the Web)."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from loaders.exports.json_text import write_json
from loaders.exports.release import Facts
from loaders.exports.tables import NUMERIC, Snapshot, Table, text_batches
from loaders.exports.text import harmless

LINE_END = "\r\n"
#: PostgreSQL type → CSVW datatype of the cells, which are not quoted; every other type is text.
DATATYPES = {
    "smallint": "short",
    "integer": "int",
    "bigint": "long",
    "real": "float",
    "double precision": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp with time zone": "dateTimeStamp",
}
TERM = "urn:x-nq42:term:"


def write_csv_files(snapshot: Snapshot, folder: Path) -> Iterator[tuple[Path, int]]:
    """Each file with its number of rows."""
    for table in snapshot.tables.values():
        path = folder / f"{table.name}.csv"
        with path.open("wb") as file:
            # Without the mark at its start Excel takes UTF-8 for an old code page.
            file.write(codecs.BOM_UTF8)
            file.writelines(csv_lines(table))
        yield path, table.source.rows
        beside = folder / f"{table.name}.csv-metadata.json"
        write_json(beside, describe(path.name, table, snapshot.facts))
        yield beside, len(table.columns)


def csv_lines(table: Table) -> Iterator[bytes]:
    """Header and rows: text quoted, a number, date or truth value bare, nothing for NULL."""
    header = ",".join(f'"{name}"' for name in table.columns)
    yield f"{header}{LINE_END}".encode()
    cells = pl.concat_str(
        [_cell(name, kind).fill_null("") for name, kind in table.columns.items()], separator=","
    )
    for batch in text_batches(table.source):
        lines = pl.DataFrame(pl.from_arrow(batch)).select(cells + LINE_END).to_series()
        yield lines.str.join("").item().encode()


def describe(url: str, table: Table, facts: Facts) -> dict[str, Any]:
    """The table's metadata in the vocabulary of CSV on the Web."""
    return {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": "vi"}],
        "url": url,
        "dc:title": table.source.about,
        "dc:identifier": facts.release_id,
        "dc:rights": facts.licence_note,
        "dc:bibliographicCitation": " ".join(facts.citation),
        **{TERM + name: value for name, value in facts.to_dict().items()},
        TERM + "table_sha256": table.source.sha256,
        "dialect": {"encoding": "utf-8", "lineTerminators": [LINE_END], "quoteChar": '"'},
        "tableSchema": {
            "columns": [
                {
                    "name": name,
                    "titles": name,
                    "datatype": _datatype(kind),
                    "dc:description": table.source.meanings[name],
                }
                for name, kind in table.columns.items()
            ]
        },
    }


def _datatype(kind: str) -> str:
    return "decimal" if kind.startswith(NUMERIC) else DATATYPES.get(kind, "string")


def _cell(name: str, kind: str) -> pl.Expr:
    cell = pl.col(name)
    if kind == "boolean":
        return pl.when(cell == "t").then(pl.lit("true")).when(cell == "f").then(pl.lit("false"))
    if kind == "timestamp with time zone":
        return cell.str.replace(" ", "T").str.replace(r"\+00$", "Z")
    if _datatype(kind) != "string":
        return cell
    return pl.lit('"') + harmless(cell).str.replace_all('"', '""', literal=True) + pl.lit('"')
