"""`approve`: a named person answers for what a gate does not let through by itself.

A candidate of which only warnings failed waits for a decision. It covers exactly what it was given
for: the content of the candidate's tables and the findings (rule, version, observed value).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb

from loaders import audit
from loaders.log import get_logger, log_context
from loaders.postgres.database import Role, connect
from loaders.publication import (
    PublishError,
    candidate_content,
    content_sha256,
    present_candidate,
)
from loaders.quality import RuleOutcome
from loaders.stages.records import Record

Via = Literal["cli", "airflow"]
Standing = Literal["open", "approved", "rejected", "published", "superseded"]
MIN_REASON = 10
#: Words that name a function or an account and no person.
ROLE_WORDS = frozenset(
    (
        *("admin", "administrator", "airflow", "auditor", "demo", "loader", "manager", "nq42"),
        *("officer", "operator", "owner", "postgres", "publisher", "root", "steward", "system"),
        *("test", "transformer", "user"),
    )
)
ROLE_PHRASES = ("quản trị", "hệ thống", "người dùng", "cán bộ", "chuyên viên", "phê duyệt")
#: As long as the number of an identity, insurance or health card; candidate ids are hexadecimal.
PERSONAL_NUMBER = re.compile(r"(?<![0-9a-f])\d{9,15}(?![0-9a-f])")


class ApprovalError(ValueError):
    """The decision was not recorded; the message says why and what to do."""


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
class Waiting:
    """A subject that waits for a decision, with the content and the findings to be answered for."""

    subject_kind: Literal["batch", "candidate"]
    subject_id: str
    period: str
    content_sha256: str
    findings: tuple[Finding, ...]
    since: datetime


@dataclass(frozen=True)
class Decision(Record):
    """A row of `audit.approval`; `status` is ``recorded``, or ``unchanged`` if it stood already."""

    subject_id: str
    decision: Literal["approved", "rejected"]
    decided_by: str
    reason: str
    status: Literal["recorded", "unchanged"] = "recorded"


def approve(
    subject_id: str,
    *,
    by: str,
    reason: str,
    account: str,
    via: Via = "cli",
    is_rejection: bool = False,
) -> Decision:
    """Record a person's decision on a candidate that waits.

    Args:
        by: the name of the person who answers for it.
        account: the login through which the decision came in.

    Raises:
        ApprovalError: nobody is named, the reason is too short or holds a personal number, or the
            subject does not wait for a decision or is no longer what was judged.
    """
    by, reason = _person(by), _reason(reason)
    with log_context(stage="approve"), connect(Role.PUBLISHER) as connection:
        waiting = _candidate(connection, subject_id)
        if waiting.content_sha256 != content_sha256(candidate_content(connection)):
            raise ApprovalError(
                f"candidate {subject_id} was changed after the gate judged it: run "
                f"`nq42 gate {subject_id}` and decide on what it finds"
            )
        decision: Literal["approved", "rejected"] = "rejected" if is_rejection else "approved"
        standing = _newest(connection, waiting)
        if standing and _counts(standing, waiting) == decision:
            return Decision(
                subject_id, decision, standing["decided_by"], standing["reason"], "unchanged"
            )
        audit.insert_vouched(
            connection,
            audit.APPROVAL_EVENT,
            {
                "subject_kind": waiting.subject_kind,
                "subject_id": subject_id,
                "content_sha256": waiting.content_sha256,
                "decision": decision,
                "rules": Jsonb([vars(finding) for finding in waiting.findings]),
                "decided_by": by,
                "reason": reason,
                "via": via,
                "account": account,
            },
        )
        get_logger().info("approve", subject_id=subject_id, decision=decision, via=via)
        return Decision(subject_id, decision, by, reason)


def list_waiting() -> list[Waiting]:
    """What waits for a decision now."""
    with connect(Role.PUBLISHER) as connection:
        present = present_candidate(connection)
        if present is None or _standing(connection, present[0]) != "open":
            return []
        return [_candidate(connection, present[0])]


def get_waiting(candidate_id: str) -> Waiting:
    """The candidate that waits, and for what.

    Raises:
        ApprovalError: it does not wait for a decision.
    """
    with connect(Role.PUBLISHER) as connection:
        return _candidate(connection, candidate_id)


def get_standing(candidate_id: str) -> Standing:
    """What became of a candidate that waited: it is open until one of the others holds."""
    with connect(Role.PUBLISHER) as connection:
        return _standing(connection, candidate_id)


def awaited_period(connection: psycopg.Connection) -> str:
    """The month of the candidate that waits for a decision; "" when none does."""
    present = present_candidate(connection)
    if present is None or _standing(connection, present[0]) not in ("open", "approved"):
        return ""
    return present[1]


def admit(
    connection: psycopg.Connection, candidate_id: str, contents: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Let a candidate through to publication; the approvals that it stands on.

    Args:
        contents: of the candidate's tables as they stand, under the caller's lock.

    Raises:
        PublishError: the gate did not pass this very content, or nobody answers for its warnings.
    """
    event = _gate_event(connection, candidate_id)
    if event is None or event["kind"] not in (audit.GATE_PASSED, audit.GATE_WAITING):
        state = "did not pass" if event else "has not seen"
        raise PublishError(
            f"the release gate {state} candidate {candidate_id}: it stays a candidate"
        )
    if event["payload"].get("content_sha256") != content_sha256(contents):
        raise PublishError(
            f"candidate {candidate_id} is not what the release gate judged: its tables were changed"
            f" since. Run `nq42 gate {candidate_id}`"
        )
    if event["kind"] == audit.GATE_PASSED:
        return []
    waiting = _waiting(candidate_id, event)
    newest = _newest(connection, waiting)
    if newest is None or newest["decision"] == "rejected":
        said = f"was rejected by {newest['decided_by']}" if newest else "waits for an approval"
        raise PublishError(f"candidate {candidate_id} {said}: {describe(waiting.findings)}")
    open_findings = _uncovered(newest, waiting)
    if open_findings:
        raise PublishError(
            f"the approval of candidate {candidate_id} by {newest['decided_by']} does not cover "
            + ", ".join(f"{f.rule_id} v{f.rule_version} ({f.observed})" for f in open_findings)
            + ": it needs a new approval"
        )
    return [newest | {"at": newest["at"].isoformat()}]


