"""A mart as typed columns: PostgreSQL's text → Arrow, exact, a block of rows at a time.

Every export is made of these tables, whatever its format: they cannot differ from each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from loaders.exports.release import ExportError, Facts, Source

BLOCK_BYTES = 1 << 20
#: A numeric column without a scale of its own gets this one, so that it is of one type in every
#: release; figures with more decimals get more.
DECIMALS = 10
MAX_DIGITS = 38
ARROW_TYPES = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
}
NUMERIC = "numeric"
#: A row with this flag shows none of these; its denominator is public.
HIDDEN, SECRETS = "is_suppressed", ("value", "numerator", "contributors")
NUMBER = r"^-?(\d+)(?:\.(\d+))?$"


@dataclass(frozen=True)
class Table:
    """A mart on disk: as PostgreSQL writes it (`source.file`), and typed (`parquet`)."""

    source: Source
    parquet: Path

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def columns(self) -> dict[str, str]:
        return self.source.columns

    def scan(self) -> pl.LazyFrame:
        return pl.scan_parquet(self.parquet)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Row by row, in the order of the text of the rows."""
        with pq.ParquetFile(self.parquet) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()


@dataclass(frozen=True)
class Snapshot:
    """A release with its marts, in a folder of the export; the database is not asked any more."""

    facts: Facts
    tables: dict[str, Table]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a small mart; none where the release has no such mart."""
        return list(self.tables[name].rows()) if name in self.tables else []

    def refuse_shown_secrets(self) -> None:
        """The last look before anything is handed out.

        Raises:
            ExportError: a hidden cell shows its figure.
        """
        for table in self.tables.values():
            if HIDDEN not in table.columns:
                continue
            shown = [pl.col(name).is_not_null() for name in SECRETS if name in table.columns]
            hidden = table.scan().filter(pl.col(HIDDEN) & pl.any_horizontal(shown))
            if count := hidden.select(pl.len()).collect().item():
                raise ExportError(f"marts.{table.name} shows the figures of {count} hidden cells")

    def columns(self, name: str) -> dict[str, str]:
        return self.tables[name].columns if name in self.tables else {}


def type_table(source: Source, facts: Facts, folder: Path) -> Table:
    """Write the mart as `<name>.parquet`; the file says itself what it is.

    Raises:
        ExportError: a number that no decimal type holds, or not the rows that the manifest counts.
    """
    path = folder / f"{source.name}.parquet"
    schema, count = _schema(source, facts), 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in text_batches(source):
            count += batch.num_rows
            writer.write_batch(_typed(batch, source, schema))
    if count != source.rows:
        raise ExportError(f"marts.{source.name} has {source.rows} rows, read were {count}")
    return Table(source, path)


def text_batches(source: Source) -> Iterator[pa.RecordBatch]:
    """Every cell as PostgreSQL prints it; NULL is null, an empty text is a text."""
    names = list(source.columns)
    with pyarrow.csv.open_csv(
        source.file,
        read_options=pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=names,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    ) as reader:
        yield from reader


def plain(number: Decimal) -> str:
    """A decimal in its shortest form, without exponent: 12.50 → 12.5, 1E+3 → 1000."""
    text = f"{number:f}"
    shortest = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if shortest in ("", "-0") else shortest


def _schema(source: Source, facts: Facts) -> pa.Schema:
    types = {name: ARROW_TYPES.get(kind, pa.string()) for name, kind in source.columns.items()}
    types.update(_decimals(source))
    about = {
        "title": source.about,
        "columns": json.dumps(source.meanings, ensure_ascii=False),
        "release_id": facts.release_id,
        "release_hash": facts.hash,
        "as_of_period": facts.as_of_period,
        "data_labels": ",".join(facts.data_labels),
        "label": " / ".join(facts.label),
        "licence_note": facts.licence_note,
        "table_sha256": source.sha256,
    }
    fields = [
        pa.field(name, type_, metadata={"description": source.meanings[name]})
        for name, type_ in types.items()
    ]
    return pa.schema(fields, metadata=about)


def _decimals(source: Source) -> dict[str, pa.DataType]:
    """The type of each numeric column that holds every figure in it exactly."""
    names = [name for name, kind in source.columns.items() if kind.startswith(NUMERIC)]
    whole, behind = dict.fromkeys(names, 1), dict.fromkeys(names, DECIMALS)
    for batch in text_batches(source):
        frame = pl.DataFrame(pl.from_arrow(batch))
        for name in names:
            column = frame[name].drop_nulls()
            if not column.str.contains(NUMBER).all():
                raise ExportError(f"marts.{source.name}.{name} holds something that is no number")
            for lengths, group in ((whole, 1), (behind, 2)):
                longest = column.str.extract(NUMBER, group).str.len_chars().max()
                lengths[name] = max(lengths[name], int(longest or 0))  # type: ignore[call-overload]
    found: dict[str, pa.DataType] = {}
    for name in names:
        digits = whole[name] + behind[name]
        if digits > MAX_DIGITS:
            raise ExportError(f"marts.{source.name}.{name} holds numbers of {digits} digits")
        found[name] = pa.decimal128(MAX_DIGITS, behind[name])
    return found


def _typed(batch: pa.RecordBatch, source: Source, schema: pa.Schema) -> pa.RecordBatch:
    columns = []
    for name, kind in source.columns.items():
        column, type_ = batch.column(name), schema.field(name).type
        if kind == "boolean":
            column = pc.equal(column, "t")
        elif kind == "timestamp with time zone":
            column = pc.cast(pc.replace_substring_regex(column, r"\+00$", "Z"), type_)
        elif type_ != pa.string():
            column = pc.cast(column, type_)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=schema)
