"""What changed since the last release, and the page for auditors: batches, rules, chain."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from loaders.report import words
from loaders.report.data import ReleaseView, Row
from loaders.report.figures import Block, Figures, grouped, rank

#: Groups of the audit page; batches without a file have no label.
NO_FILE = "none"
NO_LIMIT = (None, "", "{}")


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


class AuditPage:
    """Batches, rules and quarantine, by data label; the release gate and the chain."""

    def __init__(self, view: ReleaseView) -> None:
        self.view = view
        self.label_of = {row["batch_id"]: row["data_label"] for row in view.batches}

    def labels(self) -> list[str]:
        found = {row["data_label"] or NO_FILE for row in self.view.batches}
        return [label for label in (*words.LABELS, NO_FILE) if label in found]

    def batches(self, label: str) -> list[Block]:
        return [
            self._batch(row) for row in self.view.batches if (row["data_label"] or NO_FILE) == label
        ]

    def _batch(self, row: Row) -> Block:
        counts = (row["rows_read"], row["rows_loaded"], row["rows_quarantined"])
        is_whole = None
        if row["status"] == "accepted" and None not in counts:
            is_whole = counts[0] == counts[1] + counts[2]
        is_served = row["status"] != "accepted" and row["serving_batch_id"] is not None
        return {
            "source": row["source"],
            "dataset": row["dataset"],
            "title": self._title(row),
            "period": words.period(row["period"]),
            "file_name": row["file_name"] or words.NOTHING,
            "sha256": row["sha256"],
            "batch_id": row["batch_id"],
            "read": words.number(row["rows_read"]),
            "loaded": words.number(row["rows_loaded"]),
            "quarantined": words.number(row["rows_quarantined"]),
            "is_whole": is_whole,
            "status_id": row["status"],
            "status": words.verdict_of(words.STATUSES, row["status"]),
            "received": words.moment(row["received_at"]),
            "expected": words.day(row["expected_on"]),
            "days_late": row["days_late"],
            "maturity": words.text_of(words.MATURITIES, row["maturity"]),
            "rules_run": words.number(row["rules_run"]),
            "rules_failed": words.number(row["rules_failed"]),
            "reason": row["reason"],
            "serving": row["serving_batch_id"] if is_served else None,
            "serving_period": words.period(row["serving_period"]) if is_served else None,
            "serving_age": row["serving_age_days"],
        }

    def not_taken(self, batches: Iterable[Block]) -> list[Block]:
        """Held, refused and missing batches, which need somebody."""
        return [batch for batch in batches if batch["status_id"] != "accepted"]

    def totals(self, label: str) -> Block:
        """Batches and rows by what became of them."""
        rows = [row for row in self.view.batches if (row["data_label"] or NO_FILE) == label]
        accepted = [row for row in rows if row["status"] == "accepted"]
        return {
            "batches": words.number(len(rows)),
            "accepted": words.number(len(accepted)),
            "late": words.number(sum(bool(row["days_late"]) for row in rows)),
            "read": words.number(sum(row["rows_read"] or 0 for row in accepted)),
            "loaded": words.number(sum(row["rows_loaded"] or 0 for row in accepted)),
            "quarantined": words.number(sum(row["rows_quarantined"] or 0 for row in accepted)),
        }

    # --- rules --------------------------------------------------------------------------------

    def rules(self, label: str) -> list[Row]:
        return [
            row
            for row in self.view.rules
            if row["subject_kind"] == "batch"
            and (self.label_of.get(row["subject_id"]) or NO_FILE) == label
        ]

    def candidate_rules(self) -> list[Row]:
        return [row for row in self.view.rules if row["subject_kind"] == "candidate"]

    def rule_matrix(self, rules: Sequence[Row]) -> list[Block]:
        """Rules run and failed by dimension and severity."""
        cells = grouped(rules, "dimension", "severity")
        dimensions = sorted(
            {key[0] for key in cells}, key=lambda d: rank(words.DIMENSIONS, d or "")
        )
        lines = []
        for dimension in dimensions:
            counts = []
            for severity in words.SEVERITIES:
                found = cells.get((dimension, severity), [])
                failed = sum(row["result"] != "pass" for row in found)
                counts.append((words.number(len(found)), words.number(failed), failed > 0))
            lines.append({"text": words.text_of(words.DIMENSIONS, dimension), "counts": counts})
        return lines

    def failed_rules(self, rules: Sequence[Row]) -> list[Block]:
        """Rules that did not pass, once for each dataset, with the figures of the last month."""
        failed = [row for row in rules if row["result"] != "pass"]
        lines = []
        for members in grouped(failed, "source", "dataset", "suite", "rule_id").values():
            last = max(members, key=lambda row: row["period"] or "")
            lines.append(
                {
                    "title": self._title(last) if last["source"] else None,
                    "suite": last["suite"],
                    "rule_id": last["rule_id"],
                    "version": last["rule_version"],
                    "text": words.Text(last["description_vi"] or "", last["description_en"] or ""),
                    "severity": words.text_of(words.SEVERITIES, last["severity"]),
                    "result": words.verdict_of(words.RULE_RESULTS, last["result"]),
                    "failing": words.number(last["rows_failing"]),
                    "scanned": words.number(last["rows_scanned"]),
                    "observed": last["observed"] or words.NOTHING,
                    # A rule written as a query has no limit beside it.
                    "expected": words.NOTHING if last["expected"] in NO_LIMIT else last["expected"],
                    "owner": last["owner"],
                    "period": words.period(last["period"]),
                    "months": words.number(len({row["period"] for row in members})),
                }
            )
        return lines

    def quarantine(self, label: str) -> list[Block]:
        """Why rows are in quarantine: rows in the release month and in all months, by rule."""
        rows = [
            row
            for row in self.view.quarantine
            if (self.label_of.get(row["batch_id"]) or NO_FILE) == label
        ]
        as_of = self.view.note["as_of_period"]
        lines = []
        for members in grouped(
            rows, "source", "dataset", "rule_id", "column_name", "reason_vi"
        ).values():
            last = max(members, key=lambda row: row["period"])
            lines.append(
                {
                    "title": self._title(last),
                    "rule_id": last["rule_id"],
                    "version": last["rule_version"],
                    "column": last["column_name"],
                    "severity": words.text_of(words.SEVERITIES, last["severity"]),
                    "reason": words.Text(last["reason_vi"], last["reason_en"]),
                    "month_rows": words.number(
                        sum(row["rows"] for row in members if row["period"] == as_of)
                    ),
                    "rows": words.number(sum(row["rows"] for row in members)),
                    "last": words.period(last["period"]),
                }
            )
        return lines

    # --- release ------------------------------------------------------------------------------

    def gate_events(self) -> list[Block]:
        """What the release gate said of the candidate, and what persons decided."""
        lines = []
        for row in self.view.gate_events:
            decided = row["payload"].get("row")  # a person's decision is an audited row, whole
            payload = decided or row["payload"]
            text = words.text_of(words.EVENTS, decided["decision"] if decided else row["kind"])
            lines.append(
                {
                    "seq": row["seq"],
                    "at": words.moment(row["at"]),
                    "text": text,
                    "rules": _rules_of(payload),
                    "reason": payload.get("reason"),
                    "decided_by": decided["decided_by"] if decided else None,
                }
            )
        return lines

    def manifest_tables(self) -> list[Block]:
        if self.view.release is None:
            return []
        manifest = self.view.release["manifest"] or {}
        ledger = {f"publication.{name}": of for name, of in manifest.get("ledger", {}).items()}
        marts = {f"marts.{name}": of for name, of in manifest.get("tables", {}).items()}
        return [
            {"name": name, "rows": words.number(of["rows"]), "sha256": of["sha256"]}
            for name, of in sorted({**marts, **ledger}.items())
        ]

    def verify_command(self) -> str | None:
        """What an auditor runs; the head is kept outside the warehouse."""
        if self.view.release is None:
            return None
        head = self.view.release.get("event_hash") or self.view.release["chain_head"]
        return f"nq42 audit verify --head {shlex.quote(head)}"

    def _title(self, row: Row) -> words.Text:
        key = (row["source"], row["dataset"])
        vi, en = self.view.datasets.get(key, (f"{key[0]}.{key[1]}", f"{key[0]}.{key[1]}"))
        return words.Text(vi, en)


def _rules_of(payload: Row) -> str:
    if "rules_run" not in payload:
        return words.NOTHING
    failed = payload.get("rules_failed")
    return f"{words.number(payload['rules_run'])} / {words.number(failed)}"
