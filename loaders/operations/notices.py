"""Messages about tasks that failed and recovered: their words, and that each is sent once.

What is open is kept in `<NQ42_HOME>/notices/<dag>/<task>/<period>.json`: a failure is told once for
its reason, however often it is tried, and its recovery once. The text holds no personal data: the
reasons of stages are safe, of any other error only its kind is told.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from loaders.contracts.model import get_contract
from loaders.files import write_text
from loaders.operations.alerts import Alert

#: Errors whose text the stages wrote themselves; others may quote a row or a password.
SAFE_ERRORS = frozenset(("AirflowFailException", "SourceUnreachable"))
#: Of the page of a DAG, for the English half.
IMPACT, RERUN = "Impact of failure", "How to rerun"
OWNER_VI, OWNER_EN = "Nhóm vận hành nq42", "the operators of nq42"


@dataclass(frozen=True)
class Notice:
    """Something that somebody has to know.

    Attributes:
        period: partition key of the run; None for a run without one.
        reason: as the stage gave it.
        documentation: the DAG's page, with its four headings.
        is_recovery: the same task has succeeded for the same period.
    """

    alert: Alert
    dag_id: str
    task_id: str
    period: str | None
    run_id: str
    reason: str
    documentation: str = ""
    is_recovery: bool = False

    @property
    def subject(self) -> str:
        """One line, Vietnamese first."""
        words = self.alert.value
        state = "ĐÃ XONG / RESOLVED: " if self.is_recovery else ""
        what = f"{self.dag_id}.{self.task_id} {self.period or ''}".strip()
        return f"[nq42] {state}{words.title_vi} / {words.title_en}: {what}"

    @property
    def text(self) -> str:
        """Plain text: what, why, impact, owner, how to rerun, runbook; Vietnamese, then English."""
        words = self.alert.value
        what_vi, what_en, owner_vi, owner_en = self._names()
        period = self.period or "–"
        if self.is_recovery:
            lines = [
                f"Đã trở lại bình thường: {what_vi}, kỳ {period}.",
                f"Trước đó: {words.title_vi}.",
                "",
                f"Back to normal: {what_en}, period {period}.",
                f"Before: {words.title_en}.",
            ]
        else:
            lines = [
                f"Việc gì: {words.title_vi}: {what_vi}, kỳ {period}",
                f"Lý do: {self.reason}",
                f"Ảnh hưởng: {words.impact_vi}",
                f"Người phụ trách: {owner_vi}",
                f"Cách làm lại: {words.action_vi}",
                "",
                f"What: {words.title_en}: {what_en}, period {period}",
                f"Impact: {section(self.documentation, IMPACT)}",
                f"Owner: {owner_en}",
                f"How to rerun: {section(self.documentation, RERUN)}",
            ]
        return "\n".join([*lines, "", f"Runbook: {self.alert.runbook}", f"Run: {self.run_id}", ""])

    def _names(self) -> tuple[str, str, str, str]:
        """What it is about and who answers for it, each in both languages."""
        verb, _, source = self.dag_id.partition("_")
        name = f"{self.dag_id}.{self.task_id}"
        if verb == "import":
            try:
                contract = get_contract(source)
                dataset = contract.dataset(self.task_id)
            except KeyError:
                return name, name, OWNER_VI, OWNER_EN
            name = f"{source}.{dataset.name}"
            return (
                f"{dataset.title_vi} ({name})",
                f"{dataset.title_en} ({name})",
                contract.owner_vi,
                contract.owner_en,
            )
        return name, name, OWNER_VI, OWNER_EN

    def to_dict(self) -> dict[str, str | bool | None]:
        """For a webhook: `text` is what chat programs show, the rest is for programs."""
        return {
            "text": f"{self.subject}\n\n{self.text}",
            "alert": self.alert.key,
            "is_recovery": self.is_recovery,
            "dag_id": self.dag_id,
            "task_id": self.task_id,
            "period": self.period,
            "run_id": self.run_id,
        }


def section(documentation: str, heading: str) -> str:
    """The paragraph under one heading of a DAG's page, as one line."""
    parts = re.split(r"^### (.+)$", documentation, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    return " ".join(found.get(heading, "see the runbook").split())


def safe_reason(error: BaseException | str | None) -> str:
    """What may leave the house of an error."""
    if type(error).__name__ in SAFE_ERRORS:
        return str(error)
    kind = type(error).__name__ if isinstance(error, BaseException) else "the task was ended"
    return f"{kind} (xem nhật ký của nhiệm vụ / see the task's log)"


def open_notice(home: Path, notice: Notice) -> bool:
    """Note that this failure is known now; False when it was told already."""
    mark = _mark(home, notice.dag_id, notice.task_id, notice.period)
    told = hashlib.sha256(f"{notice.alert.key} {notice.reason}".encode()).hexdigest()
    if mark.exists() and json.loads(mark.read_text(encoding="utf-8"))["told"] == told:
        return False
    mark.parent.mkdir(parents=True, exist_ok=True)
    write_text(mark, json.dumps({"alert": notice.alert.name, "told": told}))
    return True


def close_notice(home: Path, dag_id: str, task_id: str, period: str | None) -> Alert | None:
    """The failure that is over with this success; None when none was told."""
    mark = _mark(home, dag_id, task_id, period)
    try:
        alert = Alert[json.loads(mark.read_text(encoding="utf-8"))["alert"]]
        mark.unlink()  # whoever removes it tells of the recovery
    except FileNotFoundError:
        return None
    return alert


def _mark(home: Path, dag_id: str, task_id: str, period: str | None) -> Path:
    return home / "notices" / dag_id / task_id / f"{period or 'none'}.json"
