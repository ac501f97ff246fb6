"""The release gate: candidate marts are judged before anybody sees them."""

from __future__ import annotations

from uuid import uuid4

import psycopg

from loaders import audit
from loaders.log import get_logger, log_context
from loaders.periods import end_of
from loaders.postgres.database import Role, connect, url
from loaders.quality.runner import run_suite
from loaders.quality.suites import get_suite, suite_files
from loaders.stages.candidate import candidate_content, content_sha256, present_candidate
from loaders.stages.decisions import Finding, describe
from loaders.stages.gate.results import rule_results_digest, write_rule_results
from loaders.stages.records import GateResult

STATUS_EVENTS = {
    "accepted": audit.GATE_PASSED,
    "waiting": audit.GATE_WAITING,
    "held": audit.GATE_HELD,
}


def gate_release(candidate_id: str, run_id: str = "manual") -> GateResult:
    """Judge the candidate marts.

    A failing critical rule or a rule that did not run holds the release. Failing warnings alone
    make it wait for a person's approval (`loaders/stages/approve.py`). The result is an event that
    `publish` looks for: it names the hash of what was judged and the warnings.

    Raises:
        LookupError: the candidate schema holds another candidate, or none.
    """
    with log_context(stage="gate", run_id=run_id):
        with connect(Role.TRANSFORMER) as connection:
            period = _candidate_period(connection, candidate_id)
            # Before the rules: what is changed while they run is then not what was judged.
            judged_sha256 = content_sha256(candidate_content(connection))
        judged = []
        for path in suite_files("release"):
            suite = get_suite("release", path.stem)
            variables = {"period": period, "period_end": end_of(period).isoformat()}
            outcomes = run_suite(url(Role.PUBLISHER), "candidate", suite.name, suite, variables)
            judged.append((suite, outcomes))
        outcomes = [outcome for _, found in judged for outcome in found]
        stopping = [
            Finding.of(outcome)
            for outcome in outcomes
            if outcome.result == "error"
            or (outcome.result == "fail" and outcome.rule.severity == "critical")
        ]
        warnings = [
            Finding.of(outcome)
            for outcome in outcomes
            if outcome.result == "fail" and outcome.rule.severity == "warning"
        ]
        status = "held" if stopping else "waiting" if warnings else "accepted"
        reason = describe(stopping or warnings) or None
        failed = sum(outcome.result != "pass" for outcome in outcomes)
        gate_run = uuid4()
        with connect(Role.PUBLISHER) as connection:
            for suite, found in judged:
                write_rule_results(
                    connection,
                    "candidate",
                    candidate_id,
                    suite,
                    found,
                    run_id,
                    gate_run,
                    period=period,
                )
            results = rule_results_digest(connection, "candidate", candidate_id, gate_run)
            audit.append(
                connection,
                STATUS_EVENTS[status],
                {
                    "candidate_id": candidate_id,
                    "period": period,
                    "rules_run": len(outcomes),
                    "rules_failed": failed,
                    "gate_run": gate_run,
                    "rule_results_sha256": results.sha256,
                    "reason": reason,
                    "content_sha256": judged_sha256,
                    "warnings": [vars(warning) for warning in warnings],
                },
            )
        get_logger().info("gate", status=status, candidate_id=candidate_id, reason=reason)
        return GateResult(
            candidate_id,
            status,  # type: ignore[arg-type]
            reason,
            rules_run=len(outcomes),
            rules_failed=failed,
        )


def _candidate_period(connection: psycopg.Connection, candidate_id: str) -> str:
    """The month of the candidate.

    Raises:
        LookupError: the candidate schema holds another candidate, or none.
    """
    present = present_candidate(connection)
    if present is None or present[0] != candidate_id:
        found = present[0] if present else "none"
        raise LookupError(f"candidate {candidate_id} is not there (found {found}): build it first")
    return present[1]
