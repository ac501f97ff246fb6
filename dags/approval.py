"""The task that asks a person: between the release gate and publication."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    TaskAwaitingInput,
)

from dags.notices import ApprovalNotifier

#: How long the task stays parked before it looks for an answer from outside, or for a later run:
#: a twentieth of the time that it has waited, within these limits.
SOONEST, LATEST = dt.timedelta(minutes=1), dt.timedelta(minutes=15)
#: What became of a candidate that nobody is asked about any more → why its run ends.
NOT_PUBLISHED = {
    "rejected": "rejected, see audit.approval",
    "superseded": "superseded: schema candidate holds another candidate",
}


class ApproveRelease(ApprovalOperator):
    """Asks for an approval of the candidate that waits; skipped when the gate passed it.

    Parked while it waits: no worker, no pool slot, no triggerer. From minute to minute, later less
    often, it looks whether

    * somebody answered by `nq42 approve`: it then ends as if answered here;
    * another run of the DAG stands in the queue, or another candidate took the place of this one:
      then it ends without publication, because the next candidate holds this one's months too.

    A process that is killed, or that does not reach the database, is tried again like that of any
    task: it asks anew, unless the decision was recorded. An answer that is refused fails the task
    at once, and nobody is asked again.

    Args:
        gated: the record of the task `gate`.
    """

    template_fields = (*HITLOperator.template_fields, "gated")

    def __init__(self, *, gated: Any, **arguments: Any) -> None:
        super().__init__(
            subject="Phê duyệt bản dự thảo / Approve the candidate",
            params={
                "approved_by": Param(
                    None,
                    type=["null", "string"],  # without null the page lets no empty field through
                    title="Họ và tên / Full name",
                    description="Người chịu trách nhiệm; để trống thì lấy tên đăng nhập / "
                    "who answers for it; if empty, the name of the login",
                ),
                "reason": Param(
                    "",
                    type="string",
                    format="multiline",
                    title="Lý do / Reason",
                    description="Ít nhất 10 ký tự, không ghi số định danh cá nhân / "
                    "at least 10 characters, no personal numbers",
                ),
            },
            response_timeout=SOONEST,
            notifiers=ApprovalNotifier(),
            **arguments,
        )
        self.gated = gated

    def execute(self, context: Mapping[str, Any]) -> Any:
        from loaders.stages.approve import get_question, get_standing

        if self.gated["status"] != "waiting":
            raise AirflowSkipException("nothing failed that a person must answer for")
        candidate_id = self.gated["subject_id"]
        standing = get_standing(candidate_id)
        if standing in ("approved", "published"):
            raise AirflowSkipException(f"candidate {candidate_id} is approved already")
        if standing in NOT_PUBLISHED:
            return self._end(context, NOT_PUBLISHED[standing])
        asked = get_question(candidate_id)
        self.subject = f"{self.subject}: {candidate_id}"
        self.body = as_markdown(asked)
        return super().execute(context)

    def execute_complete(self, context: Mapping[str, Any], event: dict[str, Any]) -> Any:
        from loaders.stages.approve import ApprovalError, approve

        if event.get("error_type") == "timeout":
            return self._look_again(context)
        # The base class records the answer and skips what follows a rejection by an exception.
        answer = HITLOperator.execute_complete(self, context, event)
        given, user = answer["params_input"], answer["responded_by_user"] or {}
        account = user.get("name") or "unknown"
        try:
            decision = approve(
                self.gated["subject_id"],
                by=(given.get("approved_by") or "").strip() or account,
                reason=given.get("reason", ""),
                account=account,
                via="airflow",
                is_rejection=answer["chosen_options"] == [self.REJECT],
            )
        except ApprovalError as error:
            raise AirflowFailException(f"{error}. Clear this task to be asked again.") from error
        if decision.decision == "rejected":
            return self._end(context, f"rejected by {decision.decided_by}: {decision.reason}")
        return decision.to_dict()

    def _look_again(self, context: Mapping[str, Any]) -> Any:
        from loaders.stages.approve import get_question, get_standing

        candidate_id, ti = self.gated["subject_id"], context["ti"]
        standing = get_standing(candidate_id)
        if standing in ("approved", "published"):
            return {"subject_id": candidate_id, "decision": standing}
        if standing in NOT_PUBLISHED:
            return self._end(context, NOT_PUBLISHED[standing])
        if ti.get_dr_count(dag_id=self.dag_id, states=["queued"]):
            return self._end(context, "superseded: a later run of this DAG stands in the queue")
        waited = dt.datetime.now(dt.UTC) - get_question(candidate_id).asked_at
        raise TaskAwaitingInput(method_name="execute_complete", timeout=pause(waited))

    def _end(self, context: Mapping[str, Any], why: str) -> None:
        """Let the run end without publication; the reason is in the log and in XCom."""
        self.log.info("candidate %s is not published: %s", self.gated["subject_id"], why)
        context["ti"].xcom_push(key="not_published", value=why)
        # By an exception that ends this task, a success, with what follows skipped.
        self.skip(ti=context["ti"], tasks=context["task"].get_direct_relatives(upstream=False))


def pause(waited: dt.timedelta) -> dt.timedelta:
    """Until the next look, after so long a wait."""
    return min(max(waited / 20, SOONEST), LATEST)


def as_markdown(question: Any) -> str:
    """The candidate and its failed warnings in both languages.

    Args:
        question: a `loaders.stages.decisions.Question`.
    """
    lines = [
        f"**Bản dự thảo / Candidate** `{question.subject_id}`, tháng / month {question.period}",
        "",
        f"sha256 `{question.content_sha256}`",
        "",
        "Các cảnh báo sau không đạt. Phê duyệt để công bố, từ chối để giữ bản cũ. / "
        "These warnings failed. Approve to publish, reject to keep the published release.",
        "",
    ]
    for finding in question.findings:
        lines += [
            f"- **{finding.description_vi}** / {finding.description_en}  ",
            f"  `{finding.rule_id}` v{finding.rule_version}: {finding.observed}",
        ]
    return "\n".join(lines)
