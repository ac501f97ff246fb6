"""Failure and recovery messages to the channels that the settings name, by Airflow's notifiers.

Called by the callbacks of `dags.wiring.dag_arguments`, in the task's own process. A message that
cannot be sent is logged and changes nothing about the task.
"""

from __future__ import annotations

import html
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from airflow.sdk import BaseNotifier

from loaders.operations.alerts import Alert, classify
from loaders.operations.notices import Delivery, Notice, close_notice, open_notice, safe_reason
from loaders.settings import Settings, get_settings

if TYPE_CHECKING:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

#: The Airflow connection that the setting NQ42_NOTICE_SMTP_URL becomes.
SMTP_CONNECTION = "nq42_notice"
TIMEOUT_SECONDS = 10

ABSENCES = {
    "late": "quá hạn, chưa nhận được / past its due day, nothing has arrived",
    "given_up": "hết thời gian chờ / no longer waited for",
}

log = logging.getLogger(__name__)


class WebhookNotifier(BaseNotifier):
    """POSTs the notice as JSON; `text` is what chat programs show."""

    def __init__(self, url: str, notice: Notice) -> None:
        super().__init__()
        self._url, self._notice = url, notice  # no template fields: the text is no template

    def notify(self, context: Any) -> None:
        import httpx

        try:
            answer = httpx.post(self._url, json=self._notice.to_dict(), timeout=TIMEOUT_SECONDS)
        except httpx.HTTPError as error:
            # The address is a secret, and the message of the error may quote it.
            raise RuntimeError(f"webhook: {type(error).__name__}") from None
        if answer.is_error:
            raise RuntimeError(f"webhook: answered {answer.status_code}")


def mail_notifier(settings: Settings, notice: Notice) -> SmtpNotifier:
    """The provider's notifier, with the notice as its text."""
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    assert settings.notice_smtp_url is not None and settings.notice_to is not None
    url = settings.notice_smtp_url.get_secret_value()
    os.environ[f"AIRFLOW_CONN_{SMTP_CONNECTION.upper()}"] = smtp_connection(url)
    notifier = SmtpNotifier(
        smtp_conn_id=SMTP_CONNECTION,
        from_email=settings.notice_from or settings.notice_to.split(",")[0].strip(),
        to=settings.notice_to,
        subject=notice.subject,
        html_content=f'<pre style="white-space: pre-wrap">{html.escape(notice.text)}</pre>',
    )
    notifier.template_fields = ()  # a reason may quote a file: it is text, never a template
    return notifier


def smtp_connection(url: str) -> str:
    """An Airflow connection from `smtps://user:password@host:465` or `smtp://…:587`.

    smtps is TLS from the first byte; smtp asks for TLS before it logs in, or does without it when
    the address ends in `?tls=off`.
    """
    parts = urlsplit(url)
    is_tls_off = parse_qs(parts.query).get("tls") == ["off"]
    return json.dumps(
        {
            "conn_type": "smtp",
            "host": parts.hostname,
            "port": parts.port or (465 if parts.scheme == "smtps" else 587),
            "login": unquote(parts.username or "") or None,
            "password": unquote(parts.password or "") or None,
            "extra": {
                "disable_ssl": parts.scheme != "smtps",
                "disable_tls": is_tls_off or parts.scheme == "smtps",
                "timeout": TIMEOUT_SECONDS,
                "retry_limit": 2,
            },
        }
    )


@contextmanager
def quietly() -> Iterator[None]:
    """What goes wrong is logged, without its text, and the task ends as it would without it."""
    try:
        yield
    except Exception as error:
        log.error("notice was not sent: %s", type(error).__name__)


def send(context: Mapping[str, Any], notice: Notice) -> None:
    """To every channel that the settings name; one that fails does not keep another from it."""
    settings, notifiers = get_settings(), list[BaseNotifier]()
    if settings.notice_smtp_url is not None and settings.notice_to is not None:
        notifiers.append(mail_notifier(settings, notice))
    if settings.notice_webhook_url is not None:
        url = settings.notice_webhook_url.get_secret_value()
        notifiers.append(WebhookNotifier(url, notice))
    for notifier in notifiers:
        with quietly():
            notifier(context)


def notify_failure(context: Mapping[str, Any]) -> None:
    """The task has failed for good: retries are not told."""
    ti, error = context["ti"], context.get("exception")
    _open(context, classify(ti.dag_id, ti.task_id, error), safe_reason(error))


def tell_absence(context: Mapping[str, Any], absence: str) -> None:
    """A delivery is ``late`` or ``given_up``; called by the task itself, which goes on."""
    reason = ABSENCES.get(absence, absence)
    with quietly():
        _open(context, Alert.MISSING, reason)


def notify_success(context: Mapping[str, Any]) -> None:
    """What was told of is over: the same task has succeeded for the same month, or another task
    has taken the same delivery."""
    _close(context, _delivery(context))


def tell_taken(context: Mapping[str, Any], delivery: Delivery) -> None:
    """What was told of this delivery is over; called by a task that takes more than one."""
    with quietly():
        _close(context, delivery)


class ApprovalNotifier(BaseNotifier):
    """Tells that a candidate waits for a person; sent when the question is asked."""

    def notify(self, context: Any) -> None:
        with quietly():
            candidate_id = context["task"].gated["subject_id"]
            reason = f"bản dự thảo / candidate {candidate_id} (nq42 approve)"
            _open(context, Alert.APPROVAL_WAITING, reason)


def _open(context: Mapping[str, Any], alert: Alert, reason: str) -> None:
    settings = get_settings()
    if settings.notice_smtp_url is None and settings.notice_webhook_url is None:
        return
    notice = _notice(context, alert, reason, _delivery(context))
    if open_notice(settings.home, notice):
        send(context, notice)


def _close(context: Mapping[str, Any], delivery: Delivery | None) -> None:
    notice = _notice(context, Alert.TASK_FAILED, "", delivery, is_recovery=True)
    alert = close_notice(get_settings().home, notice)
    if alert is not None:
        send(context, replace(notice, alert=alert))


def _notice(
    context: Mapping[str, Any],
    alert: Alert,
    reason: str,
    delivery: Delivery | None,
    *,
    is_recovery: bool = False,
) -> Notice:
    ti, run = context["ti"], context["dag_run"]
    return Notice(
        alert=alert,
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        period=run.partition_key,
        run_id=f"{ti.dag_id}/{run.run_id}",
        reason=reason,
        documentation=context["dag"].doc_md or "",
        delivery=delivery,
        is_recovery=is_recovery,
    )


def _delivery(context: Mapping[str, Any]) -> Delivery | None:
    """What the task takes, if it is one that takes deliveries (`dags.arrival`)."""
    task, month = context["task"], context["dag_run"].partition_key
    if not hasattr(task, "period_of") or not month:
        return None
    period = task.period_of(month)
    return Delivery(task.source, task.dataset, period) if period else None
