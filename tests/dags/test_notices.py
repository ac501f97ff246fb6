"""Messages of a DAG that Airflow really runs: once when it has failed, once when it recovers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from dags import notices, wiring
from dags.notices import ApprovalNotifier, WebhookNotifier, smtp_connection
from loaders.operations.alerts import Alert, classify
from loaders.operations.notices import Notice, close_notice, open_notice, safe_reason, section
from loaders.settings import PROJECT_ROOT, get_settings
from tests.dags.channels import mail_server, webhook

#: A DAG with the arguments of all our DAGs; its task does at each try what the plan says next.
DAG_FILE = """
    import datetime as dt, json, os
    from pathlib import Path
    import psycopg
    from airflow.sdk import DAG, ExceptionRetryPolicy, RetryAction, RetryRule
    from airflow.sdk.exceptions import AirflowFailException
    from dags.arrival import TakeDelivery
    from dags.wiring import RETRY_POLICY, SourceUnreachable, dag_arguments

    SOON = dt.timedelta(seconds=0.1)
    rules = [
        RetryRule(rule.exception, action=rule.action, retry_delay=SOON, reason=rule.reason)
        for rule in RETRY_POLICY.rules
    ]
    arguments = dag_arguments(verb="import", subject="health", owner="x", tags=[])
    arguments["default_args"]["retry_policy"] = ExceptionRetryPolicy(
        rules=rules, default=RetryAction.FAIL
    )

    class Planned(TakeDelivery):
        def execute(self, context):
            plan = Path(os.environ["PLAN"])
            step, *rest = json.loads(plan.read_text())
            plan.write_text(json.dumps(rest))
            if step == "network":
                raise ConnectionError("postgresql://u:secret@h/d is away")
            if step == "database":
                raise psycopg.OperationalError("password of row 051185000001")
            if step == "unreachable":
                raise SourceUnreachable("the agency's server")
            if step != "fine":
                raise AirflowFailException(step)

    with DAG(**arguments, schedule=None, doc_md={doc!r}):
        Planned(task_id="staff", source="health", dataset="staff", retry_delay=SOON)
"""
#: Runs in the child: each month of the plan once, with the month as partition key.
RUNNER = """
import json, os, sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
from airflow.models import dagrun
from loaders.settings import get_settings

made = dagrun.get_or_create_dagrun

def with_month(*, session, **arguments):
    run = made(session=session, **arguments)
    run.partition_key = month
    session.commit()
    return run

dagrun.get_or_create_dagrun = with_month
dag = DagBag(dag_folder=sys.argv[3]).get_dag("import_health")
ended = []
for month, steps, variables in json.loads(sys.argv[1]):
    os.environ.update(variables)
    get_settings.cache_clear()
    Path(sys.argv[2]).write_text(json.dumps(steps))
    run = dag.test()
    (ti,) = run.get_task_instances()
    ended.append([str(ti.state), ti.try_number])
print("\\n" + json.dumps(ended))
"""
DOC = """\
### Purpose
To test.

### Output
None.

### Impact of failure
The last good
data stay.

