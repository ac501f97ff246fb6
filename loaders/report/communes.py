"""A KPI by commune: map, best and weakest, and the table of all communes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loaders.report import charts, words
from loaders.report.boundaries import Boundaries
from loaders.report.data import PROGRAMME, Row
from loaders.report.figures import Block, Figures

EXTREMES = 5


class Communes:
    """Maps and tables of communes; outlines where they are known, else tiles."""

    def __init__(self, figures: Figures, boundaries: Boundaries | None = None) -> None:
        self.figures, self.boundaries = figures, boundaries
        self.layouts: dict[tuple[str, ...], tuple[str, charts.Layout]] = {}

    def block(self, kpi: Row, rows: Sequence[Row]) -> Block | None:
        """The communes of one KPI and series in their latest period; None without any figure."""
        if all(row["value"] is None and not row["is_suppressed"] for row in rows):
            return None
        shown = [row for row in rows if row["value"] is not None]
        limits = charts.colour_limits([row["value"] for row in shown])
        decimals = min(kpi["decimals"] or 0, 1)
        legend = [words.number(limit, decimals) for limit in limits]
        if shown:
            legend.insert(0, words.number(min(row["value"] for row in shown), decimals))
        tones = {
            row["unit_id"]: charts.colour_class(row["value"], limits)
            if row["value"] is not None
            else "none"
            for row in rows
        }
        return {
            "areas": self._areas(kpi, rows, tones) if self._is_drawn(rows) else None,
            "tiles": None if self._is_drawn(rows) else self._tiles(rows, tones, decimals),
            "legend": legend,
            "period": words.period(rows[0]["period"]),
            "count": len(rows),
            "suppressed": sum(bool(row["is_suppressed"]) for row in rows),
            "without": sum(row["value"] is None and not row["is_suppressed"] for row in rows),
            **self._extremes(kpi, shown),
        }

    def _is_drawn(self, rows: Sequence[Row]) -> bool:
        """Whether the outlines of all these communes are known; those of before 07/2025 are not."""
        known = self.boundaries.paths if self.boundaries else {}
        return all(row["unit_id"] in known for row in rows)

    def _areas(self, kpi: Row, rows: Sequence[Row], tones: dict[str, Any]) -> list[Block]:
        return [
            {
                "code": row["unit_code"],
                "tone": tones[row["unit_id"]],
                "in_programme": row["boundary"] == PROGRAMME,
                "title": f"{row['full_name_vi']}: {self._told(kpi, row)}",
            }
            # A dashed border lies on that of its neighbours, not under it.
            for row in sorted(rows, key=lambda row: (row["boundary"] != PROGRAMME, row["unit_id"]))
        ]

    def _told(self, kpi: Row, row: Row) -> str:
        if row["is_suppressed"]:
            return "bảo mật (số ít người)"
        return self.figures.figure(kpi, row["value"])

    def _tiles(self, rows: Sequence[Row], tones: dict[str, Any], decimals: int) -> Block:
        """Tiles of one colour are one shape: a report has some thousand tiles."""
        layout_id, layout = self._layout(rows)
        by_unit = {row["unit_id"]: row for row in rows}
        shapes: dict[tuple[bool, str], list[charts.Tile]] = {}
        figures = []
        for tile in layout.tiles:
            row = by_unit[tile.unit_id]
            key = (row["boundary"] == PROGRAMME, str(tones[tile.unit_id]))
            shapes.setdefault(key, []).append(tile)
            is_known = row["value"] is not None
            value = words.number(row["value"], decimals) if is_known else words.NOTHING
            figures.append((tile, "✱" if row["is_suppressed"] else value))
        return {
            "layout_id": layout_id,
            "layout": layout,
            "shapes": [
                {"in_programme": inside, "tone": tone, "path": charts.tiles_path(tiles)}
                for (inside, tone), tiles in sorted(shapes.items(), reverse=True)
            ],
            "hatching": charts.tiles_hatching(
                tile for (_, tone), tiles in shapes.items() if tone == "none" for tile in tiles
            ),
            "figures": figures,
        }

    def _layout(self, rows: Sequence[Row]) -> tuple[str, charts.Layout]:
        """Tiles are placed and named once for each set of communes."""
        units = tuple(sorted(row["unit_id"] for row in rows))
        if units not in self.layouts:
            self.layouts[units] = (f"names-{len(self.layouts) + 1}", charts.layout(rows))
        return self.layouts[units]

    def _extremes(self, kpi: Row, shown: Sequence[Row]) -> Block:
        sign = kpi["direction_sign"] or 1
        ordered = sorted(shown, key=lambda row: (-sign * row["value"], row["sort_key"] or ""))
        length = min(EXTREMES, len(ordered) // 2)
        line = [
            {
                "name": row["full_name_vi"],
                "value": self.figures.figure(kpi, row["value"]),
                "numerator": words.number(row["numerator"]),
                "denominator": words.number(row["denominator"]),
            }
            for row in ordered
        ]
        return {"best": line[:length], "worst": line[::-1][:length]}

    def tables(self, label: str) -> list[Block]:
        """All communes by all KPIs with this label; one table for each month and set of units."""
        tables: dict[tuple[tuple[str, ...], str], dict[str, Any]] = {}
        for (kpi_id, row_label, series), rows in self.figures.communes.items():
            if row_label != label or kpi_id not in self.figures.kpis:
                continue
            units = tuple(sorted(row["unit_id"] for row in rows))
            table = tables.setdefault(
                (units, rows[0]["period"]),
                {"period": words.period(rows[0]["period"]), "kpis": [], "units": {}},
            )
            kpi = self.figures.kpis[kpi_id]
            table["kpis"].append(
                {"kpi": kpi, "series": words.text_of(words.SERIES, series), "key": (kpi_id, series)}
            )
            for row in rows:
                unit = table["units"].setdefault(row["unit_id"], {"row": row, "cells": {}})
                decimals = kpi["decimals"] or 0
                text = "✱" if row["is_suppressed"] else words.number(row["value"], decimals)
                unit["cells"][kpi_id, series] = text
        for table in tables.values():
            table["units"] = sorted(
                table["units"].values(), key=lambda unit: unit["row"]["sort_key"] or ""
            )
        return list(tables.values())
