"""How every part of this installation's Airflow is set up: its environment, keys and metadata.

One source for every way to run them (loaders/airflow_parts.py). Under `<home>/airflow`:

    secrets.json     keys of this installation (0600)
    passwords.json   the password of the user `admin` (0600)
    metadata         which Airflow version the metadata database was migrated to
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import importlib.metadata
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from loaders.postgres.database import admin_url, ensure_database
from loaders.settings import PROJECT_ROOT, Settings

USER = "admin"
#: What a Celery worker does at a time.
TASKS_PER_WORKER = 2

#: Seconds after which the scheduler takes up what a killed process left: the tasks of a scheduler
#: that is gone, and a task whose process is gone. Airflow's own values are five minutes each.
RECOVERY = {
    "orphaned_tasks_check_interval": 30,
    "task_instance_heartbeat_timeout": 120,
}
#: The same for a task that was handed to Celery and that nobody began: Redis, or a worker, took it
#: along. Until then its token is good, with the ten seconds that Airflow allows; looked for as
#: often, no task is begun with a token that is not. Airflow's own values are ten and two minutes.
LOST = {
    "task_queued_timeout": 120,
    "task_queued_timeout_check_interval": 10,
}


class AirflowServiceError(RuntimeError):
    """Airflow cannot be started; the message says why and where its log is."""


def command(*arguments: str) -> list[str]:
    """The command line of `airflow` with these arguments."""
    # -P: what lies in the caller's folder is not imported.
    return [sys.executable, "-P", "-m", "airflow", *arguments]


def environment(settings: Settings, url: str, *, listen: str, port: int) -> dict[str, str]:
    """Environment of every Airflow process. What is set here wins over a caller's AIRFLOW_*.

    Makes the keys if there are none: call it inside `locked(<home>/airflow)`.

    Args:
        url: where the other parts reach the API server.
        listen: address the API server listens on, at `port`.
    """
    folder, logs = settings.home / "airflow", settings.home / "logs"
    keys = installation_keys(folder)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")}
    airflow = {
        "core": {
            "dags_folder": PROJECT_ROOT / "dags",
            "load_examples": False,
            **_executor(settings),
            "asset_manager_class": "dags.asset_events.OneRunAssetManager",
            "dags_are_paused_at_creation": False,
            "execution_api_server_url": f"{url}/execution/",
            "fernet_key": keys["fernet_key"],
            "hostname_callable": "socket.gethostname",  # the default asks the name server
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": folder / "passwords.json",
            "default_timezone": "Asia/Ho_Chi_Minh",
        },
        "database": {"sql_alchemy_conn": _metadata_url()},
        "api": {
            "host": listen,
            "port": port,
            "secret_key": keys["secret_key"],
            "workers": 1,
        },
        "api_auth": {"jwt_secret": keys["jwt_secret"]},
        "logging": {
            "base_log_folder": logs / "tasks",
            "dag_processor_child_process_log_directory": logs / "dag_processor",
            "file_task_handler_new_folder_permissions": "0o700",
            "file_task_handler_new_file_permissions": "0o600",
            "colored_console_log": False,
            # A hundred lines at the import of the one, five for each task of the other.
            "namespace_levels": "great_expectations=WARNING airflow.providers.openlineage=WARNING",
        },
        # It pauses for a second, as is its default, when nothing has changed: with fifty runs of a
        # backfill under way each look at them costs as much processor time as a small task.
        "scheduler": {
            **RECOVERY,
            **_handed_out(settings),
            "trigger_timeout_check_interval": 5,  # when a task that waits for a person looks again
        },
        "dag_processor": {
            "refresh_interval": 30,
            # Each minute would cost a tenth of a core.
            "min_file_process_interval": 120,
            "parsing_processes": 1,
        },
        **_celery(settings),
        "openlineage": {
            "disabled": settings.openlineage_url is None,
            "transport": json.dumps({"type": "http", "url": str(settings.openlineage_url or "")}),
            "namespace": "nq42",
            "disable_source_code": True,
        },
        "metrics": {"otel_on": settings.otel_url is not None},
    }
    return {
        **inherited,
        **_telemetry(settings),
        "AIRFLOW_HOME": str(folder),
        **{
            f"AIRFLOW__{section.upper()}__{key.upper()}": str(value)
            for section, values in airflow.items()
            for key, value in values.items()
        },
        "NQ42_HOME": str(settings.home),
        "NQ42_INBOX": str(settings.inbox),
        "NQ42_LANDING": str(settings.landing),
        "NQ42_REPORTS": str(settings.reports),
        "PYTHONPATH": str(PROJECT_ROOT),
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
        "SCARF_NO_ANALYTICS": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "SPT_NOENV": "1",  # process titles must not overwrite what /proc shows of the environment
    }


def _executor(settings: Settings) -> dict[str, Any]:
    if settings.executor == "celery":
        name = "dags.patient_celery.PatientCeleryExecutor"
        parallelism = settings.workers * TASKS_PER_WORKER
    else:
        name = "dags.warm_executor.WarmLocalExecutor"
        parallelism = local_workers()
    return {"executor": name, "parallelism": parallelism}


def local_workers() -> int:
    """Tasks at a time under LocalExecutor: one more than there are processors, two to five.

    A task waits for the disk, for PostgreSQL or for Airflow about a quarter of its time.
    """
    return min(4, os.cpu_count() or 1) + 1


def _handed_out(settings: Settings) -> dict[str, int]:
    """How long a task may be handed out before it is begun."""
    if settings.executor == "celery":
        # Handed out three times in vain, a task would fail for good, whatever its tries: while all
        # workers are away it waits. Airflow reads this and leaves it out of its reference.
        return {**LOST, "num_stuck_in_queued_retries": 10**6}
    # It stands behind others in the scheduler's own processes, and ends with them.
    return {"task_queued_timeout": 24 * 3600}


def _celery(settings: Settings) -> dict[str, dict[str, Any]]:
    """Broker on Redis, results in the metadata database: they outlive a restart of Redis."""
    if settings.executor != "celery" or settings.redis_url is None:
        return {}
    return {
        "celery": {
            "broker_url": settings.redis_url.get_secret_value(),
            "celery_config_options": "dags.warm_celery.WARM_CELERY_CONFIG",
        },
        # A task that takes longer is handed out a second time.
        "celery_broker_transport_options": {"visibility_timeout": 24 * 3600},
    }


def _telemetry(settings: Settings) -> dict[str, str]:
    """OpenTelemetry is set up by its own variables, which Airflow passes on."""
    if settings.otel_url is None:
        return {}
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": str(settings.otel_url).rstrip("/"),
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": "nq42",
    }


def metadata_database() -> str:
    """The name of Airflow's database, beside the warehouse on the same server."""
    return f"{admin_url().database}_airflow"


