"""Static JSON, laid out as a website's API: index, KPIs, units, series by KPI, scorecard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import polars as pl

from loaders.exports.json_text import json_object, json_text, write_json
from loaders.exports.release import ExportError
from loaders.exports.tables import Snapshot

VALUES = "fct_kpi_value"
#: What names a series; the other columns of a value belong to its observations.
SERIES = (
    *("data_label", "series", "boundary", "unit_level", "unit_code", "unit_id"),
    *("breakdown", "breakdown_value"),
)
AT_ONCE = 10_000
FILE_NAME = re.compile(r"[A-Za-z0-9_.-]+")
NUMBERS = (
    "Số viết đúng từng chữ số như trong kho; null là không có hoặc được bảo mật (is_suppressed). / "
    "Numbers have the very digits of the marts; null means none, or hidden (is_suppressed)."
)


def write_json_files(snapshot: Snapshot, folder: Path) -> Iterator[tuple[Path, int]]:
    """Each file with its number of records."""
    kpis = sorted(snapshot.rows("dim_kpi"), key=lambda row: (row["sort_order"], row["kpi_id"]))
    known = {row["kpi_id"]: row for row in kpis}
    valued = _kpis_with_values(snapshot)
    ids = [*known, *sorted(valued - known.keys())]
    (folder / "kpis").mkdir()
    for kpi_id in ids:
        if not FILE_NAME.fullmatch(kpi_id):
            raise ExportError(f"KPI {kpi_id!r} can give no file its name")
        path = folder / "kpis" / f"{kpi_id}.json"
        yield path, _write_kpi(snapshot, kpi_id, known.get(kpi_id), path)
    listed = {
        "kpis": [{**known.get(i, {"kpi_id": i}), "href": f"kpis/{i}.json"} for i in ids],
        "units": sorted(snapshot.rows("dim_unit"), key=itemgetter("unit_id")),
        "periods": sorted(snapshot.rows("dim_period"), key=itemgetter("period")),
        "targets": sorted(snapshot.rows("dim_target"), key=itemgetter("target_id")),
        "scorecard": sorted(
            snapshot.rows("scorecard"),
            key=lambda row: (row["sort_order"], row["data_label"] or "", row["boundary"] or ""),
        ),
    }
    for name, rows in listed.items():
        path = folder / f"{name}.json"
        write_json(path, {"release": snapshot.facts.to_dict(), name: rows})
        yield path, len(rows)
    index = folder / "index.json"
    release = snapshot.facts.to_dict()
    citation = snapshot.facts.citation
    write_json(
        index,
        {
            "release": release,
            "licence_note": snapshot.facts.licence_note,
            "citation_vi": citation.vi,
            "citation_en": citation.en,
            "numbers": NUMBERS,
            "links": {
                **{name: f"{name}.json" for name in listed},
                "series": "kpis/{kpi_id}.json",
            },
        },
    )
    yield index, len(ids)


def _kpis_with_values(snapshot: Snapshot) -> set[str]:
    if VALUES not in snapshot.tables:
        return set()
    return set(snapshot.tables[VALUES].scan().select("kpi_id").unique().collect()["kpi_id"])


def _write_kpi(snapshot: Snapshot, kpi_id: str, kpi: dict[str, Any] | None, path: Path) -> int:
    """The figures of a KPI by series and period; their number."""
    head = json_text({"release": snapshot.facts.to_dict(), "kpi": kpi or {"kpi_id": kpi_id}})
    figures = _figures(snapshot, kpi_id)
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{head[:-1]},"series":[\n')
        for number, part in enumerate(_parts(figures)):
            file.write((",\n" if number else "") + _series(part))
        file.write("]}\n")
    return figures.height


def _figures(snapshot: Snapshot, kpi_id: str) -> pl.DataFrame:
    if VALUES not in snapshot.tables:
        return pl.DataFrame()
    figures = snapshot.tables[VALUES].scan().filter(pl.col("kpi_id") == kpi_id)
    return figures.sort(*SERIES, "period", nulls_last=True).collect()


def _parts(figures: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Whole series, some thousand rows at a time: their text is many times their size."""
    if figures.is_empty():
        return
    differs = (pl.col(name).ne_missing(pl.col(name).shift()) for name in SERIES)
    starts = figures.select(pl.any_horizontal(*differs).arg_true()).to_series().to_list()
    begin = 0
    for end in [*starts, figures.height]:
        if end - begin >= AT_ONCE or end == figures.height:
            yield figures.slice(begin, end - begin)
            begin = end


def _series(figures: pl.DataFrame) -> str:
    """Each series as JSON, with its observations in time."""
    observed = [name for name in figures.columns if name not in (*SERIES, "kpi_id")]
    lines = figures.select(
        json_object(figures, SERIES).str.strip_suffix("}").alias("series"),
        json_object(figures, observed).alias("observation"),
    )
    grouped = lines.group_by("series", maintain_order=True).agg(
        pl.col("observation").str.join(",\n")
    )
    whole = pl.col("series") + ',"observations":[' + pl.col("observation") + "]}"
    return grouped.select(whole.str.join(",\n")).item()