### How to rerun
*Clear* the task.
"""
HELD = "held: {{ 1/0 }} <b>3 rows</b>"


@dataclass(frozen=True)
class Airflow:
    """An Airflow of its own with the DAG above; `run` gives state and tries of each run."""

    folder: Path

    def run(self, *runs: tuple[str, list[str], dict[str, str]]) -> tuple[list[Any], str]:
        """Month, steps and variables of each run; all in one process, its output is given too."""
        done = self._call("-c", RUNNER, json.dumps(runs), self._plan, self._dags)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr

    def migrate(self) -> None:
        done = self._call("-m", "airflow", "db", "migrate")
        assert done.returncode == 0, done.stderr[-3000:]

    @property
    def _dags(self) -> str:
        return str(self.folder / "dags")

    @property
    def _plan(self) -> str:
        return str(self.folder / "plan.json")

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "NQ42_"))}
        environment = {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": self._dags,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": str(PROJECT_ROOT),
            "NQ42_HOME": str(self.folder / "home"),
            "PLAN": self._plan,
        }
        return subprocess.run(
            [sys.executable, *arguments],
            env={**kept, **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    found = Airflow(tmp_path_factory.mktemp("airflow"))
    (found.folder / "dags").mkdir()
    text = textwrap.dedent(DAG_FILE).format(doc=DOC)
    (found.folder / "dags" / "example.py").write_text(text, encoding="utf-8")
    found.migrate()
    return found


@dataclass(frozen=True)
class Sent:
    """What became of a few runs in a row, what they wrote, and every message that came of them."""

    ended: list[Any]
    output: str
    mails: list[EmailMessage]
    hooks: list[dict[str, Any]]
    home: Path


@pytest.fixture(scope="module")
def sent(airflow: Airflow) -> Sent:
    with mail_server() as (mail_port, mails), webhook() as (hook_port, hooks):
        both = {
            "NQ42_NOTICE_SMTP_URL": f"smtp://127.0.0.1:{mail_port}?tls=off",
            "NQ42_NOTICE_TO": "operator@example.invalid",
            "NQ42_NOTICE_WEBHOOK_URL": f"http://127.0.0.1:{hook_port}/hook",
        }
        broken = {
            "NQ42_NOTICE_SMTP_URL": "smtp://user:hidden-word@127.0.0.1:9?tls=off",
            "NQ42_NOTICE_WEBHOOK_URL": f"http://127.0.0.1:{hook_port}/broken",
        }
        none = {"NQ42_NOTICE_SMTP_URL": "", "NQ42_NOTICE_WEBHOOK_URL": ""}
        ended, output = airflow.run(
            ("2025-06", ["network", "network", HELD], both),
            ("2025-06", [HELD], {}),
            ("2025-07", ["database"] * 4, {}),
            ("2025-06", ["network", "fine"], {}),
            ("2025-06", ["fine"], {}),
            ("2025-09", ["refused: x"], broken),
            ("2025-09", ["fine"], {}),
            ("2025-10", ["refused: x"], none),
        )
    return Sent(ended, output, mails, hooks, airflow.folder / "home")


def test_a_failure_is_told_once_and_its_recovery_once(sent: Sent) -> None:
    assert sent.ended[:5] == [
        ["failed", 3],
        ["failed", 1],
        ["failed", 4],
        ["success", 2],
        ["success", 1],
    ]
    told = [(hook["alert"], hook["period"], hook["is_recovery"]) for hook in sent.hooks]
    assert told[:3] == [
        ("held", "2025-06", False),  # not at its two retries, nor when it was held again
        ("database_away", "2025-07", False),
        ("held", "2025-06", True),  # July still waits for its own
    ]
    subjects = [mail["Subject"] for mail in sent.mails]
    assert subjects == [hook["text"].splitlines()[0] for hook in sent.hooks[:3]]


def test_a_message_says_what_impact_owner_and_how_to_rerun_in_both_languages(sent: Sent) -> None:
    mail, hook = sent.mails[0], sent.hooks[0]
    assert mail["To"] == "operator@example.invalid"
    assert mail["Subject"] == ("[nq42] Lô dữ liệu bị giữ / Batch held: health.staff 2025-06")
    text = hook["text"]
    for words in (
        "Việc gì: Lô dữ liệu bị giữ: Danh sách nhân lực y tế (health.staff), kỳ 2025-06",
        f"Lý do: {HELD}",  # as it stands: no template
        "Ảnh hưởng: Bộ dữ liệu này giữ số liệu tốt gần nhất",
        "Người phụ trách: Sở Y tế",
        "Cách làm lại: ",
        "What: Batch held: ",
        "Impact: The last good data stay.",
        "Owner: Department of Health",
        "How to rerun: *Clear* the task.",
        "Runbook: docs/runbook.md#held",
        "Run: import_health/manual__",
    ):
        assert words in text, words
    assert text.index("Việc gì") < text.index("What:")
    body = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "&lt;b&gt;3 rows&lt;/b&gt;" in body and "{{ 1/0 }}" in body


def test_of_an_error_that_no_stage_wrote_only_its_kind_is_told(sent: Sent) -> None:
    assert "OperationalError" in sent.hooks[1]["text"]
    everything = "".join(hook["text"] for hook in sent.hooks) + "".join(map(str, sent.mails))
    assert "051185000001" not in everything and "secret" not in everything


def test_channels_that_are_away_fail_no_task_and_leak_no_address(sent: Sent) -> None:
    assert sent.ended[5:7] == [["failed", 1], ["success", 1]]
    # The mail server's absence does not keep the other channel from it.
    assert [hook["is_recovery"] for hook in sent.hooks[3:]] == [False, True]
    assert "Failed to send notification" in sent.output
    assert "hidden-word" not in sent.output and "/broken" not in sent.output


def test_without_a_channel_nothing_is_kept(sent: Sent) -> None:
    assert sent.ended[7] == ["failed", 1]
    assert list(sent.home.rglob("2025-07.json"))
    assert not list(sent.home.rglob("2025-10.json"))


# --- without a run ------------------------------------------------------------------------------


class DiskFull(Exception):
    """Named like psycopg's."""


