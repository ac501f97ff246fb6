"""What `nq42 doctor` looks at on this machine: packages, settings, folders, disk, processes."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import stat
import tomllib
import zoneinfo
from collections.abc import Iterator
from pathlib import Path

from loaders import airflow_parts, airflow_service
from loaders.airflow_config import AirflowServiceError
from loaders.operations.checks import Check, Status
from loaders.settings import PROJECT_ROOT, Settings

#: Fewer different characters than this are no secret, however long the key is.
KEY_MIN_DISTINCT = 12
GIB = 2**30
SHOWN = 5
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", re.MULTILINE)


def locked_versions(text: str) -> dict[str, str]:
    """Package → version of a lock file."""
    return {_plain(name): version for name, version in LOCKED.findall(text)}


def main_packages(pyproject: str) -> list[str]:
    """The packages that the project asks for by name."""
    asked = tomllib.loads(pyproject)["project"]["dependencies"]
    return [_plain(re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0]) for line in asked]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def check_packages(root: Path = PROJECT_ROOT) -> Check:
    """The main packages against the lock file."""
    name = "thư viện / packages"
    locked = locked_versions((root / "requirements.lock").read_text(encoding="utf-8"))
    main = main_packages((root / "pyproject.toml").read_text(encoding="utf-8"))
    missing, other = [], []
    for package in main:
        try:
            installed = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
            continue
        if installed != locked.get(package):
            other.append(f"{package} {installed}, locked {locked.get(package, 'not at all')}")
    fix = "touch requirements.lock && make up: it installs what the lock asks for"
    if missing:
        return Check(name, "error", f"not installed: {', '.join(missing)}", fix)
    if other:
        return Check(name, "warning", "; ".join(other), fix)
    return Check(name, "ok", f"{len(main)} packages as locked")


def check_key(settings: Settings) -> Check:
    """The pseudonym key: there, and not to be guessed."""
    name = "khoá định danh / pseudonym key"
    fix = "put the key of this warehouse into .env as NQ42_PSEUDONYM_KEY (.env.example says how)"
    if settings.pseudonym_key is None:
        return Check(name, "error", "NQ42_PSEUDONYM_KEY is not set", fix)
    distinct = len(set(settings.pseudonym_key.get_secret_value()))
    if distinct < KEY_MIN_DISTINCT:
        found = f"only {distinct} different characters: it can be guessed"
        fix = (
            "before the first import: make another key (.env.example says how). Later a new key "
            "needs a new warehouse, because persons would no longer be recognised"
        )
        return Check(name, "error", found, fix)
    return Check(name, "ok", "set; keep a copy outside, it is in no backup")


def check_private_files(settings: Settings) -> Check:
    """What holds identities or secrets is for its owner only."""
    open_paths = [
        f"{path} ({stat.filemode(path.stat().st_mode)})"
        for path in _private_paths(settings)
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    name = "quyền tệp / file rights"
    if open_paths:
        more = f" and {len(open_paths) - SHOWN} more" if len(open_paths) > SHOWN else ""
        found = f"others may enter or read {', '.join(open_paths[:SHOWN])}{more}"
        return Check(name, "error", found, "chmod -R go= on each of them; ask who has read them")
    return Check(name, "ok", "landing, secrets and .env are for their owner only")


def _private_paths(settings: Settings) -> Iterator[Path]:
    env_file = Settings.model_config.get("env_file")
    candidates = [settings.home / "airflow" / f"{name}.json" for name in ("secrets", "passwords")]
    if isinstance(env_file, Path):
        candidates.append(env_file)
    if settings.secrets_dir is not None:
        folder = PROJECT_ROOT / settings.secrets_dir.expanduser()
        candidates += [folder, *folder.glob("*")]
    yield from (path for path in candidates if path.exists())
    landing = settings.landing
    if landing is not None and landing.is_dir():
        yield landing
        for folder, _, files in os.walk(landing):
            yield from (Path(folder) / file for file in files)


def check_folders(settings: Settings) -> Check:
    """The folders that are written into."""
    name = "thư mục / folders"
    wrong = []
    for folder in (settings.home, settings.inbox, settings.landing, settings.reports):
        assert folder is not None
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not there.is_dir():
            wrong.append(f"{there} is no folder")
        elif not os.access(there, os.W_OK | os.X_OK):
            wrong.append(f"{folder} cannot be written")
    fix = "give the folder to the user that runs nq42, or set NQ42_HOME"
    if wrong:
        return Check(name, "error", "; ".join(wrong), fix)
    return Check(name, "ok", str(settings.home))


def check_disk(settings: Settings, folder: Path, whose: str) -> Check:
    """Free space of the disk that holds `folder`."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free, least = shutil.disk_usage(there).free / GIB, settings.disk_free_min_gb
    status: Status = "error" if free < least else "warning" if free < 2 * least else "ok"
    fix = "see docs/runbook.md#disk_full; NQ42_DISK_FREE_MIN_GB is the limit" * (status != "ok")
    found = f"{free:.1f} GiB free of {whose} ({there}), {least:g} are needed"
    return Check("dung lượng đĩa / disk", status, found, fix)


