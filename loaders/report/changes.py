"""What changed since the last release."""

from __future__ import annotations

from collections import Counter
from typing import Any

from loaders.report import words
from loaders.report.data import Row
from loaders.report.figures import Block, Figures, grouped, rank


class Changes:
    """What the ledger says differs from the release before, by data label."""

    def __init__(self, figures: Figures) -> None:
        self.figures, self.view = figures, figures.view

    def labels(self) -> list[str]:
        rows = [*self.view.changes, *self.view.verdict_changes]
        found = {row["data_label"] for row in rows}
        return [label for label in words.LABELS if label in found]

    def counts(self, label: str) -> list[Block]:
        rows = [row for row in self.view.changes if row["data_label"] == label]
        lines = []
        for (kpi_id,), members in sorted(
            grouped(rows, "kpi_id").items(), key=lambda item: rank(self.figures.kpis, item[0][0])
        ):
            changes: Counter[str] = Counter()
            causes: Counter[str] = Counter()
            for row in members:
                changes[row["change"]] += row["rows"]
                causes[row["cause"]] += row["rows"]
            lines.append(
                {
                    "name": self._name(kpi_id),
                    "changes": [words.number(changes[change]) for change in words.CHANGES],
                    "causes": [
                        (words.text_of(words.CAUSES, cause), words.number(count))
                        for cause, count in causes.most_common()
                    ],
                }
            )
        return lines

    def revisions(self, label: str) -> list[Block]:
        return [
            {
                "name": self._name(row["kpi_id"]),
                "boundary": words.text_of(words.BOUNDARIES, row["boundary"]),
                "period": words.period(row["period"]),
                "before": self._value(row["kpi_id"], row["value_before"]),
                "after": self._value(row["kpi_id"], row["value"]),
                "change": words.text_of(words.CHANGES, row["change"]),
                "cause": _causes(row),
            }
            for row in self.view.revisions
            if row["data_label"] == label
        ]

    def verdicts(self, label: str) -> list[Block]:
        return [
            {
                "name": self._name(row["kpi_id"]),
                "boundary": words.text_of(words.BOUNDARIES, row["boundary"]),
                "before": words.verdict_of(words.VERDICTS, row["verdict_before"]),
                "after": words.verdict_of(words.VERDICTS, row["verdict"]),
                "why": self._why(row),
            }
            for row in self.view.verdict_changes
            if row["data_label"] == label
        ]

    @staticmethod
    def _why(row: Row) -> words.Text:
        why = _causes(row)
        if row["change"] != "revised" or "new_period" in (row.get("causes") or ()):
            return why
        return words.Text(
            f"{why.vi} (do điều chỉnh, không do kỳ mới)",
            f"{why.en} (by revision, not by a new period)",
        )

    def _name(self, kpi_id: str) -> words.Text:
        kpi = self.figures.kpis.get(kpi_id)
        return words.Text(kpi["name_vi"], kpi["name_en"]) if kpi else words.Text(kpi_id, kpi_id)

    def _value(self, kpi_id: str, value: Any) -> str:
        kpi = self.figures.kpis.get(kpi_id)
        return self.figures.figure(kpi, value) if kpi else words.number(value, 2)


def _causes(row: Row) -> words.Text:
    """Every cause, the most specific first; releases from before them have none or one."""
    causes = row.get("causes") or [row.get("cause")]
    found = [words.text_of(words.CAUSES, cause) for cause in causes]
    return words.Text("; ".join(one.vi for one in found), "; ".join(one.en for one in found))