@pytest.mark.parametrize(
    ("dag_id", "task_id", "error", "alert"),
    [
        ("import_health", "staff", "refused: wrong header", Alert.REFUSED),
        ("import_health", "staff", "held: too few rows", Alert.HELD),
        ("import_health", "staff", wiring.SourceUnreachable("x"), Alert.UNREACHABLE),
        ("import_health", "staff", OSError(28, "No space left on device"), Alert.DISK_FULL),
        ("import_health", "staff", DiskFull(), Alert.DISK_FULL),
        ("import_health", "staff", KeyError("bug"), Alert.TASK_FAILED),
        ("import_health", "staff", None, Alert.TASK_FAILED),
        ("build_and_publish", "build", RuntimeError("dbt"), Alert.BUILD_FAILED),
        ("build_and_publish", "gate", "held: x", Alert.RELEASE_HELD),
        ("build_and_publish", "publish", RuntimeError("x"), Alert.PUBLISH_FAILED),
        ("build_and_publish", "approve", RuntimeError("x"), Alert.TASK_FAILED),
        ("build_and_publish", "approve", AirflowFailException("no name"), Alert.APPROVAL_WAITING),
        ("await_deliveries", "take", AirflowFailException("refused: x"), Alert.REFUSED),
        ("await_deliveries", "take", AirflowFailException("held: x"), Alert.HELD),
        ("await_deliveries", "take", wiring.SourceUnreachable("x"), Alert.UNREACHABLE),
        ("await_deliveries", "find", KeyError("bug"), Alert.TASK_FAILED),
        ("maintain_retention", "purge", PermissionError("x"), Alert.RETENTION_FAILED),
    ],
)
def test_what_a_failure_is_called(dag_id: str, task_id: str, error: Any, alert: Alert) -> None:
    assert classify(dag_id, task_id, error) is alert


def test_what_may_be_told_of_an_error() -> None:
    assert "see the task's log" in safe_reason(KeyError("051185000001"))
    assert "051185000001" not in safe_reason(KeyError("051185000001"))
    assert safe_reason(wiring.SourceUnreachable("the agency's server")) == "the agency's server"
    assert section("", "How to rerun") == "see the runbook"


def test_another_reason_is_told_again_and_only_one_recovery(tmp_path: Path) -> None:
    def notice(reason: str) -> Notice:
        return Notice(Alert.HELD, "import_health", "staff", "2025-06", "r", reason)

    told = [open_notice(tmp_path, notice(reason)) for reason in ("a", "a", "b")]
    assert told == [True, False, True]
    assert close_notice(tmp_path, notice("")) is Alert.HELD
    assert close_notice(tmp_path, notice("")) is None


