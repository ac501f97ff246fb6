"""A KPI's result in one boundary: value, trend, target, verdict, and where its pace leads."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from loaders.report import trend_chart, words
from loaders.report.data import Row
from loaders.report.figures import Block, Figures, flags_of, target_levels
from loaders.report.trend_chart import Point, Trend


class Results:
    """The results of KPIs, by boundary."""

    def __init__(self, figures: Figures) -> None:
        self.figures = figures

    def result(self, kpi: Row, rows: Sequence[Row], verdict: Row | None) -> Block:
        """One boundary; `rows` are its totals, the earliest first."""
        latest = rows[-1]
        target = self.figures.target_of(kpi["kpi_id"], verdict)
        pace = self._pace(kpi, verdict, target) if verdict else None
        return {
            **self.figures.cell(kpi, latest),
            "boundary": words.text_of(words.BOUNDARIES, latest["boundary"]),
            "value": self.figures.figure(kpi, latest["value"], target),
            "period": words.period(latest["period"]),
            "maturity": words.text_of(words.MATURITIES, latest["maturity"]),
            "denominator_id": latest["denominator_id"],
            "denominator_vintage": latest["denominator_vintage"],
            "target": words.target_text(target, kpi["unit_vi"]),
            "target_source": _target_source(target),
            "chart": self._chart(kpi, rows, verdict, target, pace),
            "verdict": words.verdict_of(words.VERDICTS, verdict and verdict["verdict"]),
            "straight_line": words.verdict_of(
                words.STRAIGHT_LINE, verdict and verdict["straight_line_verdict"]
            ),
            "flags": flags_of(verdict),
            "pace": pace,
            "facts": self._facts(kpi, verdict) if verdict else [],
            "reason": words.Text(verdict["reason_vi"], verdict["reason_en"]) if verdict else None,
        }

    def _pace(self, kpi: Row, verdict: Row, target: Row | None) -> words.Text | None:
        """Where the present pace leads, in a sentence."""
        year, value = verdict["target_year"], verdict["projected_target_year_value"]
        due = words.calendar_year(year)
        parts: list[tuple[str, str]] = []
        if value is not None:
            figure = self.figures.figure(kpi, value, target)
            parts.append((f"{figure} vào cuối năm {due}", f"{figure} at the end of {due}"))
        if verdict["is_achieved"]:
            parts.insert(0, ("đã đạt chỉ tiêu", "the target is met"))
        elif value is not None and target_levels(target):
            parts.append(_when_met(verdict["projected_achievement_year"], due))
        if value is None or not parts:
            return None
        return words.Text(
            f"Với nhịp hiện tại: {'; '.join(vi for vi, _ in parts)}.",
            f"At the present pace: {'; '.join(en for _, en in parts)}.",
        )

    def _facts(self, kpi: Row, verdict: Row) -> list[tuple[words.Text, str]]:
        facts = [
            (
                words.Text(f"Gốc ({words.period(verdict['base_period'])})", "Base"),
                verdict["base_value"],
            ),
            (
                words.Text("Theo đường thẳng đến nay", "Expected on the straight line"),
                verdict["straight_line_expected"],
            ),
        ]
        shown = [
            (text, self.figures.figure(kpi, value)) for text, value in facts if value is not None
        ]
        if verdict["score"] is not None:
            text = words.Text("Điểm (−5 đến 5)", "Score (−5 to 5)")
            shown.append((text, words.number(verdict["score"], 1)))
        return shown

    # --- the chart ------------------------------------------------------------------------------

    def _chart(
        self,
        kpi: Row,
        rows: Sequence[Row],
        verdict: Row | None,
        target: Row | None,
        pace: words.Text | None,
    ) -> Block | None:
        told = self.figures.trend(kpi, rows, target)
        if told is None:
            return None
        levels = [float(level) for level in target_levels(target)]
        year = float(verdict["target_year"]) if verdict and verdict["target_year"] else None
        trend = Trend(
            points=[
                self._point(kpi, row["year_decimal"], row["value"], target)
                for row in rows
                if row["value"] is not None
            ],
            levels=levels,
            goal_text=f"Chỉ tiêu {words.target_text(target, kpi['unit_vi'])}",
            milestones=self._milestones(kpi, target),
            base=_base(verdict, levels, self.figures.years),
            target_year=year,
            projection=self._projection(kpi, verdict, target, year),
        )
        text = told["text"] if pace is None else f"{told['text']} {pace.vi}"
        return {"drawing": trend_chart.draw(trend), "text": text}

    def _projection(
        self, kpi: Row, verdict: Row | None, target: Row | None, year: float | None
    ) -> Point | None:
        if verdict is None or year is None or verdict["projected_target_year_value"] is None:
            return None
        value = verdict["projected_target_year_value"]
        return self._point(kpi, year, value, target)

    def _milestones(self, kpi: Row, target: Row | None) -> list[Point]:
        """The same document's targets for other years."""
        if target is None:
            return []
        return [
            self._point(kpi, other["target_year"] + 1, level, None)
            for other in self.figures.view.targets
            if other["kpi_id"] == kpi["kpi_id"]
            and other.get("document_id") == target.get("document_id")
            and other["target_year"] not in (None, target["target_year"])
            for level in target_levels(other)
        ]

    def _point(self, kpi: Row, year: Any, value: Any, target: Row | None) -> Point:
        decimals = self.figures.decimals(kpi, value, target)
        return Point(float(year), float(value), words.short_number(value, decimals))


def _when_met(year: Decimal | None, due: str) -> tuple[str, str]:
    if year is None:
        return ("không đạt chỉ tiêu", "the target is not met")
    met = words.calendar_year(year)
    if int(met) > int(due):
        return (f"đạt chỉ tiêu năm {met}, quá hạn", f"the target is met in {met}, too late")
    return (f"đạt chỉ tiêu năm {met}", f"the target is met in {met}")


def _base(
    verdict: Row | None, levels: Sequence[float], years: dict[str, Any]
) -> tuple[float, float] | None:
    """Where the straight line begins; there is none for who is already there."""
    if verdict is None or verdict["base_value"] is None or not levels:
        return None
    if verdict["straight_line_verdict"] not in ("on_track", "behind"):
        return None
    year = years.get(verdict["base_period"])
    return (float(year), float(verdict["base_value"])) if year is not None else None


def _target_source(target: Row | None) -> words.Text | None:
    """The document that sets the target, and whether it was seen itself."""
    if target is None or not target.get("document_number"):
        return None
    standing = words.text_of(words.STANDINGS, target["document_standing"])
    day = words.day(target["document_issued_on"])
    return words.Text(
        f"{target['document_number']} ngày {day}, {standing.vi}", f"of {day}, {standing.en}"
    )
