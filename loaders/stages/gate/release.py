"""The release gate: candidate marts are judged before anybody sees them."""

from __future__ import annotations

import psycopg

from loaders import audit
from loaders.log import get_logger, log_context
from loaders.periods import end_of
from loaders.postgres.database import Role, connect, url
from loaders.quality import get_suite, run_suite, suite_files
from loaders.stages.gate.results import write_rule_results
from loaders.stages.records import GateResult

RELEASE_PASSED = "gate.release.passed"
RELEASE_HELD = "gate.release.held"


def gate_release(candidate_id: str, run_id: str = "manual") -> GateResult:
    """Judge the candidate marts.

    A failing critical rule or a rule that did not run holds the release; failing warnings are
    recorded with the release. The result is an event that `publish` looks for.

    Raises:
        LookupError: the candidate schema holds another candidate, or none.
    """
    with log_context(stage="gate", run_id=run_id):
        with connect(Role.TRANSFORMER) as connection:
            period = candidate_period(connection, candidate_id)
        judged = []
        for path in suite_files("release"):
            suite = get_suite("release", path.stem)
            variables = {"period": period, "period_end": end_of(period).isoformat()}
            outcomes = run_suite(url(Role.PUBLISHER), "candidate", suite.name, suite, variables)
            judged.append((suite, outcomes))
        outcomes = [outcome for _, found in judged for outcome in found]
        reasons = [
            f"rule {outcome.rule.meta.id}: {outcome.rule.meta.description_en} "
            f"(found {outcome.observed})"
            for outcome in outcomes
            if outcome.result == "error"
            or (outcome.result == "fail" and outcome.rule.severity == "critical")
        ]
        failed = sum(outcome.result != "pass" for outcome in outcomes)
        reason = "; ".join(reasons) or None
        with connect(Role.PUBLISHER) as connection:
            for suite, found in judged:
                write_rule_results(
                    connection, "candidate", candidate_id, suite, found, run_id, period=period
                )
            audit.append(
                connection,
                RELEASE_HELD if reasons else RELEASE_PASSED,
                {
                    "candidate_id": candidate_id,
                    "period": period,
                    "rules_run": len(outcomes),
                    "rules_failed": failed,
                    "reason": reason,
                },
            )
        status = "held" if reasons else "accepted"
        get_logger().info("gate", status=status, candidate_id=candidate_id, reason=reason)
        return GateResult(
            candidate_id,
            status,  # type: ignore[arg-type]
            reason,
            rules_run=len(outcomes),
            rules_failed=failed,
        )


def candidate_period(connection: psycopg.Connection, candidate_id: str) -> str:
    """The month of the candidate.

    Raises:
        LookupError: the candidate schema holds another candidate, or none.
    """
    exists = connection.execute("select to_regclass('candidate.release_note')").fetchone()
    row = None
    if exists and exists[0]:
        row = connection.execute(
            "select as_of_period, candidate_id from candidate.release_note"
        ).fetchone()
    if row is None or row[1] != candidate_id:
        found = row[1] if row else "none"
        raise LookupError(f"candidate {candidate_id} is not there (found {found}): build it first")
    return row[0]
