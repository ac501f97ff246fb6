"""The files of the Docker installation: linted, parsed, and held to what a server needs."""

from __future__ import annotations

import copy
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from loaders.airflow_parts import PARTS, WORKER
from loaders.settings import PROJECT_ROOT, Settings

DOCKER = PROJECT_ROOT / "docker"
TOOLS = Path(sys.executable).parent
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
EXACT = re.compile(r"^[a-z./0-9-]+:\d+\.\d+(\.\d+)?(-[a-z0-9-]+)?$")
ENDS_BY_ITSELF = ("prepare",)
SECRET_SETTINGS = ("database_url", "redis_url", "pseudonym_key", "bi_password")


def read_compose() -> dict[str, Any]:
    """The compose file as Docker sees it: variables at their defaults, merge keys applied."""
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(VARIABLE.sub(lambda found: found[2] or "", text)))


def findings(document: dict[str, Any]) -> list[str]:
    """What is wrong with a compose file, by its specification and by what a server needs."""
    try:
        PyCompose.from_json(json.dumps(document))
    except ValueError as error:
        return [f"not a compose file: {error}"]
    found = []
    for name, service in document["services"].items():
        image, user = service.get("image", ""), service.get("user", "")
        if not EXACT.match(image):
            found.append(f"{name}: image {image} is not pinned")
        if user in ("root", "0", "0:0") or (not user and "build" not in service):
            found.append(f"{name}: runs as root")
        if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
            found.append(f"{name}: may write its image or has capabilities")
        if service.get("security_opt") != ["no-new-privileges:true"]:
            found.append(f"{name}: may gain privileges")
        if name in ENDS_BY_ITSELF:
            continue
        if not service.get("healthcheck", {}).get("test"):
            found.append(f"{name}: no health check")
        if service.get("restart") != "unless-stopped":
            found.append(f"{name}: stays down")
    for name, service in document["services"].items():
        for port in service.get("ports", []):
            if not str(port).startswith("127.0.0.1:"):
                found.append(f"{name}: port {port} is open to everybody")
        for variable, value in (service.get("environment") or {}).items():
            setting = variable.removeprefix("NQ42_").removesuffix("_FILE").lower()
            if variable.startswith("NQ42_") and setting not in Settings.model_fields:
                found.append(f"{name}: {variable} is no setting")
            if variable.endswith(("PASSWORD", "KEY")) or (
                setting in SECRET_SETTINGS and not variable.endswith("_FILE")
            ):
                found.append(f"{name}: {variable} is a secret in the open")
            if variable.endswith("_FILE") and Path(value).name not in service.get("secrets", []):
                found.append(f"{name}: {variable} names a secret that is not given")
    return found


def test_the_compose_file_is_in_order() -> None:
    assert findings(read_compose()) == []


@pytest.mark.parametrize(
    ("service", "change", "said"),
    [
        ("worker", {"healthchek": {}}, "not a compose file"),
        ("worker", {"deploy": {"replicas": "many"}}, "not a compose file"),
        ("redis", {"image": "redis:latest"}, "not pinned"),
        ("redis", {"image": "redis"}, "not pinned"),
        ("postgres", {"user": "root"}, "runs as root"),
        ("postgres", {"user": "0"}, "runs as root"),
        ("scheduler", {"read_only": False}, "may write"),
        ("scheduler", {"cap_drop": []}, "capabilities"),
        ("scheduler", {"security_opt": []}, "may gain privileges"),
        ("triggerer", {"healthcheck": {}}, "no health check"),
        ("drop", {"restart": "no"}, "stays down"),
        ("api-server", {"ports": ["8080:8080"]}, "open to everybody"),
        ("worker", {"environment": {"NQ42_EXECUTER": "celery"}}, "is no setting"),
        ("worker", {"environment": {"NQ42_REDIS_URL": "redis://x"}}, "in the open"),
        ("postgres", {"environment": {"POSTGRES_PASSWORD": "x"}}, "in the open"),
        ("worker", {"secrets": []}, "is not given"),
    ],
)
def test_what_a_server_must_not_have_is_found(
    service: str, change: dict[str, Any], said: str
) -> None:
    document = copy.deepcopy(read_compose())
    document["services"][service].update(change)
    assert said in "\n".join(findings(document))


def test_every_part_of_airflow_has_a_service() -> None:
    services = read_compose()["services"]
    assert {*PARTS, WORKER, "prepare", "drop", "postgres", "redis"} == set(services)
    for part in (*PARTS, WORKER):
        assert services[part]["command"] == [part]
        assert services[part]["healthcheck"]["test"][-2:] == [part, "--check"]


def chart_findings(values: dict[str, Any]) -> list[str]:
    """What in the chart's values does not fit the image."""
    found = []
    parts = {"apiServer": "api-server", "dagProcessor": "dag-processor", "workers": WORKER}
    for section in ("apiServer", "scheduler", "dagProcessor", "triggerer", "workers"):
        part, given = parts.get(section, section), values[section]
        if given["args"] != [part]:
            found.append(f"{section}: {given['args']} is not {part}")
        # The chart asks the API server by HTTP; elsewhere its own command needs another image.
        command = ["nq42-entrypoint", part, "--check"]
        if section != "apiServer" and given["livenessProbe"]["command"] != command:
            found.append(f"{section}: the probe is not that of {part}")
    for variable in [*values["env"], *values["secret"]]:
        name = variable.get("name") or variable["envName"]
        setting = name.removeprefix("NQ42_").lower()
        if setting not in Settings.model_fields:
            found.append(f"{name} is no setting")
        if setting in SECRET_SETTINGS and "value" in variable:
            found.append(f"{name} is a secret in the open")
    compose = read_compose()["services"]["worker"]["environment"]
    given = {variable.get("name") or variable["envName"] for variable in values["env"]}
    given |= {variable["envName"] for variable in values["secret"]}
    wanted = {name.removesuffix("_FILE") for name in compose} - {"NQ42_SECRETS_DIR"}
    return found + [f"{name} is not given" for name in sorted(wanted - given)]


