"""What a gate found, and whether a person's decision (`audit.approval`) covers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row

from loaders import audit
from loaders.quality.runner import RuleOutcome

Verdict = Literal["approved", "rejected"]
_COLUMNS = (
    "id, subject_kind, subject_id, content_sha256, decision, rules, decided_by, reason, via,"
    " account, at"
)


@dataclass(frozen=True)
class Finding:
    """What a rule found: an approval covers it only with this version and this observed value."""

    rule_id: str
    rule_version: int
    observed: str
    description_vi: str
    description_en: str

    @property
    def key(self) -> tuple[str, int, str]:
        return self.rule_id, self.rule_version, self.observed

    @classmethod
    def of(cls, outcome: RuleOutcome) -> Finding:
        meta = outcome.rule.meta
        return cls(
            meta.id, meta.version, outcome.observed, meta.description_vi, meta.description_en
        )


@dataclass(frozen=True)
class Question:
    """What a person is asked to answer for.

    Attributes:
        content_sha256: of the candidate's tables, or of the batch's file.
        asked_at: when the gate asked.
    """

    subject_kind: Literal["batch", "candidate"]
    subject_id: str
    period: str
    content_sha256: str
    findings: tuple[Finding, ...]
    asked_at: datetime


def describe(findings: Iterable[Finding]) -> str:
    """The findings in one line."""
    return "; ".join(f"rule {f.rule_id}: {f.description_en} (found {f.observed})" for f in findings)


def newest_decision(connection: psycopg.Connection, question: Question) -> dict[str, Any] | None:
    """The newest row of `audit.approval` on this content of the subject, whatever it covers.

    A row counts only as its event in the chain repeats it: one that was put there or changed by
    hand lets nothing through.
    """
    connection.execute("set local timezone to 'UTC'")  # the text of times is part of the record
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from audit.approval as a"
            " where subject_kind = %s and subject_id = %s and content_sha256 = %s and exists ("
            "select from audit.event as e where e.kind = %s and e.payload -> 'row' = to_jsonb(a))"
            " order by id desc limit 1",
            (
                question.subject_kind,
                question.subject_id,
                question.content_sha256,
                audit.APPROVAL_EVENT,
            ),
        ).fetchone()


def approvals_of_acceptances(
    connection: psycopg.Connection, result_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """The rows of `audit.approval` by which batches got into raw that the gate would have held.

    Args:
        result_ids: the acceptances that a release stands on, by id of `audit.batch_result`; what
            was judged again since is another acceptance.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from audit.approval where id in ("
            "select (details ->> 'approval')::bigint from audit.batch_result where id = any(%s))"
            " order by id",
            (list(result_ids),),
        ).fetchall()


def uncovered(decision: Mapping[str, Any], question: Question) -> list[Finding]:
    """The findings that were not before the person who decided."""
    covered = {Finding(**rule).key for rule in decision["rules"]}
    return [finding for finding in question.findings if finding.key not in covered]


def verdict(decision: Mapping[str, Any] | None, question: Question) -> Verdict | None:
    """What the newest decision means for a question; None while it is open.

    A rejection holds for the judgement that it was given on: a later one asks again.
    """
    if decision is None:
        return None
    if decision["decision"] == "rejected":
        return "rejected" if decision["at"] > question.asked_at else None
    return None if uncovered(decision, question) else "approved"
