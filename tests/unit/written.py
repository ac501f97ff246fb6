"""Files and answers of generated months, for tests that work the answer out from the files."""

from __future__ import annotations

import csv
from pathlib import Path

import polars as pl

from loaders.contracts.model import get_dataset
from loaders.readers import READERS, Table
from loaders.sample import GeneratedFile, generate

Row = dict[str, str]


def table_of(file: GeneratedFile) -> Table:
    """A generated file opened as its contract says."""
    extension = get_dataset(file.source, file.dataset).extension
    return READERS[extension.reader.name](file.path, extension.limits, **extension.reader.options)


def text_of(file: GeneratedFile) -> pl.DataFrame:
    """All rows of a generated file as its reader gives them."""
    return pl.concat(batch.frame for batch in table_of(file).batches)


class Written:
    """The files of some months, without their damaged rows, and the answers."""

    def __init__(self, months: list[str], folder: Path) -> None:
        self.files = generate(months, 0.01, 7, folder / "inbox", folder / "truth")
        self.truth = _read(folder / "truth" / "truth.csv")
        self.defects = _read(folder / "truth" / "defects.csv")

    def good(self, dataset: str, period: str) -> list[Row]:
        """Rows by contract column that nothing is wrong with; of a duplicate the first stays."""
        bad = {
            int(d["row_number"])
            for d in self.defects
            if (d["dataset"], d["period"]) == (dataset, period)
        }
        file: GeneratedFile = next(
            f for f in self.files if (f.dataset, f.period) == (dataset, period)
        )
        contract = get_dataset(file.source, dataset)
        names = {column.header(period): column.name for column in contract.columns}
        frame = text_of(file)
        return [
            {names.get(header, header): value for header, value in row.items()}
            for row in frame.iter_rows(named=True)
            if row["_row_number"] not in bad
        ]

    def total(
        self, kpi_id: str, period: str, breakdown_value: str = "total", series: str = "total"
    ) -> tuple[int, int]:
        boundary = "qn_programme" if period < "2025" else "qn_current"
        (row,) = (
            row
            for row in self.truth
            if row["kpi_id"] == kpi_id
            and row["period"] == period
            and (row["boundary"], row["unit_level"]) == (boundary, "boundary")
            and (row["series"], row["breakdown_value"]) == (series, breakdown_value)
        )
        return int(row["numerator"]), int(row["denominator"])


def _read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
