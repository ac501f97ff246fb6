"""`approve`: a named person answers for what a gate does not let through by itself.

A candidate of which only warnings failed waits for a decision, and so does a batch that dataset
rules or the share of quarantined rows hold. The decision covers exactly what it was given for: the
content and the findings (rule, version, observed value).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from loaders import audit
from loaders.log import get_logger, log_context
from loaders.postgres.database import Role, connect
from loaders.publication import PublishError
from loaders.stages.candidate import candidate_content, content_sha256, present_candidate
from loaders.stages.decisions import (
    Finding,
    Question,
    Verdict,
    approvals_of_acceptances,
    describe,
    newest_decision,
    uncovered,
    verdict,
)
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
class Decision(Record):
    """A row of `audit.approval`; `status` is ``recorded``, or ``unchanged`` if it stood already."""

    subject_id: str
    decision: Verdict
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
    """Record a person's decision on a candidate that waits or on a batch that is held.

    Args:
        by: the name of the person who answers for it.
        account: the login through which the decision came in.

    Raises:
        ApprovalError: nobody is named, the reason is too short or holds a personal number, or the
            subject does not wait for a decision or is no longer what was judged.
    """
    by, reason = _person(by), _reason(reason)
    decision: Verdict = "rejected" if is_rejection else "approved"
    with log_context(stage="approve"), connect(Role.PUBLISHER) as connection:
        question = _question(connection, subject_id)
        standing = newest_decision(connection, question)
        if standing and verdict(standing, question) == decision:
            return Decision(
                subject_id, decision, standing["decided_by"], standing["reason"], "unchanged"
            )
        audit.insert_vouched(
            connection,
            audit.APPROVAL_EVENT,
            {
                "subject_kind": question.subject_kind,
                "subject_id": subject_id,
                "content_sha256": question.content_sha256,
                "decision": decision,
                "rules": Jsonb([vars(finding) for finding in question.findings]),
                "decided_by": by,
                "reason": reason,
                "via": via,
                "account": account,
            },
        )
        get_logger().info("approve", subject_id=subject_id, decision=decision, via=via)
        return Decision(subject_id, decision, by, reason)


def list_waiting() -> list[Question]:
    """What waits for a decision now: held batches by period, then the candidate."""
    with connect(Role.PUBLISHER) as connection:
        held = connection.execute(
            "select batch_id from audit.batch_current"
            " where stage = 'gate' and status = 'held' and details -> 'hold' ->> 'final' = '[]'"
            " order by period, source, dataset"
        ).fetchall()
        waiting = [_batch(connection, batch_id) for (batch_id,) in held]
        present = present_candidate(connection)
        if present and _standing(connection, present[0]) == "open":
            waiting.append(_candidate(connection, present[0]))
        return [q for q in waiting if verdict(newest_decision(connection, q), q) is None]


def get_question(candidate_id: str) -> Question:
    """What a person is asked about the candidate.

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
    connection: psycopg.Connection, candidate_id: str, manifest: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Let a candidate through to publication; the approvals that it stands on, as JSON types.

    Args:
        manifest: ``tables``, the contents of the candidate's tables under the caller's lock, and
            ``batches``, those in raw.

    Raises:
        PublishError: the gate did not pass this very content, or nobody answers for its warnings.
    """
    event = _gate_event(connection, candidate_id)
    if event is None or event["kind"] not in (audit.GATE_PASSED, audit.GATE_WAITING):
        state = "did not pass" if event else "has not seen"
        raise PublishError(
            f"the release gate {state} candidate {candidate_id}: it stays a candidate"
        )
    if event["payload"].get("content_sha256") != content_sha256(manifest["tables"]):
        raise PublishError(
            f"candidate {candidate_id} is not what the release gate judged: its tables were changed"
            f" since. Run `nq42 gate {candidate_id}`"
        )
    approvals = approvals_of_acceptances(connection, [b["result_id"] for b in manifest["batches"]])
    if event["kind"] == audit.GATE_WAITING:
        approvals.append(_approval(connection, candidate_id, event))
    return [row | {"at": row["at"].isoformat()} for row in approvals]


def _approval(
    connection: psycopg.Connection, candidate_id: str, event: Mapping[str, Any]
) -> dict[str, Any]:
    """The approval of a candidate that covers all that its latest judgement found."""
    question = _asked(candidate_id, event)
    newest = newest_decision(connection, question)
    if newest is None or newest["decision"] == "rejected":
        said = f"was rejected by {newest['decided_by']}" if newest else "waits for an approval"
        raise PublishError(f"candidate {candidate_id} {said}: {describe(question.findings)}")
    open_findings = uncovered(newest, question)
    if open_findings:
        raise PublishError(
            f"the approval of candidate {candidate_id} by {newest['decided_by']} does not cover "
            + ", ".join(f"{f.rule_id} v{f.rule_version} ({f.observed})" for f in open_findings)
            + ": it needs a new approval"
        )
    return newest


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


def _question(connection: psycopg.Connection, subject_id: str) -> Question:
    """What waits under this id: candidates have a month in it, batches are hexadecimal."""
    if "-" not in subject_id:
        return _batch(connection, subject_id)
    question = _candidate(connection, subject_id)
    if question.content_sha256 != content_sha256(candidate_content(connection)):
        raise ApprovalError(
            f"candidate {subject_id} was changed after the gate judged it: run "
            f"`nq42 gate {subject_id}` and decide on what it finds"
        )
    return question


def _candidate(connection: psycopg.Connection, candidate_id: str) -> Question:
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
    return _asked(candidate_id, event)


def _batch(connection: psycopg.Connection, batch_id: str) -> Question:
    """The held batch with what a person can answer for."""
    row = connection.execute(
        "select c.period, c.stage, c.status, c.at, c.details -> 'hold', r.sha256"
        " from audit.batch_current as c inner join audit.receipt as r using (batch_id)"
        " where c.batch_id = %s",
        (batch_id,),
    ).fetchone()
    if row is None:
        raise ApprovalError(
            f"{batch_id} is no candidate, and no batch that is the latest of its month: "
            "`nq42 approve` lists what waits"
        )
    period, stage, status, at, hold, sha256 = row
    if (stage, status) != ("gate", "held"):
        raise ApprovalError(f"batch {batch_id} is not held but {status}: nothing to approve")
    if hold is None:
        raise ApprovalError(f"run `nq42 gate {batch_id}` again: its hold names no findings")
    if hold["final"]:
        raise ApprovalError(
            f"batch {batch_id} cannot be approved, the data must be put right: "
            + "; ".join(hold["final"])
        )
    findings = tuple(Finding(**finding) for finding in hold["findings"])
    return Question("batch", batch_id, period, sha256, findings, at)


def _gate_event(connection: psycopg.Connection, candidate_id: str) -> dict[str, Any] | None:
    """The latest judgement on the candidate: kind, at, payload."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "select kind, at, payload from audit.event"
            " where kind = any(%s) and payload ->> 'candidate_id' = %s order by seq desc limit 1",
            ([audit.GATE_PASSED, audit.GATE_WAITING, audit.GATE_HELD], candidate_id),
        ).fetchone()


def _asked(candidate_id: str, event: Mapping[str, Any]) -> Question:
    payload = event["payload"]
    return Question(
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
    question = _asked(candidate_id, event)
    return verdict(newest_decision(connection, question), question) or "open"
