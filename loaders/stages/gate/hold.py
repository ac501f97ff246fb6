"""Why the intake gate holds a batch, and whether a person can answer for that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from loaders.quality.runner import RuleOutcome
from loaders.stages.decisions import Finding, Question, describe, newest_decision, verdict
from loaders.stages.load import Batch

#: The limit is the contract's, so it has no rule in a suite.
QUARANTINE_SHARE = "intake.quarantine_share"


@dataclass(frozen=True)
class Hold:
    """``findings`` a person can answer for; what is ``final`` nobody can."""

    findings: tuple[Finding, ...]
    final: tuple[str, ...]

    @property
    def reason(self) -> str:
        """All of it in one line; "" when nothing holds the batch."""
        return "; ".join((*self.final, *filter(None, (describe(self.findings),))))

    def to_details(self) -> dict[str, Any]:
        """As `audit.batch_result` keeps it, for whoever is asked."""
        return {"findings": [vars(f) for f in self.findings], "final": list(self.final)}


def find_hold(batch: Batch, outcomes: Sequence[RuleOutcome], quarantined: int, read: int) -> Hold:
    """What holds a batch of which so many rows are in quarantine and were read."""
    final = [
        f"rule {outcome.rule.meta.id} did not run: {outcome.observed}"
        for outcome in outcomes
        if outcome.result == "error"
    ]
    findings = [
        Finding.of(outcome)
        for outcome in outcomes
        if (outcome.result, outcome.rule.meta.kind, outcome.rule.severity)
        == ("fail", "dataset", "critical")
    ]
    limit = batch.dataset.extension.max_quarantine_share
    if quarantined > limit * read:
        findings.append(
            Finding(
                QUARANTINE_SHARE,
                1,
                f"{quarantined} of {read} rows are in quarantine, more than {limit:.1%}",
                "Quá nhiều dòng bị cách ly: xem lý do từng dòng, đề nghị cơ quan gửi lại tệp",
                "Too many rows are in quarantine: see its reasons, ask the agency for a corrected "
                "file",
            )
        )
    if read and quarantined == read:
        final.append("no row is left after quarantine")
    return Hold(tuple(findings), tuple(final))


def find_approval(
    connection: psycopg.Connection, batch: Batch, hold: Hold
) -> dict[str, Any] | None:
    """The approval that covers everything that holds the batch, if a person gave one."""
    if hold.final or not hold.findings:
        return None
    question = Question(
        "batch", batch.batch_id, batch.period, batch.sha256, hold.findings, datetime.now(UTC)
    )
    newest = newest_decision(connection, question)
    if newest is None or verdict(newest, question) != "approved":
        return None
    return newest
