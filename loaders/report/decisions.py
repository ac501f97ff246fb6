"""What was decided about a release and its data, and the chain that vouches for it."""

from __future__ import annotations

import shlex

from loaders.report import words
from loaders.report.data import ReleaseView
from loaders.report.figures import Block
from loaders.report.quality_data import QualityView, Row


class Decisions:
    """Approvals, re-admissions, the release gate, the manifest and the chain."""

    def __init__(self, view: ReleaseView) -> None:
        self.view, self.quality = view, view.quality

    def approvals(self) -> list[Block]:
        return [
            {
                "at": words.moment(row["at"]),
                "subject": self._subject(row),
                "decision": words.text_of(words.EVENTS, row["decision"]),
                "decided_by": row["decided_by"],
                "reason": row["reason"],
                "via": row["via"],
                "findings": [
                    {
                        "rule_id": finding.get("rule_id"),
                        "version": finding.get("rule_version"),
                        "text": words.Text(
                            finding.get("description_vi") or "", finding.get("description_en") or ""
                        ),
                        "observed": finding.get("observed"),
                    }
                    for finding in row["rules"]
                ],
            }
            for row in self.quality.approvals
        ]

    def _subject(self, row: Row) -> words.Text:
        if row["subject_kind"] == "candidate":
            return words.Text(f"Bản dự thảo {row['subject_id']}", f"Candidate {row['subject_id']}")
        title, period = title_of(self.quality, row), words.period(row["period"])
        return words.Text(f"{title.vi}, {period}", f"{title.en}, {period}")

    def readmissions(self) -> list[Block]:
        return [
            {
                "at": words.moment(row["at"]),
                "title": title_of(self.quality, row),
                "period": words.period(row["period"]),
                "how": words.text_of(words.READMISSIONS, row["how"]),
                "before": words.number(row["rows_quarantined_before"]),
                "readmitted": words.number(row["rows_readmitted"]),
                "still": words.number(row["rows_still_quarantined"]),
                "now": words.number(row["rows_quarantined_now"]),
            }
            for row in self.quality.readmissions
        ]

    def gate_events(self) -> list[Block]:
        """What the release gate said of the candidate."""
        return [
            {
                "seq": row["seq"],
                "at": words.moment(row["at"]),
                "text": words.text_of(words.EVENTS, row["kind"]),
                "rules": _rules_of(row["payload"]),
                "reason": row["payload"].get("reason"),
            }
            for row in self.quality.gate_events
        ]

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


def title_of(quality: QualityView, row: Row) -> words.Text:
    """The title of a row's dataset; one that no contract names any more speaks for itself."""
    key = (row["source"], row["dataset"])
    vi, en = quality.datasets.get(key, (f"{key[0]}.{key[1]}", f"{key[0]}.{key[1]}"))
    return words.Text(vi, en)


def _rules_of(payload: Row) -> str:
    if "rules_run" not in payload:
        return words.NOTHING
    failed = payload.get("rules_failed")
    return f"{words.number(payload['rules_run'])} / {words.number(failed)}"
