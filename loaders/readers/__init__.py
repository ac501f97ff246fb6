"""Readers turn the bytes of a delivery into batches of text; a contract names one."""

from loaders.readers.base import Limits, ReaderError, Table, TextBatch
from loaders.readers.delimited import read_csv
from loaders.readers.jsonlines import read_jsonlines
from loaders.readers.jsonstat import read_jsonstat
from loaders.readers.parquet import read_parquet
from loaders.readers.px import read_px
from loaders.readers.sdmx import read_sdmx
from loaders.readers.workbook import read_xlsx
from loaders.readers.worldbank import read_worldbank
from loaders.readers.xml130 import read_xml130

READERS = {
    "csv": read_csv,
    "jsonlines": read_jsonlines,
    "jsonstat": read_jsonstat,
    "parquet": read_parquet,
    "px": read_px,
    "sdmx": read_sdmx,
    "worldbank": read_worldbank,
    "xlsx": read_xlsx,
    "xml130": read_xml130,
}

__all__ = ["READERS", "Limits", "ReaderError", "Table", "TextBatch"]
