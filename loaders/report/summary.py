"""The scorecard: every KPI of the programme with its target, trend and verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from loaders.periods import months_of
from loaders.report import words
from loaders.report.data import Row
from loaders.report.figures import Block, Figures, anchor, flags_of, grouped

ATTENTION = ("deterioration", "limited_progress")


class Scorecard:
    """The scorecard's blocks, by data label."""

    def __init__(self, figures: Figures) -> None:
        self.figures, self.view = figures, figures.view

    def scorecard(self, label: str) -> list[Block]:
        """The groups of KPIs that have figures with this label, in the programme's order."""
        rows = [row for row in self.view.scorecard if row["data_label"] == label]
        entries = []
        for (kpi_id,), lines in grouped(rows, "kpi_id").items():
            entry = self._entry(kpi_id, lines[0])
            entry["anchor"] = anchor(label, kpi_id)
            entry["lines"] = [self._line(row) for row in lines]
            entry["caveats"] = list(dict.fromkeys(row["caveat_vi"] for row in lines))
            entries.append(entry)
        return _by_group(entries)

    def without_figures(self) -> list[Block]:
        """The groups of KPIs that have no figure of the province, whatever the label."""
        rows = [row for row in self.view.scorecard if row["data_label"] is None]
        entries = []
        for row in rows:
            entry = self._entry(row["kpi_id"], row)
            entry["note"] = words.Text(row["caveat_vi"] or "", row["caveat_en"] or "")
            # The other states say it themselves.
            entry["is_expected"] = row["state"] in ("computed", "delivered")
            entry["source"] = row["source_vi"]
            entry["references"] = [
                anchor(label, row["kpi_id"])
                for label in self.view.labels
                if (row["kpi_id"], label) in self.figures.reference_values
            ]
            entry["anchor"] = (entry["references"] or [anchor("none", row["kpi_id"])])[0]
            entries.append(entry)
        return _by_group(entries)

    def _entry(self, kpi_id: str, row: Row) -> Block:
        verdict = self.figures.verdicts.get(
            (kpi_id, row["data_label"], row["series"], row["boundary"])
        )
        target = self.figures.target_of(kpi_id, verdict, row)
        return {
            "kpi_id": kpi_id,
            "group": row["kpi_group"],
            "name": words.Text(row["name_vi"], row["name_en"]),
            "state": words.text_of(words.STATES, row["state"]),
            "standing": words.text_of(words.STANDINGS, row["definition_standing"]),
            "standing_id": row["definition_standing"],
            "target": words.target_text(target, row["unit_vi"]),
            "target_words": (target or {}).get("text_vi") or row["target_text_vi"],
            "target_year": row["target_year"],
            "unit": words.Text(row["unit_vi"] or "", row["unit_en"] or ""),
        }

    def _line(self, row: Row) -> Block:
        """One boundary of one KPI."""
        key = (row["kpi_id"], row["data_label"], row["series"], row["boundary"])
        verdict = self.figures.verdicts.get(key)
        target = self.figures.target_of(row["kpi_id"], verdict, row)
        values = [
            value
            for value in self.figures.boundary_values.get((row["kpi_id"], row["data_label"]), [])
            if (value["series"], value["boundary"]) == (row["series"], row["boundary"])
        ]
        latest = next((v for v in reversed(values) if v["period"] == row["period"]), None)
        is_computed = bool(latest and latest["denominator_id"])
        notes = []
        if row["series"] not in (None, "total"):
            notes.append(words.text_of(words.SERIES, row["series"]))
        if latest and latest["maturity"] == "provisional":
            notes.append(words.MATURITIES["provisional"])
        if is_computed and months_of(row["period"])[1] < self.view.note["as_of_period"]:
            notes.append(words.Text("cũ hơn tháng phát hành", "older than the release month"))
        return {
            "boundary_id": row["boundary"],
            "boundary": words.text_of(words.SHORT_BOUNDARIES, row["boundary"]),
            # A KPI that is computed from records may also have figures that an agency published.
            "origin": words.STATES["computed" if is_computed else "delivered"],
            "value": self.figures.figure(row, row["value"], target),
            "is_suppressed": bool(latest and latest["is_suppressed"]),
            "period": words.period(row["period"]),
            "notes": notes,
            "trend": self.figures.trend(row, values, target),
            "verdict_id": row["verdict"],
            "verdict": words.verdict_of(words.VERDICTS, row["verdict"]),
            "why_not": _why_not_assessed(row, verdict),
            # A few months on, being off the line says nothing yet.
            "is_behind": row["straight_line_verdict"] == "behind"
            and row["verdict"] != "not_available",
            "straight_line": words.verdict_of(words.STRAIGHT_LINE, row["straight_line_verdict"]),
            "projected": (
                self.figures.figure(row, row["projected_target_year_value"])
                if row["projected_target_year_value"] is not None
                else None
            ),
            "projected_for": row["target_year"],
            "flags": flags_of(verdict),
        }

    def attention(self, groups: Iterable[Block]) -> list[Block]:
        """What a leader should look at: worsening, slow, behind, or past its deadline."""
        found = []
        for entry in (entry for group in groups for entry in group["entries"]):
            lines = [
                line
                for line in entry["lines"]
                if line["verdict_id"] in ATTENTION or line["is_behind"] or line["flags"]
            ]
            if lines:
                found.append({"entry": entry, "lines": lines})
        # The worst first; within the same verdict in the programme's order.
        return sorted(found, key=lambda item: min(_urgency(line) for line in item["lines"]))

    def verdict_counts(self, groups: Iterable[Block]) -> Block:
        """Number of KPIs by verdict and boundary."""
        lines = [line for group in groups for entry in group["entries"] for line in entry["lines"]]
        counts = Counter((line["boundary_id"], line["verdict_id"]) for line in lines)
        boundaries = [b for b in words.SHORT_BOUNDARIES if any(key[0] == b for key in counts)]
        return {
            "boundaries": [words.SHORT_BOUNDARIES[boundary] for boundary in boundaries],
            "lines": [
                (verdict, [counts[boundary, verdict_id] for boundary in boundaries])
                for verdict_id, verdict in words.VERDICTS.items()
            ],
        }

    def state_counts(self) -> list[tuple[words.Text, int]]:
        counts = Counter(row["state"] for row in self.view.kpis)
        return [(text, counts[state]) for state, text in words.STATES.items()]


def _by_group(entries: Iterable[Block]) -> list[Block]:
    groups: dict[str, list[Block]] = {}
    for entry in entries:
        groups.setdefault(entry["group"], []).append(entry)
    return [
        {"text": words.text_of(words.GROUPS, group), "entries": members}
        for group, members in groups.items()
    ]


def _urgency(line: Block) -> int:
    verdict = line["verdict_id"]
    return ATTENTION.index(verdict) if verdict in ATTENTION else len(ATTENTION)


def _why_not_assessed(row: Row, verdict: Row | None) -> str | None:
    """The first sentence of the reason; all of it stands in the details."""
    if verdict is None or row["verdict"] != "not_available":
        return None
    sentence, dot, _ = verdict["reason_vi"].partition(". ")
    return sentence + dot.strip()
