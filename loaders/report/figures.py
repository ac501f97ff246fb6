"""The figures of a release, found by KPI, and how one figure is printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from loaders.report import charts, words
from loaders.report.data import ReleaseView, Row

Block = dict[str, Any]
_LEVELS = ("target_value", "target_low", "target_high")


class Figures:
    """The rows of a view by KPI and label, and their texts."""

    def __init__(self, view: ReleaseView) -> None:
        self.view = view
        self.kpis = {row["kpi_id"]: row for row in view.kpis}
        self.targets = {row["target_id"]: row for row in view.targets}
        self.verdicts = {
            (row["kpi_id"], row["data_label"], row["series"], row["boundary"]): row
            for row in view.verdicts
        }
        in_time = sorted(
            view.boundary_values,
            key=lambda row: (rank(words.BOUNDARIES, row["boundary"]), row["year_decimal"]),
        )
        self.boundary_values = grouped(in_time, "kpi_id", "data_label")
        self.reference_values = grouped(view.reference_values, "kpi_id", "data_label")
        self.breakdowns = grouped(view.breakdowns, "kpi_id", "data_label", "series")
        self.communes = grouped(view.communes, "kpi_id", "data_label", "series")
        self.years = {row["period"]: row["year_decimal"] for row in view.periods}

    def target_of(self, kpi_id: str, verdict: Row | None, row: Row | None = None) -> Row | None:
        """The target that a verdict used; without a verdict, the one named on the scorecard."""
        if verdict and verdict["target_id"] in self.targets:
            return self.targets[verdict["target_id"]]
        if row is None or not row["operator"]:
            return None
        for target in self.view.targets:
            if (target["kpi_id"], target["operator"], target["target_year"]) == (
                *(kpi_id, row["operator"]),
                row["target_year"],
            ):
                return target
        return {"target_low": None, "target_high": None, "text_vi": row["target_text_vi"], **row}

    def figure(self, kpi: Row, value: Any, target: Row | None = None) -> str:
        return words.quantity(value, self.decimals(kpi, value, target), kpi["unit_vi"])

    def decimals(self, kpi: Row, value: Any, target: Row | None) -> int:
        """Enough that a figure which misses its target is not printed as the target."""
        levels = (target[name] for name in _LEVELS) if target else ()
        return words.decimals_beside(value, kpi["decimals"] or 0, levels)

    def trend(self, kpi: Row, values: Sequence[Row], target: Row | None) -> Block | None:
        shown = [row for row in values if row["value"] is not None]
        levels = target_levels(target)
        drawing = charts.sparkline([(row["year_decimal"], row["value"]) for row in shown], levels)
        if drawing is None:
            return None
        told = shown if len(shown) <= 6 else [shown[0], *shown[-4:]]
        told_vi = "; ".join(
            f"{words.period(row['period'])}: {words.number(row['value'], kpi['decimals'] or 0)}"
            for row in told
        )
        goal = words.target_text(target, kpi["unit_vi"])
        text = f"Diễn biến: {told_vi}."
        if levels:
            text += f" Chỉ tiêu: {goal} (nét đứt)."
        return {"drawing": drawing, "text": text}

    def cell(self, kpi: Row, row: Row | None) -> Block:
        return {
            "value": self.figure(kpi, row["value"]) if row else words.NOTHING,
            "is_suppressed": bool(row and row["is_suppressed"]),
            "numerator": words.number(row["numerator"]) if row else words.NOTHING,
            "denominator": words.number(row["denominator"]) if row else words.NOTHING,
        }


def anchor(label: str, kpi_id: str) -> str:
    return f"kpi-{label}-{kpi_id}"


def target_levels(target: Row | None) -> list[Decimal]:
    """The edges of a target: none, one, or two of a band."""
    if target is None or target["operator"] in ("status", "decrease", "increase", "none"):
        return []
    if target["operator"] in ("between", "about") and target["target_low"] is not None:
        return [target["target_low"], target["target_high"]]
    return [target["target_value"]] if target["target_value"] is not None else []


def flags_of(verdict: Row | None) -> list[words.Text]:
    flags = []
    if verdict and verdict["is_achieved_but_worsening"]:
        flags.append(words.Text("đạt nhưng đang xấu đi", "achieved but getting worse"))
    if verdict and verdict["is_deadline_passed"] and not verdict["is_achieved"]:
        flags.append(words.Text("đã quá hạn", "deadline passed"))
    return flags


def grouped(rows: Iterable[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups


def rank(order: Iterable[str], key: str) -> tuple[int, str]:
    """The place of a code in the order of its words; unknown codes last, by name."""
    keys = list(order)
    return (keys.index(key) if key in keys else len(keys), key)
