"""The parts of this installation's Airflow: their commands, one in the foreground, their health.

`nq42 up` starts them as processes of one machine (loaders/airflow_service.py); a container or a
service manager runs each in the foreground by `nq42 airflow PART`, and asks for its health by
`nq42 airflow PART --check`.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Collection

import httpx
from sqlalchemy.engine import make_url

from loaders.airflow_config import (
    TASKS_PER_WORKER,
    AirflowServiceError,
    command,
    environment,
    locked,
    migrate,
)
from loaders.settings import PROJECT_ROOT, Settings, SettingsError

HOST = "127.0.0.1"
#: The log servers are left out: API server, tasks and triggers share the log folder.
PARTS = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
WORKER = "worker"
JOBS = {
    "scheduler": "SchedulerJob",
    "dag-processor": "DagProcessorJob",
    "triggerer": "TriggererJob",
}
REDIS_TIMEOUT_SECONDS = 5
#: A worker that answers is not waited for that long.
WORKER_TIMEOUT_SECONDS = 10
#: How many there are is not known: it is waited to the end.
ANY_WORKER_TIMEOUT_SECONDS = 3


def part_arguments(part: str) -> tuple[str, ...]:
    """Arguments of `airflow` for a part; a worker's name is `worker` or `worker-<something>`."""
    if part in PARTS:
        return PARTS[part]
    return (
        *("celery", "worker", "--skip-serve-logs", "--concurrency", str(TASKS_PER_WORKER)),
        *("--celery-hostname", part, "--without-mingle", "--without-gossip"),
    )


def part_names(settings: Settings) -> tuple[str, ...]:
    """The parts that `nq42 up` starts."""
    if settings.executor == "local":
        return tuple(PARTS)
    return (*PARTS, *(f"{WORKER}-{number}" for number in range(1, settings.workers + 1)))


def prepare(settings: Settings) -> None:
    """Make the keys and the metadata database, before parts are run one by one.

    Raises:
        AirflowServiceError: the migration of the metadata failed.
    """
    folder, logs = settings.home / "airflow", settings.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    variables = _variables(settings)
    with locked(folder):
        migrate(folder, variables, logs)


def run(part: str, settings: Settings) -> None:
    """Become a part of Airflow: this process is replaced and does not return.

    Raises:
        SettingsError: NQ42_AIRFLOW_URL is not set.
        AirflowServiceError: Redis cannot be reached.
    """
    check_redis(settings)
    name = f"{WORKER}-{socket.gethostname()}" if part == WORKER else part
    arguments = command(*part_arguments(name))
    os.chdir(PROJECT_ROOT)
    os.execve(arguments[0], arguments, _variables(settings))  # noqa: S606


def is_alive(part: str, settings: Settings) -> bool:
    """Whether the part that `run` started on this machine reports as alive.

    Raises:
        SettingsError: NQ42_AIRFLOW_URL is not set.
    """
    if part == WORKER:
        name = f"{WORKER}-{socket.gethostname()}"
        return name in answering_workers(settings, [name])
    if part == "api-server":
        try:
            url = f"http://{HOST}:{_port(settings)}/api/v2/monitor/health"
            return httpx.get(url, timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False
    check = command("jobs", "check", "--job-type", JOBS[part], "--local")
    variables = _variables(settings)
    return subprocess.run(check, env=variables, capture_output=True, check=False).returncode == 0


def _variables(settings: Settings) -> dict[str, str]:
    port = _port(settings)  # first: it says what is missing
    url = str(settings.airflow_url).rstrip("/")
    # Other machines come in by a name of the network around them; loopback stays loopback.
    is_local = settings.airflow_url is not None and settings.airflow_url.host == HOST
    listen = HOST if is_local else "0.0.0.0"  # noqa: S104
    with locked(settings.home / "airflow"):  # the first of them makes the keys
        return environment(settings, url, listen=listen, port=port)


def _port(settings: Settings) -> int:
    if settings.airflow_url is None or settings.airflow_url.port is None:
        raise SettingsError(
            "NQ42_AIRFLOW_URL is not set: a part of Airflow that runs by itself needs to know "
            "where the API server is, such as http://api-server:8080"
        )
    return settings.airflow_url.port


# --- Redis --------------------------------------------------------------------------------------


def check_redis(settings: Settings) -> None:
    """Ask the broker for a sign of life, where one is needed.

    Raises:
        AirflowServiceError: it cannot be reached; the message does not show its password.
    """
    if settings.executor != "celery" or settings.redis_url is None:
        return
    import redis

    url = settings.redis_url.get_secret_value()
    try:
        with redis.Redis.from_url(
            url, socket_connect_timeout=REDIS_TIMEOUT_SECONDS, socket_timeout=REDIS_TIMEOUT_SECONDS
        ) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        shown = make_url(url).render_as_string(hide_password=True)
        raise AirflowServiceError(
            f"the Redis server of NQ42_REDIS_URL ({shown}) cannot be used: {error}. Start it, or "
            "set NQ42_EXECUTOR=local"
        ) from error


def has_workers(settings: Settings) -> bool:
    """Whether every worker that `nq42 up` starts answers; so it is where none is needed."""
    wanted = set(part_names(settings)) - set(PARTS)
    return not wanted or wanted <= answering_workers(settings, wanted)


def answering_workers(settings: Settings, workers: Collection[str] = ()) -> set[str]:
    """Names of the workers that answer by the broker: of these, or without names of all.

    None does while the broker is away.
    """
    if settings.redis_url is None:
        return set()
    from celery import Celery
    from kombu.exceptions import OperationalError
    from redis import RedisError

    prefix = "celery@"
    with Celery(broker=settings.redis_url.get_secret_value(), set_as_current=False) as app:
        # Kept connections would be those to a Redis that may have been started anew since.
        app.conf.broker_pool_limit = 0
        try:
            answers = app.control.ping(
                destination=[prefix + name for name in workers] or None,
                timeout=WORKER_TIMEOUT_SECONDS if workers else ANY_WORKER_TIMEOUT_SECONDS,
            )
        except (OperationalError, RedisError):
            return set()
    return {name.removeprefix(prefix) for answer in answers for name in answer}
