"""The KPI figures as SDMX-CSV 2.0, with the structure that they follow as SDMX-ML 3.0.

Every cell is a code or a number: free text is in code lists, so that nothing needs escaping.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from loaders.exports.csv_files import LINE_END, describe
from loaders.exports.json_files import VALUES
from loaders.exports.json_text import write_json
from loaders.exports.sdmx_ids import sdmx_id, sdmx_period
from loaders.exports.sdmx_structure import FIXED, FLOW, PARTS, Part, named, write_structure
from loaders.exports.tables import Snapshot, Table, text_batches
from loaders.report import words

CAVEAT = pl.concat_str(["caveat_vi", "caveat_en"], separator=" / ", ignore_nulls=True)


def write_sdmx_files(snapshot: Snapshot, folder: Path) -> Iterator[tuple[Path, int]]:
    """Each file with its number of observations or codes; none without the mart of the figures."""
    if VALUES not in snapshot.tables:
        return
    table = snapshot.tables[VALUES]
    data, beside = folder / "kpi_values.csv", folder / "kpi_values.csv-metadata.json"
    caveats = _caveats(table)
    with data.open("wb") as file:
        file.writelines(_lines(table, snapshot.facts.release_id, caveats))
    yield data, table.source.rows
    write_json(beside, _describe(data.name, snapshot))
    yield beside, len(PARTS)
    structure = folder / "structure.xml"
    codes = _codes(snapshot, caveats)
    yield structure, write_structure(structure, snapshot.facts, codes, table.source.meanings)


def _lines(table: Table, release_id: str, caveats: Mapping[str, str]) -> Iterator[bytes]:
    yield (",".join(("STRUCTURE,STRUCTURE_ID,ACTION", *(p.id for p in PARTS))) + LINE_END).encode()
    periods = {period: sdmx_period(period) for period in _found(table, "period")}
    cells = {
        "FREQ": pl.col("period").replace_strict({p: f for p, (f, _) in periods.items()}),
        "TIME_PERIOD": pl.col("period").replace_strict({p: t for p, (_, t) in periods.items()}),
        "CONF_STATUS": pl.when(pl.col("is_suppressed") == "t")
        .then(pl.lit("C"))
        .otherwise(pl.lit("F")),
        "CAVEAT": CAVEAT.replace_strict(caveats, default=None, return_dtype=pl.String),
        "RELEASE": pl.lit(release_id),
    }
    columns = [cells.get(part.id, _cell(table, part)).fill_null("") for part in PARTS]
    line = pl.concat_str([pl.lit(f"dataflow,{FLOW},I"), *columns], separator=",") + LINE_END
    for batch in text_batches(table.source):
        lines = pl.DataFrame(pl.from_arrow(batch)).select(line).to_series()
        yield lines.str.join("").item().encode()


def _cell(table: Table, part: Part) -> pl.Expr:
    """A number in its own digits, a text as an identifier."""
    if part.column not in table.columns or table.columns[part.column] != "text":
        return pl.col(part.column)
    identifiers = {code: sdmx_id(code) for code in _found(table, part.column)}
    return pl.col(part.column).replace_strict(identifiers, default=None, return_dtype=pl.String)


def _found(table: Table, column: str) -> list[str]:
    """Every text of a column, in order."""
    values = table.scan().select(pl.col(column).drop_nulls().unique().sort()).collect()
    return values[column].to_list()


def _caveats(table: Table) -> dict[str, str]:
    """Text of a caveat → its code."""
    texts = table.scan().select(CAVEAT.alias("text").unique().sort()).collect()["text"]
    return {text: f"C{number}" for number, text in enumerate(filter(None, texts), start=1)}


def _codes(snapshot: Snapshot, caveats: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Component → identifier → name; of KPIs and units also those without figures."""
    table = snapshot.tables[VALUES]
    names: dict[str, dict[str, str]] = {
        "KPI": {r["kpi_id"]: _both(r["name_vi"], r["name_en"]) for r in snapshot.rows("dim_kpi")},
        "REF_AREA": {
            r["unit_id"]: _both(r["name_vi"], r["name_en"]) for r in snapshot.rows("dim_unit")
        },
        "DATA_LABEL": _words(words.LABELS),
        "SERIES": _words(words.SERIES),
        "BOUNDARY": _words(words.BOUNDARIES),
        "BREAKDOWN": _words(words.BREAKDOWNS),
        "BREAKDOWN_VALUE": {
            value: _both(*words.breakdown_value_text(breakdown, value))
            for breakdown, value in table.scan()
            .select("breakdown", "breakdown_value")
            .unique()
            .sort("breakdown", "breakdown_value")
            .collect()
            .iter_rows()
        },
        "MATURITY": _words(words.MATURITIES),
    }
    every = {"KPI", "REF_AREA"}
    codes: dict[str, dict[str, str]] = {
        part.id: named(
            {*_found(table, part.column), *(names[part.id] if part.id in every else ())},
            names.get(part.id, {}),
        )
        for part in PARTS
        if part.type is None and part.column in table.columns and part.id not in FIXED
    }
    codes["CAVEAT"] = {code: text for text, code in caveats.items()}
    return codes | FIXED


def _words(texts: Mapping[str, words.Text]) -> dict[str, str]:
    return {code: _both(*text) for code, text in texts.items()}


def _both(vi: str | None, en: str | None) -> str:
    return " / ".join(dict.fromkeys(filter(None, (vi, en))))


def _describe(url: str, snapshot: Snapshot) -> dict[str, Any]:
    """Release, hash and licence, as beside every CSV; its columns are those of the structure."""
    beside = describe(url, snapshot.tables[VALUES], snapshot.facts)
    return {name: value for name, value in beside.items() if name != "tableSchema"} | {
        "dc:conformsTo": "structure.xml"
    }
