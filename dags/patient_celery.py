"""A CeleryExecutor for which a broker that is away is no failure of the tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.providers.celery.executors.celery_executor import CeleryExecutor
from airflow.providers.common.compat.sdk import AirflowTaskTimeout
from kombu.exceptions import OperationalError


class PatientCeleryExecutor(CeleryExecutor):
    """CeleryExecutor that keeps what it cannot hand out while Redis is away.

    Airflow's own takes each such task for failed, so that a few minutes use up all of its tries.
    """

    def _send_workloads_to_celery(self, workload_tuples_to_send: Sequence[Any]) -> list[Any]:
        sent = super()._send_workloads_to_celery(workload_tuples_to_send)
        away = (OperationalError, AirflowTaskTimeout)
        # What is said neither to be sent nor to have failed stays in the executor's queue.
        return [one for one in sent if not isinstance(getattr(one[2], "exception", None), away)]
