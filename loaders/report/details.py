"""One block for each KPI: boundaries, communes, breakdowns, caveats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from loaders.report import charts, words
from loaders.report.data import PROGRAMME, Row
from loaders.report.figures import Block, Figures, anchor, flags_of, grouped, rank

EXTREMES = 5
HISTORY_LENGTH = 13


class Details:
    """The KPIs' blocks and the communes' tables, by data label."""

    def __init__(self, figures: Figures) -> None:
        self.figures, self.view = figures, figures.view
        self.layouts: dict[tuple[str, ...], tuple[str, charts.Layout]] = {}

    def details(self, label: str) -> list[Block]:
        """One block for every KPI that has any figure with this label."""
        with_figures = [
            kpi
            for kpi in self.view.kpis
            if (kpi["kpi_id"], label) in self.figures.boundary_values
            or (kpi["kpi_id"], label) in self.figures.reference_values
        ]
        return [self._detail(kpi, label) for kpi in with_figures]

    def _detail(self, kpi: Row, label: str) -> Block:
        key = (kpi["kpi_id"], label)
        values = self.figures.boundary_values.get(key, [])
        series = dict.fromkeys(row["series"] for row in values)
        # Communes may have figures in a month in which no boundary is complete.
        series.update(dict.fromkeys(k[2] for k in self.figures.communes if k[:2] == key))
        return {
            "anchor": anchor(label, kpi["kpi_id"]),
            "kpi": kpi,
            "name": words.Text(kpi["name_vi"], kpi["name_en"]),
            # Published figures of a KPI that is also computed are the agency's all the same.
            "origin": words.STATES["computed" if _is_computed(values) else "delivered"],
            "standing": words.text_of(words.STANDINGS, kpi["definition_standing"]),
            "standing_id": kpi["definition_standing"],
            "series": [self._series(kpi, label, name, values) for name in series],
            "references": [
                {
                    "unit": words.Text(
                        row["unit_name_vi"] or row["unit_code"],
                        row["unit_name_en"] or row["unit_code"],
                    ),
                    "series": words.text_of(words.SERIES, row["series"]),
                    "value": self.figures.figure(kpi, row["value"]),
                    "period": words.period(row["period"]),
                    "caveat": words.Text(row["caveat_vi"] or "", row["caveat_en"] or ""),
                }
                for row in self.figures.reference_values.get(key, [])
            ],
        }

    def _series(self, kpi: Row, label: str, series: str, values: Sequence[Row]) -> Block:
        key = (kpi["kpi_id"], label, series)
        by_boundary = grouped((row for row in values if row["series"] == series), "boundary")
        history = dict.fromkeys(
            row["period"]
            for row in sorted(
                (row for row in values if row["series"] == series),
                key=lambda row: row["year_decimal"],
            )
        )
        boundaries = [boundary for (boundary,) in by_boundary]
        cell = {(row["boundary"], row["period"]): row for row in values if row["series"] == series}
        communes = self.figures.communes.get(key, [])
        return {
            "name": words.text_of(words.SERIES, series),
            "is_only_total": series == "total",
            "boundaries": [words.text_of(words.BOUNDARIES, boundary) for boundary in boundaries],
            "results": [
                self._result(kpi, rows, self.figures.verdicts.get((*key, boundary)))
                for (boundary,), rows in by_boundary.items()
            ],
            "history": [
                {
                    "period": words.period(period),
                    "cells": [self.figures.cell(kpi, cell.get((b, period))) for b in boundaries],
                }
                for period in list(history)[-HISTORY_LENGTH:]
            ],
            "history_length": len(history),
            "breakdowns": self._breakdowns(kpi, self.figures.breakdowns.get(key, []), boundaries),
            "communes": self._communes(kpi, communes) if communes else None,
            "caveats": _caveats([rows[-1] for rows in by_boundary.values()], communes),
        }

    def _result(self, kpi: Row, rows: Sequence[Row], verdict: Row | None) -> Block:
        latest = rows[-1]
        target = self.figures.target_of(kpi["kpi_id"], verdict)
        result = {
            **self.figures.cell(kpi, latest),
            "boundary": words.text_of(words.BOUNDARIES, latest["boundary"]),
            "value": self.figures.figure(kpi, latest["value"], target),
            "period": words.period(latest["period"]),
            "maturity": words.text_of(words.MATURITIES, latest["maturity"]),
            "denominator_id": latest["denominator_id"],
            "denominator_vintage": latest["denominator_vintage"],
            "target": words.target_text(target, kpi["unit_vi"]),
            "trend": self.figures.trend(kpi, rows, target),
            "verdict": words.verdict_of(words.VERDICTS, verdict and verdict["verdict"]),
            "straight_line": words.verdict_of(
                words.STRAIGHT_LINE, verdict and verdict["straight_line_verdict"]
            ),
            "flags": flags_of(verdict),
            "facts": [],
            "reason": words.Text(verdict["reason_vi"], verdict["reason_en"]) if verdict else None,
        }
        if verdict:
            result["facts"] = self._facts(kpi, verdict)
        return result

    def _facts(self, kpi: Row, verdict: Row) -> list[tuple[words.Text, str]]:
        year = words.calendar_year(verdict["target_year"])
        facts = [
            (
                words.Text(f"Gốc ({words.period(verdict['base_period'])})", "Base"),
                verdict["base_value"],
            ),
            (
                words.Text("Theo đường thẳng đến nay", "Expected on the straight line"),
                verdict["straight_line_expected"],
            ),
            (
                words.Text(f"Dự kiến hết năm {year} với nhịp hiện tại", f"Expected for {year}"),
                verdict["projected_target_year_value"],
            ),
        ]
        shown = [
            (text, self.figures.figure(kpi, value)) for text, value in facts if value is not None
        ]
        if verdict["projected_achievement_year"] is not None:
            text = words.Text(
                "Năm đạt chỉ tiêu với nhịp hiện tại", "Year of achievement at this pace"
            )
            shown.append((text, words.calendar_year(verdict["projected_achievement_year"])))
        if verdict["score"] is not None:
            text = words.Text("Điểm (−5 đến 5)", "Score (−5 to 5)")
            shown.append((text, words.number(verdict["score"], 1)))
        return shown

    def _breakdowns(self, kpi: Row, rows: Sequence[Row], boundaries: Sequence[str]) -> list[Block]:
        blocks = []
        for (breakdown,), members in sorted(
            grouped(rows, "breakdown").items(), key=lambda item: rank(words.BREAKDOWNS, item[0][0])
        ):
            by_value = grouped(members, "breakdown_value")
            lines = []
            for value in sorted((key[0] for key in by_value), key=_value_rank):
                at = {row["boundary"]: row for row in by_value[value,]}
                lines.append(
                    {
                        "text": words.breakdown_value_text(breakdown, value),
                        "cells": [
                            self.figures.cell(kpi, at.get(boundary)) for boundary in boundaries
                        ],
                    }
                )
            blocks.append({"text": words.text_of(words.BREAKDOWNS, breakdown), "lines": lines})
        return blocks

    # --- communes -----------------------------------------------------------------------------

    def _communes(self, kpi: Row, rows: Sequence[Row]) -> Block:
        layout_id, layout = self._layout(rows)
        by_unit = {row["unit_id"]: row for row in rows}
        shown = [row for row in rows if row["value"] is not None]
        limits = charts.colour_limits([row["value"] for row in shown])
        decimals = min(kpi["decimals"] or 0, 1)
        tiles = []
        for tile in layout.tiles:
            row = by_unit[tile.unit_id]
            is_known = row["value"] is not None
            value = words.number(row["value"], decimals) if is_known else words.NOTHING
            tiles.append(
                {
                    "tile": tile,
                    "tone": charts.colour_class(row["value"], limits) if is_known else "none",
                    "in_programme": row["boundary"] == PROGRAMME,
                    "value": "✱" if row["is_suppressed"] else value,
                    "title": f"{row['full_name_vi']}: {self._told(kpi, row)}",
                }
            )
        legend = [words.number(limit, decimals) for limit in limits]
        if shown:
            legend.insert(0, words.number(min(row["value"] for row in shown), decimals))
        return {
            "layout_id": layout_id,
            "layout": layout,
            "tiles": tiles,
            "legend": legend,
            "period": words.period(rows[0]["period"]),
            "count": len(rows),
            "suppressed": sum(bool(row["is_suppressed"]) for row in rows),
            **self._extremes(kpi, shown),
        }

    def _told(self, kpi: Row, row: Row) -> str:
        if row["is_suppressed"]:
            return "bảo mật (số ít người)"
        return self.figures.figure(kpi, row["value"])

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

    def commune_tables(self, label: str) -> list[Block]:
        """All communes by all KPIs with this label; one table for each month and set of units."""
        tables: dict[tuple[str, str], dict[str, Any]] = {}
        for (kpi_id, row_label, series), rows in self.figures.communes.items():
            if row_label != label or kpi_id not in self.figures.kpis:
                continue
            layout_id, _ = self._layout(rows)
            table = tables.setdefault(
                (layout_id, rows[0]["period"]),
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


def _is_computed(values: Iterable[Row]) -> bool:
    return any(row["denominator_id"] for row in values)


def _caveats(rows: Iterable[Row], communes: Iterable[Row]) -> list[words.Text]:
    """Each caveat once; those of communes with the names of the communes."""
    found = dict.fromkeys(
        words.Text(row["caveat_vi"], row["caveat_en"] or "") for row in rows if row["caveat_vi"]
    )
    named: dict[words.Text, list[Row]] = {}
    for row in communes:
        if row["caveat_vi"]:
            text = words.Text(row["caveat_vi"], row["caveat_en"] or "")
            named.setdefault(text, []).append(row)
    for text, members in named.items():
        names_vi = ", ".join(row["full_name_vi"] for row in members)
        names_en = ", ".join(row["name_en"] or row["full_name_vi"] for row in members)
        found[words.Text(f"{names_vi}: {text.vi}", f"{names_en}: {text.en}")] = None
    return list(found)


def _value_rank(value: str) -> tuple[int, int, str]:
    """Ages by number, everything else in the order of its words."""
    digits = value.replace("+", "-").split("-")[0]
    return (
        (0, int(digits), value) if digits.isdigit() else (1, *rank(words.BREAKDOWN_VALUES, value))
    )
