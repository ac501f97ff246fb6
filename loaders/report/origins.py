"""Where a KPI's figures come from: datasets, their latest delivery, and what was wrong in it."""

from __future__ import annotations

from collections.abc import Iterable

from loaders.report import words
from loaders.report.data import ReleaseView, Row
from loaders.report.decisions import title_of
from loaders.report.figures import Block, grouped

#: What a register line says where there is no dataset at all.
NONE = ("", "none")


class Origins:
    """The datasets behind the KPIs and their quality, by data label."""

    def __init__(self, view: ReleaseView) -> None:
        self.view, self.quality = view, view.quality
        self.volumes = {
            (row["source"], row["dataset"], row["period"]): row for row in self.quality.volumes
        }
        self.deliveries = grouped(self.quality.timeliness, "source", "dataset")
        self.rules = grouped(
            [row for row in self.quality.rules if row["subject_kind"] == "batch"], "subject_id"
        )

    def of(self, kpi: Row, label: str) -> list[Block]:
        """The datasets of a KPI, each with its latest delivery that has this label.

        The register names those of the computed figures; what else an agency delivered is in the
        lineage of the release.
        """
        names = [name.strip() for name in (kpi["source_dataset"] or "").split(";")]
        return self._deliveries(names, label) or self._deliveries(self._delivered(kpi), label)

    def _delivered(self, kpi: Row) -> list[str]:
        manifest = self.view.release["manifest"] if self.view.release else {}
        kinds = manifest.get("lineage", {}).get("kpis", {}).get(kpi["kpi_id"], {})
        return [name.replace("__", ".", 1) for name in kinds.get("delivered", {}).get("inputs", ())]

    def _deliveries(self, names: Iterable[str], label: str) -> list[Block]:
        found = []
        for name in names:
            source, _, dataset = name.partition(".")
            rows = [
                row
                for row in self.deliveries.get((source, dataset), ())
                if row["data_label"] == label and row["is_received"]
            ]
            if rows:
                found.append(self._delivery(max(rows, key=lambda row: row["ends_on"])))
        return found

    def undelivered(self, kpi: Row) -> list[words.Text]:
        """Datasets that the register names and nobody has delivered, under any label."""
        found = []
        for name in (part.strip() for part in (kpi["source_dataset"] or "").split(";")):
            source, _, dataset = name.partition(".")
            rows = self.deliveries.get((source, dataset), ())
            if name not in NONE and not any(row["is_received"] for row in rows):
                vi, en = self.quality.datasets.get((source, dataset), (name, name))
                found.append(words.Text(vi, en))
        return found

    def _delivery(self, row: Row) -> Block:
        volume = self.volumes.get((row["source"], row["dataset"], row["period"]))
        rules = self.rules.get((row["batch_id"],), [])
        failed = [rule for rule in rules if rule["result"] != "pass"]
        return {
            "text": title_of(self.quality, row),
            "period": words.period(row["period"]),
            "status": words.verdict_of(words.STATUSES, row["status"]),
            "received": words.day(row["received_at"]),
            "days_late": row["days_late"],
            "read": words.number(volume and volume["rows_read"]),
            "quarantined": words.number(volume and volume["rows_quarantined"]),
            "rules_run": words.number(len(rules)),
            "rules_failed": words.number(len(failed)),
            "has_failed": bool(failed),
            "findings": [
                words.Text(rule["description_vi"], rule["description_en"]) for rule in failed
            ],
        }
