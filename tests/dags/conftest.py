"""A DagBag of the project's DAGs, read in a process of its own as Airflow does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loaders.settings import PROJECT_ROOT

#: Runs in the child: Airflow's import leaves warnings and settings that no other test should see.
READER = """
import json, sys, time

#: What leaves the process, as the interpreter itself reports it (PEP 578): no library gets past.
OUTSIDE = (
    "socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname",
    "subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.fork", "os.forkpty",
    "sqlite3.connect", "urllib.Request", "libpq",
)
is_reading = False

def refuse(event, arguments):
    if is_reading and event in OUTSIDE:
        raise AssertionError(f"a DAG file reached outside while it was read: {event}")

from airflow.dag_processing.dagbag import DagBag  # Airflow itself may import what it wants
import psycopg, psycopg2  # the retry rules name its errors
for owner, name in ((psycopg, "connect"), (psycopg.Connection, "connect"), (psycopg2, "connect")):
    setattr(owner, name, lambda *_, **__: sys.audit("libpq"))  # it connects below Python
before = set(sys.modules)
sys.addaudithook(refuse)
is_reading, started = True, time.process_time()
bag = DagBag(dag_folder=sys.argv[1])
is_reading, seconds = False, time.process_time() - started

def uris(condition):
    # An asset as its URI, conditions as {"all": […]} and {"any": […]}.
    if condition is None or hasattr(condition, "uri"):
        return condition and condition.uri
    inner = sorted((uris(one) for one in condition.objects), key=str)
    return {type(condition).__name__.removeprefix("Asset").lower(): inner}

def rule_of(weight_rule):
    return str(getattr(weight_rule, "value", weight_rule))

def describe(dag):
    return {
        "doc_md": dag.doc_md,
        "tags": sorted(dag.tags),
        "timetable": type(dag.timetable).__name__,
        "timezone": str(dag.timezone),
        "start": dag.start_date.isoformat(),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "description": dag.description,
        "cron": getattr(dag.timetable, "expression", None),
        "run_offset": getattr(dag.timetable, "run_offset", None),
        "key_format": getattr(dag.timetable, "key_format", None),
        "assets": uris(getattr(dag.timetable, "asset_condition", None)),
        "tasks": {
            task.task_id: {
                "owner": task.owner,
                "upstream": sorted(task.upstream_task_ids),
                "trigger_rule": str(task.trigger_rule.value),
                "retries": task.retries,
                "has_callback": bool(task.on_failure_callback),
                "retry_policy": task.retry_policy and task.retry_policy.serialize(),
                "is_teardown": task.is_teardown,
                "is_mapped": task.is_mapped,
                "weight": [rule_of(task.weight_rule), task.priority_weight],
                "pool": task.pool,
                "outlets": [getattr(o, "uri", o.name) for o in task.outlets],
            }
            for task in dag.tasks
        },
    }

document = {
    "seconds": seconds,
    "errors": bag.import_errors,
    "dags": {dag_id: describe(dag) for dag_id, dag in bag.dags.items()},
    "imported": sorted({name.partition(".")[0] for name in set(sys.modules) - before}),
}
print("\\n" + json.dumps(document))
"""


def read_dags(folder: Path, home: Path, **variables: str) -> dict[str, Any]:
    """What Airflow sees in a DAG folder: errors, DAGs, and the packages that reading imported."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "NQ42_"))},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(PROJECT_ROOT),
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-c", READER, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return read_dags(PROJECT_ROOT / "dags", tmp_path_factory.mktemp("airflow"))


@pytest.fixture(scope="session")
def dags(bag: dict[str, Any]) -> dict[str, Any]:
    return bag["dags"]