def read_values() -> dict[str, Any]:
    return dict(yaml.safe_load((DOCKER / "helm" / "values.yaml").read_text(encoding="utf-8")))


def test_the_charts_values_fit_the_image() -> None:
    values = read_values()
    assert chart_findings(values) == []
    assert values["volumeMounts"][0]["mountPath"] == "/var/lib/nq42"
    assert f"nq42:{values['defaultAirflowTag']}" == read_compose()["services"]["worker"]["image"]
    assert values["airflowVersion"] == importlib.metadata.version("apache-airflow")


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        ("workers", {"args": ["scheduler"]}, "is not worker"),
        ("triggerer", {"livenessProbe": {"command": ["true"]}}, "the probe is not that of"),
        ("env", [{"name": "NQ42_EXECUTER", "value": "celery"}], "NQ42_EXECUTER is no setting"),
        ("env", [{"name": "NQ42_REDIS_URL", "value": "redis://x"}], "in the open"),
        ("secret", [], "NQ42_PSEUDONYM_KEY is not given"),
    ],
)
def test_what_does_not_fit_the_image_is_found(section: str, change: Any, said: str) -> None:
    values = read_values()
    values[section] = {**values[section], **change} if isinstance(change, dict) else change
    assert said in "\n".join(chart_findings(values))


def test_every_variable_is_explained_in_the_example_file() -> None:
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    example = (PROJECT_ROOT / ".env.example").read_text(encoding="utf-8")
    used = {found[1] for found in VARIABLE.finditer(text)}
    assert used and [name for name in used if f"{name}=" not in example] == []


def test_the_image_is_pinned_and_runs_as_nobody_special() -> None:
    lines = (DOCKER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM")]
    assert len(bases) == 2 and all(EXACT.match(base) for base in bases), bases
    assert [line for line in lines if line.startswith("USER")] == ["USER 10042:10042"]
    installs = "\n".join(lines).count("install ") - "\n".join(lines).count("install -d")
    assert installs == "\n".join(lines).count("--require-hashes") + 1  # the project itself


@pytest.mark.parametrize(
    ("tool", "files", "bad"),
    [
        ("hadolint", ["Dockerfile"], "FROM debian:latest\nRUN cd /x && sudo apt-get install y\n"),
        ("shellcheck", ["entrypoint.sh", "make_secrets.sh"], "#!/bin/bash\nrm $1/*\n"),
    ],
)
def test_linters_have_nothing_to_say(tool: str, files: list[str], bad: str, tmp_path: Path) -> None:
    command: Callable[..., Any] = lambda *paths: subprocess.run(  # noqa: E731
        [TOOLS / tool, *paths], capture_output=True, text=True, check=False
    )
    done = command(*(DOCKER / name for name in files))
    assert (done.returncode, done.stdout) == (0, "")
    (tmp_path / "bad").write_text(bad)
    assert command(tmp_path / "bad").returncode != 0


def run(script: str, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{TOOLS}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT_ROOT)}
    return subprocess.run(
        [DOCKER / script, *arguments],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_secrets_are_made_once_behind_a_closed_door(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert run("make_secrets.sh", folder).returncode == 0
    made = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    assert set(made) == {path.split("/")[-1] for path in named_secrets()}
    assert folder.stat().st_mode & 0o777 == 0o700
    password = made["postgres_password"].strip()
    assert len(password) == 64 and f":{password}@postgres:" in made["database_url"]
    assert made["redis_config"].split()[1] in made["redis_url"]
    assert len({*made.values()}) == len(made)
    assert run("make_secrets.sh", folder).returncode == 0
    assert made == {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def named_secrets() -> list[str]:
    return [secret["file"] for secret in read_compose()["secrets"].values()]


@pytest.mark.parametrize("content", [None, ""])
def test_a_secret_that_is_missing_stops_the_container(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    done = run("entrypoint.sh", "scorecard", NQ42_DATABASE_URL_FILE=str(file))
    assert done.returncode == 1
    assert f"NQ42_DATABASE_URL_FILE: {file} is missing, empty or not readable" in done.stderr


def test_a_secret_reaches_the_command_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("k" * 31 + "\n")  # one less than is wanted: the command says so
    variables = {"NQ42_PSEUDONYM_KEY_FILE": str(file), "NQ42_HOME": str(tmp_path)}
    done = run("entrypoint.sh", "register", **variables)
    assert "NQ42_PSEUDONYM_KEY must have at least 32 characters" in done.stderr


def test_a_part_that_runs_by_itself_asks_for_the_api_server(tmp_path: Path) -> None:
    done = run("entrypoint.sh", "scheduler", NQ42_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "NQ42_AIRFLOW_URL is not set" in done.stderr