# --- who decides, and why -------------------------------------------------------------------------


def _person(name: str) -> str:
    """The name with single spaces.

    Raises:
        ApprovalError: it is empty, one word only, or the name of a role.
    """
    name = " ".join(name.split())
    words = name.casefold().replace("_", " ").split()
    is_name = len(name.split()) > 1 and all(
        re.fullmatch(r"[^\W\d_]+(?:['’.-][^\W\d_]*)*", word) for word in words
    )
    is_role = ROLE_WORDS.intersection(words) or any(p in " ".join(words) for p in ROLE_PHRASES)
    if not is_name or is_role:
        raise ApprovalError(
            f"{name!r} is no person's name: give the full name of who answers for the decision"
        )
    return name


def _reason(text: str) -> str:
    text = " ".join(text.split())
    if len(text) < MIN_REASON:
        raise ApprovalError(f"the reason has {len(text)} characters, at least {MIN_REASON} needed")
    if PERSONAL_NUMBER.search(text):
        raise ApprovalError("the reason holds a number that may identify a person: leave it out")
    return text


# --- what is decided on ---------------------------------------------------------------------------


def _candidate(connection: psycopg.Connection, candidate_id: str) -> Waiting:
    """The candidate with what its latest judgement asks a person to answer for."""
    if _is_published(connection, candidate_id):
        raise ApprovalError(f"candidate {candidate_id} is published already")
    if not _is_present(connection, candidate_id):
        raise ApprovalError(
            f"schema candidate does not hold {candidate_id}: `nq42 approve` lists what waits"
        )
    event = _gate_event(connection, candidate_id)
    if event is None:
        raise ApprovalError(f"run `nq42 gate {candidate_id}` first: the gate has not seen it")
    if event["kind"] == audit.GATE_PASSED:
        raise ApprovalError(f"candidate {candidate_id} needs no approval: the gate passed it")
    if event["kind"] == audit.GATE_HELD:
        raise ApprovalError(
            f"candidate {candidate_id} is held and cannot be approved, the data must be put right: "
            f"{event['payload'].get('reason')}"
        )
    return _waiting(candidate_id, event)