def _metadata_url() -> str:
    """A database of its own beside the warehouse; two warehouses on one server do not meet."""
    return (
        make_url(ensure_database(metadata_database()))
        .set(drivername="postgresql+psycopg2")
        .render_as_string(hide_password=False)
    )


def installation_keys(folder: Path) -> dict[str, str]:
    """The keys of this installation; made once, so that sessions outlive a restart."""
    path = folder / "secrets.json"
    if not path.exists():
        fernet = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        write_private(
            path,
            {
                "fernet_key": fernet,
                "secret_key": secrets.token_hex(32),
                "jwt_secret": secrets.token_hex(64),
            },
        )
    passwords = folder / "passwords.json"
    if not passwords.exists():
        # Made here and not by Airflow, which would print it into its log.
        write_private(passwords, {USER: secrets.token_urlsafe(16)})
    return dict(json.loads(path.read_text(encoding="utf-8")))


def migrate(folder: Path, variables: Mapping[str, str], logs: Path) -> None:
    """Bring the metadata database to the installed version; quick when it is there already.

    A new one gets all DAGs before a scheduler looks at it: `build_and_publish` would miss the
    events of imports that run before it is known.

    Args:
        variables: what `environment` gave.

    Raises:
        AirflowServiceError: with the end of Airflow's own log.
    """
    database = variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    version = importlib.metadata.version("apache-airflow")
    with _metadata_connection(database) as connection:
        exists = connection.execute("select to_regclass('alembic_version')").fetchone()[0]
    stamp = folder / "metadata"
    if exists and stamp.exists() and stamp.read_text(encoding="utf-8") == version:
        return
    log = logs / "airflow-migrate.log"
    for arguments in (("db", "migrate"), ("dags", "reserialize")):
        with log.open("ab") as output:
            done = subprocess.run(
                command(*arguments),
                env=dict(variables),
                cwd=PROJECT_ROOT,
                stdout=output,
                stderr=output,
                check=False,
            )
        if done.returncode:
            said = f"`airflow {' '.join(arguments)}` failed"
            raise AirflowServiceError(f"{said}:\n{log_tail(log)}\nlog: {log}")
    stamp.write_text(version, encoding="utf-8")


def _metadata_connection(url: str) -> Any:
    import psycopg

    plain = make_url(url).set(drivername="postgresql")
    return psycopg.connect(plain.render_as_string(hide_password=False))


# --- files --------------------------------------------------------------------------------------


def write_private(path: Path, document: Mapping[str, Any]) -> None:
    """JSON into an owner-only file, whole or not at all."""
    partial = path.with_name(f"{path.name}.new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file, indent=1)
    partial.replace(path)


def log_tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log file."""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time in the folder, which is made for the owner only."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