def test_of_a_dag_without_a_contract_the_operators_are_the_owners() -> None:
    text = Notice(Alert.RETENTION_FAILED, "maintain_retention", "purge", None, "r", "x").text
    assert "Nhóm vận hành nq42" in text and "maintain_retention.purge, kỳ –" in text
    unknown = Notice(Alert.TASK_FAILED, "import_health", "conclude", None, "r", "x").text
    assert "import_health.conclude" in unknown


@pytest.fixture
def hooked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The context of a scheduled run, with a webhook as its channel."""
    with webhook() as (port, hooks):
        monkeypatch.setenv("NQ42_NOTICE_WEBHOOK_URL", f"http://127.0.0.1:{port}/hook")
        monkeypatch.setenv("NQ42_HOME", str(tmp_path))
        get_settings.cache_clear()
        context = {
            "ti": SimpleNamespace(dag_id="import_health", task_id="staff"),
            "dag_run": SimpleNamespace(run_type="scheduled", run_id="r", partition_key="2025-06"),
            "task": SimpleNamespace(),
            "dag": DAG("import_health", schedule=None, doc_md=DOC),
        }
        monkeypatch.setattr(wiring, "get_current_context", lambda: context)
        yield context, hooks
    monkeypatch.undo()
    get_settings.cache_clear()


def test_an_absence_is_told_once_and_fails_no_task(
    hooked: tuple[dict[str, Any], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, hooks = hooked
    for absence in ("late", "late", "given_up"):
        wiring.notify_absence("health", "staff", "2025-06", absence)
    assert [hook["alert"] for hook in hooks] == ["missing", "missing"]
    assert "past its due day" in hooks[0]["text"] and "no longer waited for" in hooks[1]["text"]

    def breaks(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(notices, "open_notice", breaks)
    wiring.notify_absence("health", "staff", "2025-07", "late")
    context["task"] = SimpleNamespace(gated={"subject_id": "2025-06-abc"})
    ApprovalNotifier()(context)  # would fail the task that asks
    assert len(hooks) == 2


def test_a_candidate_that_waits_is_told_once_and_its_end_once(
    hooked: tuple[dict[str, Any], list[dict[str, Any]]],
) -> None:
    context, hooks = hooked
    context["ti"] = SimpleNamespace(dag_id="build_and_publish", task_id="approve")
    context["task"] = SimpleNamespace(gated={"subject_id": "2025-06-abc"})
    for _ in range(2):
        ApprovalNotifier()(context)
    notices.notify_success(context)
    notices.notify_success(context)
    assert [(hook["alert"], hook["is_recovery"]) for hook in hooks] == [
        ("approval_waiting", False),
        ("approval_waiting", True),
    ]
    assert "2025-06-abc" in hooks[0]["text"]


def test_a_webhook_that_answers_with_an_error_is_named_without_its_address() -> None:
    notice = Notice(Alert.HELD, "import_health", "staff", "2025-06", "r", "x")
    with webhook() as (port, _):
        with pytest.raises(RuntimeError, match="answered 500") as found:
            WebhookNotifier(f"http://127.0.0.1:{port}/broken", notice).notify({})
        assert str(port) not in str(found.value)
    with pytest.raises(RuntimeError, match="webhook: ConnectError"):
        WebhookNotifier("http://127.0.0.1:9/hook", notice).notify({})


@pytest.mark.parametrize(
    ("url", "port", "disable_ssl", "disable_tls"),
    [
        ("smtps://user:p%40ss@host", 465, False, True),
        ("smtp://user:p%40ss@host", 587, True, False),
        ("smtp://user:p%40ss@host:25?tls=off", 25, True, True),
    ],
)
def test_the_address_of_a_mail_server(
    url: str, port: int, disable_ssl: bool, disable_tls: bool
) -> None:
    found = json.loads(smtp_connection(url))
    assert (found["host"], found["port"], found["password"]) == ("host", port, "p@ss")
    extra = found["extra"]
    assert (extra["disable_ssl"], extra["disable_tls"]) == (disable_ssl, disable_tls)