def check_time_zone(zone: str) -> Check:
    """Whether this machine knows the zone by which periods and due days are reckoned."""
    name = "múi giờ / time zone"
    try:
        zoneinfo.ZoneInfo.no_cache(zone)
    except zoneinfo.ZoneInfoNotFoundError:
        fix = "install time zone data: apt-get install tzdata"
        return Check(name, "error", f"{zone} is not known here", fix)
    return Check(name, "ok", zone)


def check_airflow(settings: Settings) -> Check:
    """The processes of the Airflow that `nq42 up` started."""
    name = "tiến trình Airflow / Airflow processes"
    parts = airflow_service.components(settings)
    if not parts:
        fix = "nq42 up, unless Airflow runs elsewhere (docker)"
        return Check(name, "warning", "was not started from this folder, or was stopped", fix)
    dead = [part for part, is_alive in parts.items() if not is_alive]
    if dead:
        logs = settings.home / "logs"
        fix = f"read {logs}/airflow-<part>.log, then nq42 up: it stops the rest and starts anew"
        return Check(name, "error", f"ended: {', '.join(sorted(dead))}", fix)
    other = set(parts) ^ set(airflow_parts.part_names(settings))
    if other:
        found = f"started under other settings, which differ by {', '.join(sorted(other))}"
        return Check(name, "warning", found, "nq42 up: it stops all and starts anew")
    silent = airflow_service.unwell(settings)
    if silent:
        logs = settings.home / "logs"
        fix = f"wait a minute; then read {logs}/airflow-<part>.log, nq42 down, nq42 up"
        return Check(name, "error", f"run and do not report: {', '.join(silent)}", fix)
    return Check(name, "ok", ", ".join(sorted(parts)))


def check_workers(settings: Settings) -> Check:
    """The Redis server and the workers behind it, where tasks run under Celery."""
    name = "Redis và tiến trình thực thi / Redis and workers"
    if settings.executor != "celery":
        return Check(name, "ok", "none needed, NQ42_EXECUTOR is local")
    try:
        airflow_parts.check_redis(settings)
    except AirflowServiceError as error:
        return Check(name, "error", str(error), "see docs/runbook.md#doctor_error")
    started = set(airflow_service.components(settings)) - set(airflow_parts.PARTS)
    found = airflow_parts.answering_workers(settings, started)
    if silent := started - found:
        fix = "nq42 down, nq42 up; what they took is tried again"
        return Check(name, "error", f"no answer from {', '.join(sorted(silent))}", fix)
    if not found:
        fix = "nq42 up, or nq42 airflow worker where each part runs by itself"
        return Check(name, "error", "no worker answers: tasks stay in the queue", fix)
    return Check(name, "ok", ", ".join(sorted(found)))


def check_notices(settings: Settings) -> Check:
    """Whether anybody is told of a failure."""
    name = "thông báo / messages"
    fix = "set NQ42_NOTICE_SMTP_URL with NQ42_NOTICE_TO, or NQ42_NOTICE_WEBHOOK_URL (.env.example)"
    if settings.notice_smtp_url is not None and settings.notice_to is None:
        return Check(name, "error", "there is a mail server and no NQ42_NOTICE_TO", fix)
    channels = {"mail": settings.notice_smtp_url, "webhook": settings.notice_webhook_url}
    found = [channel for channel, address in channels.items() if address is not None]
    if not found:
        return Check(name, "warning", "nobody is told when a task fails", fix)
    return Check(name, "ok", " and ".join(found))
