"""Messages about tasks that failed and recovered: their words, and that each is sent once.

What is open is kept in `<NQ42_HOME>/notices/<dag>/<task>/<month>.json`, or for a delivery in
`<source>/<dataset>/<period>.json`, whichever task waits for it or takes it: a failure is told once
for its reason, however often it is tried, and its recovery once. The text holds no personal data:
the reasons of stages are safe, of any other error only its kind is told.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loaders.contracts.model import get_contract
from loaders.files import write_text
from loaders.operations.alerts import Alert

#: Errors whose text the stages wrote themselves; others may quote a row or a password.
SAFE_ERRORS = frozenset(("AirflowFailException", "SourceUnreachable"))
#: Of the page of a DAG, for the English half.
IMPACT, RERUN = "Impact of failure", "How to rerun"
FOLDER = "notices"
OWNER_VI, OWNER_EN = "Nhóm vận hành nq42", "the operators of nq42"


@dataclass(frozen=True)
class Delivery:
    """One dataset's period, such as "2025-Q4"."""

    source: str
    dataset: str
    period: str


@dataclass(frozen=True)
class Notice:
    """Something that somebody has to know.

    Attributes:
        period: month that is the run's partition key; None for a run without one.
        reason: as the stage gave it.
        documentation: the DAG's page, with its four headings.
        delivery: what the task takes; None for any other task.
        is_recovery: it is over.
    """

    alert: Alert
    dag_id: str
    task_id: str
    period: str | None
    run_id: str
    reason: str
    documentation: str = ""
    delivery: Delivery | None = None
    is_recovery: bool = False

    @property
    def subject(self) -> str:
        """One line, Vietnamese first."""
        words = self.alert.value
        state = "ĐÃ XONG / RESOLVED: " if self.is_recovery else ""
        what = " ".join(part for part in self._matter if part)
        return f"[nq42] {state}{words.title_vi} / {words.title_en}: {what}"

    @property
    def text(self) -> str:
        """Plain text: what, why, impact, owner, how to rerun, runbook; Vietnamese, then English."""
        words = self.alert.value
        what_vi, what_en, owner_vi, owner_en = self._names()
        period = self._matter[1] or "–"
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

    @property
    def mark(self) -> Path:
        """Where it is kept while it is open, under the folder of notices."""
        name, period = self._matter
        return Path(*name.split(".", 1), f"{period or 'none'}.json")

    @property
    def _matter(self) -> tuple[str, str | None]:
        """What it is about, and of which period: a delivery, or a task in a month."""
        if self.delivery is not None:
            return f"{self.delivery.source}.{self.delivery.dataset}", self.delivery.period
        return f"{self.dag_id}.{self.task_id}", self.period

    def _names(self) -> tuple[str, str, str, str]:
        """What it is about and who answers for it, each in both languages."""
        name, _ = self._matter
        if self.delivery is None:
            return name, name, OWNER_VI, OWNER_EN
        contract = get_contract(self.delivery.source)
        dataset = contract.dataset(self.delivery.dataset)
        return (
            f"{dataset.title_vi} ({name})",
            f"{dataset.title_en} ({name})",
            contract.owner_vi,
            contract.owner_en,
        )

    def to_dict(self) -> dict[str, Any]:
        """For a webhook: `text` is what chat programs show, the rest is for programs."""
        return {
            "text": f"{self.subject}\n\n{self.text}",
            "alert": self.alert.key,
            "is_recovery": self.is_recovery,
            "dag_id": self.dag_id,
            "task_id": self.task_id,
            "period": self.period,
            "delivery": self.delivery and asdict(self.delivery),
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
    mark = home / FOLDER / notice.mark
    told = hashlib.sha256(f"{notice.alert.key} {notice.reason}".encode()).hexdigest()
    if mark.exists() and json.loads(mark.read_text(encoding="utf-8"))["told"] == told:
        return False
    mark.parent.mkdir(parents=True, exist_ok=True)
    write_text(mark, json.dumps({"alert": notice.alert.name, "told": told}))
    return True


def close_notice(home: Path, recovery: Notice) -> Alert | None:
    """What is over with this recovery; None when nothing of it was told."""
    mark = home / FOLDER / recovery.mark
    try:
        alert = Alert[json.loads(mark.read_text(encoding="utf-8"))["alert"]]
        mark.unlink()  # whoever removes it tells of the recovery
    except FileNotFoundError:
        return None
    return alert
