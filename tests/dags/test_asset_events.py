"""Two sources that conclude a month in the same moment cause one run."""

from __future__ import annotations

import subprocess
import sys

from loaders.settings import PROJECT_ROOT
from tests.conftest import Warehouse

#: Runs in the child, which Airflow's import may change: a second event of the same month begins
#: while the first one is not committed, one of another month beside it.
CHILD = """
import sys, threading, time
import airflow.assets.manager as manager
from airflow.configuration import conf
assert type(manager.asset_manager).__name__ == "OneRunAssetManager", manager.asset_manager
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

engine, order = create_engine(sys.argv[1]), []

def found(cls, *, target_key, session, name):
    order.append(name)

manager.AssetManager._get_or_create_apdr = classmethod(found)

def event(name, key):
    with Session(engine) as session:
        manager.asset_manager._get_or_create_apdr(target_key=key, session=session, name=name)
        session.commit()

with Session(engine) as first:
    manager.asset_manager._get_or_create_apdr(target_key="2025-01", session=first, name="first")
    threads = [
        threading.Thread(target=event, args=pair)
        for pair in (("second", "2025-01"), ("other month", "2025-02"))
    ]
    for thread in threads:
        thread.start()
    threads[1].join(20)
    time.sleep(1)
    order.append("commit")
    first.commit()
threads[0].join(20)
print(order)
"""


def test_events_of_one_month_come_one_after_the_other(warehouse: Warehouse) -> None:
    url = warehouse.url.set(drivername="postgresql+psycopg")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, url.render_as_string(hide_password=False)],
        env={
            "AIRFLOW_HOME": str(warehouse.home / "airflow"),
            "AIRFLOW__CORE__ASSET_MANAGER_CLASS": "dags.asset_events.OneRunAssetManager",
            "PYTHONPATH": str(PROJECT_ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "['first', 'other month', 'commit', 'second']"
