"""A delivery that is late in its import and taken by `await_deliveries`, in the project's DAGs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from loaders.settings import PROJECT_ROOT
from tests.conftest import Warehouse
from tests.dags.channels import webhook
from tests.integration.members import DATASET, SOURCE, deliver, prepare, row

PERIOD = "2025-01"
#: Runs in the child: the list is due three days ago; it is delivered while `take` waits for it.
RUNNER = """
import datetime as dt, json, shutil, sys, threading
from airflow.dag_processing.dagbag import DagBag
from airflow.models import dagrun
from airflow.utils.types import DagRunType
from loaders.contracts.model import get_dataset
from loaders.periods import TIMEZONE, end_of

source, name, period, ready, inbox = sys.argv[1:]
dataset = get_dataset(source, name)
due_day = (dt.datetime.now(TIMEZONE).date() - end_of(period)).days - 3
schedule = dataset.extension.schedule.model_copy(
    update={"due_day": due_day, "grace_days": 1, "wait_days": 10}
)
changed = dataset.extension.model_copy(update={"schedule": schedule})
object.__setattr__(dataset, "extension", changed)

made = dagrun.get_or_create_dagrun

def as_scheduled(*, session, **arguments):
    run = made(session=session, **arguments)
    run.partition_key, run.run_type = period, run_type
    session.commit()
    return run

dagrun.get_or_create_dagrun = as_scheduled
bag, ended = DagBag(), []
for dag_id, run_type in (
    (f"import_{source}", DagRunType.SCHEDULED),
    ("await_deliveries", DagRunType.ASSET_TRIGGERED),
    (f"import_{source}", DagRunType.MANUAL),
):
    if dag_id == "await_deliveries":
        threading.Timer(2, shutil.copytree, (ready, inbox)).start()
    run = bag.get_dag(dag_id).test()
    states = {
        (ti.task_id, ti.rendered_map_index): str(ti.state) for ti in run.get_task_instances()
    }
    ended.append({f"{task_id} {name or ''}".strip(): s for (task_id, name), s in states.items()})
print("\\n" + json.dumps(ended))
"""


@pytest.fixture(scope="module")
def sent(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Any], list[dict[str, Any]]]:
    """States of the tasks of each run, and the messages about the list."""
    prepare()
    folder = tmp_path_factory.mktemp("late")
    path = deliver(warehouse, [row(i, month="01/2025") for i in range(5)], PERIOD)
    path.parent.rename(folder / "ready")
    with webhook() as (port, hooks):
        environment = {
            **{name: value for name, value in os.environ.items() if "AIRFLOW" not in name},
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": str(PROJECT_ROOT),
            "NQ42_ARRIVAL_POLL_SECONDS": "0.2",
            "NQ42_NOTICE_WEBHOOK_URL": f"http://127.0.0.1:{port}/hook",
        }
        _call(environment, "-m", "airflow", "db", "migrate")
        places = (str(folder / "ready"), str(path.parent))
        said = _call(environment, "-c", RUNNER, SOURCE, DATASET, PERIOD, *places)
    about = {"source": SOURCE, "dataset": DATASET, "period": PERIOD}
    found = [hook for hook in hooks if hook["delivery"] == about]
    return json.loads(said.splitlines()[-1]), found


def _call(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_whichever_task_takes_a_late_delivery_its_end_is_told_once(
    warehouse: Warehouse, sent: tuple[list[Any], list[dict[str, Any]]]
) -> None:
    (imported, awaited, again), hooks = sent
    assert imported["take_one " + DATASET] == "skipped"
    assert again["take"] == "success"
    assert awaited["find"] == "success"
    assert [(hook["alert"], hook["is_recovery"], hook["dag_id"]) for hook in hooks] == [
        ("missing", False, f"import_{SOURCE}"),
        ("missing", True, "await_deliveries"),
    ]
    assert not list(warehouse.home.glob(f"notices/{SOURCE}/{DATASET}/*"))


def test_the_message_names_the_list_and_not_the_task_that_waits(
    sent: tuple[list[Any], list[dict[str, Any]]],
) -> None:
    late, over = (hook["text"].splitlines() for hook in sent[1])
    subject = f"Chưa nhận được dữ liệu / Delivery missing: {SOURCE}.{DATASET} {PERIOD}"
    assert (late[0], over[0]) == (f"[nq42] {subject}", f"[nq42] ĐÃ XONG / RESOLVED: {subject}")
    assert "past its due day" in "".join(late)
    assert f"({SOURCE}.{DATASET}), kỳ {PERIOD}." in over[2]
