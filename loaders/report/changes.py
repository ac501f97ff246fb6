"""What changed since the last release: of all KPIs, and of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
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
        return [
            {"name": self._name(kpi_id), **_counted(members)}
            for (kpi_id,), members in sorted(
                grouped(rows, "kpi_id").items(),
                key=lambda item: rank(self.figures.kpis, item[0][0]),
            )
        ]

    def revisions(self, label: str, kpi_id: str | None = None) -> list[Block]:
        return [
            {
                "name": self._name(row["kpi_id"]),
                "series": words.text_of(words.SERIES, row["series"]),
                "boundary": words.text_of(words.BOUNDARIES, row["boundary"]),
                "period": words.period(row["period"]),
                "before": self._value(row["kpi_id"], row["value_before"]),
                "after": self._value(row["kpi_id"], row["value"]),
                "change": words.text_of(words.CHANGES, row["change"]),
                "cause": _causes(row),
            }
            for row in self.view.revisions
            if row["data_label"] == label and kpi_id in (None, row["kpi_id"])
        ]

    def verdicts(self, label: str, kpi_id: str | None = None) -> list[Block]:
        return [
            {
                "name": self._name(row["kpi_id"]),
                "boundary": words.text_of(words.BOUNDARIES, row["boundary"]),
                "before": words.verdict_of(words.VERDICTS, row["verdict_before"]),
                "after": words.verdict_of(words.VERDICTS, row["verdict"]),
                "why": self._why(row),
            }
            for row in self.view.verdict_changes
            if row["data_label"] == label and kpi_id in (None, row["kpi_id"])
        ]

    # --- one KPI --------------------------------------------------------------------------------

    def of(self, kpi: Row, label: str) -> Block:
        """What a reader of the last release would find different in one KPI."""
        kpi_id = kpi["kpi_id"]
        rows = [
            row
            for row in self.view.changes
            if (row["kpi_id"], row["data_label"]) == (kpi_id, label)
        ]
        revisions = self.revisions(label, kpi_id)
        return {
            "headlines": self._headlines(kpi, label),
            "revisions": [line for line in revisions if line["before"] != line["after"]],
            "kept": self._kept(revisions),
            "verdicts": self.verdicts(label, kpi_id),
            "cells": _counted(rows) if rows else None,
        }

    @staticmethod
    def _kept(revisions: Iterable[Block]) -> str | None:
        """How many totals are revised in something else than their value."""
        count = sum(line["before"] == line["after"] for line in revisions)
        return words.number(count) if count else None

    def _headlines(self, kpi: Row, label: str) -> list[Block]:
        """The latest total now against the latest total of the release before."""
        before = {
            (row["series"], row["boundary"]): row
            for row in self.view.previous_totals
            if (row["kpi_id"], row["data_label"]) == (kpi["kpi_id"], label)
        }
        values = self.figures.boundary_values.get((kpi["kpi_id"], label), [])
        lines = []
        for (series, boundary), rows in grouped(values, "series", "boundary").items():
            now, was = rows[-1], before.get((series, boundary))
            lines.append(
                {
                    "series": words.text_of(words.SERIES, series),
                    "boundary": words.text_of(words.BOUNDARIES, boundary),
                    "before": self.figures.cell(kpi, was),
                    "before_period": words.period(was and was["period"]),
                    "after": self.figures.cell(kpi, now),
                    "after_period": words.period(now["period"]),
                    "difference": self._difference(kpi, was, now),
                    "cause": self._cause(now, was),
                }
            )
        return lines

    @staticmethod
    def _difference(kpi: Row, was: Row | None, now: Row) -> str:
        if was is None or was["value"] is None or now["value"] is None:
            return words.NOTHING
        return words.signed(now["value"] - was["value"], kpi["decimals"] or 0)

    def _cause(self, now: Row, was: Row | None) -> words.Text:
        if was is None:
            return words.Text("chưa có ở bản trước", "not in the last release")
        if was["period"] != now["period"]:
            return words.CAUSES["new_period"]
        for row in self.view.revisions:
            if _cell(row) == _cell(now) and row["change"] != "withdrawn":
                return _causes(row)
        return words.Text("không đổi", "unchanged")

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


def _cell(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in ("kpi_id", "data_label", "series", "boundary", "period"))


def _counted(rows: Iterable[Row]) -> Block:
    """Cells of the ledger by kind of change and by cause."""
    changes: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    for row in rows:
        changes[row["change"]] += row["rows"]
        causes[row["cause"]] += row["rows"]
    return {
        "changes": [words.number(changes[change]) for change in words.CHANGES],
        "causes": [
            (words.text_of(words.CAUSES, cause), words.number(count))
            for cause, count in causes.most_common()
        ],
    }


def _causes(row: Row) -> words.Text:
    """Every cause, the most specific first; releases from before them have none or one."""
    causes = row.get("causes") or [row.get("cause")]
    found = [words.text_of(words.CAUSES, cause) for cause in causes]
    return words.Text("; ".join(one.vi for one in found), "; ".join(one.en for one in found))