def _gate_event(connection: psycopg.Connection, candidate_id: str) -> dict[str, Any] | None:
    """The latest judgement on the candidate: kind, at, payload."""
    row = connection.execute(
        "select kind, at, payload from audit.event"
        " where kind = any(%s) and payload ->> 'candidate_id' = %s order by seq desc limit 1",
        ([audit.GATE_PASSED, audit.GATE_WAITING, audit.GATE_HELD], candidate_id),
    ).fetchone()
    return dict(zip(("kind", "at", "payload"), row, strict=True)) if row else None


def _waiting(candidate_id: str, event: Mapping[str, Any]) -> Waiting:
    payload = event["payload"]
    return Waiting(
        "candidate",
        candidate_id,
        payload["period"],
        payload["content_sha256"],
        tuple(Finding(**warning) for warning in payload["warnings"]),
        event["at"],
    )


def _is_published(connection: psycopg.Connection, candidate_id: str) -> bool:
    row = connection.execute(
        "select from publication.release where candidate_id = %s", (candidate_id,)
    ).fetchone()
    return row is not None


def _is_present(connection: psycopg.Connection, candidate_id: str) -> bool:
    present = present_candidate(connection)
    return present is not None and present[0] == candidate_id


def _standing(connection: psycopg.Connection, candidate_id: str) -> Standing:
    if _is_published(connection, candidate_id):
        return "published"
    if not _is_present(connection, candidate_id):
        return "superseded"
    event = _gate_event(connection, candidate_id)
    if event is None or event["kind"] == audit.GATE_HELD:
        return "superseded"
    if event["kind"] == audit.GATE_PASSED:
        return "approved"
    waiting = _waiting(candidate_id, event)
    newest = _newest(connection, waiting)
    return (_counts(newest, waiting) if newest else None) or "open"


# --- what counts ----------------------------------------------------------------------------------


def _newest(connection: psycopg.Connection, waiting: Waiting) -> dict[str, Any] | None:
    """The newest decision on this content of the subject: a row of `audit.approval`."""
    cursor = connection.execute(
        "select id, subject_kind, subject_id, content_sha256, decision, rules, decided_by, reason,"
        " via, account, at from audit.approval"
        " where subject_kind = %s and subject_id = %s and content_sha256 = %s"
        " order by id desc limit 1",
        (waiting.subject_kind, waiting.subject_id, waiting.content_sha256),
    )
    names = [column.name for column in cursor.description or ()]
    row = cursor.fetchone()
    return dict(zip(names, row, strict=True)) if row else None


def _counts(row: Mapping[str, Any], waiting: Waiting) -> Literal["approved", "rejected"] | None:
    """What the newest decision means now.

    A rejection holds for the judgement that it was given on: a later one asks again.
    """
    if row["decision"] == "rejected":
        return "rejected" if row["at"] > waiting.since else None
    return None if _uncovered(row, waiting) else "approved"


def _uncovered(row: Mapping[str, Any], waiting: Waiting) -> list[Finding]:
    covered = {Finding(**rule).key for rule in row["rules"]}
    return [finding for finding in waiting.findings if finding.key not in covered]


def describe(findings: Iterable[Finding]) -> str:
    """The findings in one line."""
    return "; ".join(f"rule {f.rule_id}: {f.description_en} (found {f.observed})" for f in findings)
