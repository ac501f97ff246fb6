"""One block for each KPI: boundaries, communes, breakdowns, origin, changes, caveats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from loaders.report import words
from loaders.report.boundaries import Boundaries
from loaders.report.changes import Changes
from loaders.report.communes import Communes
from loaders.report.data import Row
from loaders.report.figures import Block, Figures, anchor, grouped, rank
from loaders.report.origins import Origins
from loaders.report.results import Results

HISTORY_LENGTH = 13


class Details:
    """The KPIs' blocks, by data label."""

    def __init__(self, figures: Figures, boundaries: Boundaries | None = None) -> None:
        self.figures, self.view = figures, figures.view
        self.communes = Communes(figures, boundaries)
        self.results, self.origins = Results(figures), Origins(figures.view)
        self.changes = Changes(figures)

    def details(self, label: str) -> list[Block]:
        """One block for every KPI that has any figure with this label."""
        with_figures = [
            kpi
            for kpi in self.view.kpis
            if (kpi["kpi_id"], label) in self.figures.boundary_values
            or (kpi["kpi_id"], label) in self.figures.reference_values
        ]
        return [self._detail(kpi, label) for kpi in with_figures]

    def without_figures(self) -> list[Block]:
        """One block for every KPI that has no figure of any label: what it is, and why not."""
        named = {
            kpi_id for kpi_id, _ in (*self.figures.boundary_values, *self.figures.reference_values)
        }
        reasons = {
            row["kpi_id"]: words.Text(row["caveat_vi"] or "", row["caveat_en"] or "")
            for row in self.view.scorecard
        }
        return [
            {
                **self._about(kpi, "none"),
                "state": words.text_of(words.STATES, kpi["state"]),
                "reason": reasons.get(kpi["kpi_id"], words.Text("", "")),
                "target_words": [
                    target["text_vi"]
                    for target in self.view.targets
                    if target["kpi_id"] == kpi["kpi_id"]
                ],
            }
            for kpi in self.view.kpis
            if kpi["kpi_id"] not in named
        ]

    def _about(self, kpi: Row, label: str) -> Block:
        """What is the same with and without figures."""
        return {
            "anchor": anchor(label, kpi["kpi_id"]),
            "kpi": kpi,
            "name": words.Text(kpi["name_vi"], kpi["name_en"]),
            "standing": words.text_of(words.STANDINGS, kpi["definition_standing"]),
            "standing_id": kpi["definition_standing"],
            "origins": self.origins.of(kpi, label),
            "undelivered": self.origins.undelivered(kpi),
        }

    def _detail(self, kpi: Row, label: str) -> Block:
        key = (kpi["kpi_id"], label)
        values = self.figures.boundary_values.get(key, [])
        series = dict.fromkeys(row["series"] for row in values)
        # Communes may have figures in a month in which no boundary is complete.
        series.update(dict.fromkeys(k[2] for k in self.figures.communes if k[:2] == key))
        return {
            **self._about(kpi, label),
            # Published figures of a KPI that is also computed are the agency's all the same.
            "origin": words.STATES["computed" if _is_computed(values) else "delivered"],
            "changes": self.changes.of(kpi, label),
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
                self.results.result(kpi, rows, self.figures.verdicts.get((*key, boundary)))
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
            "has_communes": bool(communes),
            "communes": self.communes.block(kpi, communes) if communes else None,
            "caveats": _caveats([rows[-1] for rows in by_boundary.values()], communes),
        }

    def _breakdowns(self, kpi: Row, rows: Sequence[Row], boundaries: Sequence[str]) -> list[Block]:
        blocks = []
        longest = max((row["value"] for row in rows if row["value"] is not None), default=0)
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
                            {
                                **self.figures.cell(kpi, at.get(boundary)),
                                "bar_pct": _share(at.get(boundary), longest),
                            }
                            for boundary in boundaries
                        ],
                    }
                )
            blocks.append({"text": words.text_of(words.BREAKDOWNS, breakdown), "lines": lines})
        return blocks


def _is_computed(values: Iterable[Row]) -> bool:
    return any(row["denominator_id"] for row in values)


def _share(row: Row | None, longest: Decimal) -> int | None:
    """The length of a bar, in percent of the longest of its table."""
    if row is None or row["value"] is None or longest <= 0:
        return None
    return round(100 * max(row["value"], 0) / longest)


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
