"""Options of connectors are held against their types before anything runs; secrets stay secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from loaders import settings
from loaders.connectors import CONNECTORS, DeliveryError, DeliveryNote, Order, Sink
from loaders.contracts.model import ContractError, Named, check_options
from loaders.settings import Settings, SettingsError, get_settings, register_secret_source, secret

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqxCJnkzbfPoQ3c2MZIqTtVXo8LTVkY1wpu0QMOn2rd"
GOOD: dict[str, dict[str, Any]] = {
    "local": {"pattern": "DS_{yyyymm}*.csv", "folder": "$NQ42_SHARE/out", "stable_seconds": 5},
    "sftp": {
        "host": "sftp.agency.vn",
        "username": "nq42",
        "credential": "sftp_agency",
        "host_key": HOST_KEY,
        "pattern": "DS_{period}.csv",
    },
    "http": {"url": "https://agency.vn/{year}/{month}.csv"},
    "api": {"url": "https://agency.vn/api", "records": "data.items", "params": {"m": "{period}"}},
    "sql": {"url_credential": "agency", "query": "select 1 where a::date >= :period_start"},
    "s3": {"bucket": "agency", "pattern": "out/{period}/*.csv", "credential": "agency"},
}


def check(name: str, **changes: Any) -> Named:
    options = GOOD[name] | changes
    return check_options(Named(name=name, options=options), CONNECTORS, "a.yaml", "x.connector")


@pytest.mark.parametrize("name", GOOD)
def test_every_connector_is_here_and_takes_its_options(name: str) -> None:
    assert set(GOOD) == set(CONNECTORS)
    assert set(check(name).options) == set(GOOD[name])


def test_every_example_of_the_documentation_is_one() -> None:
    text = (settings.PROJECT_ROOT / "docs" / "connectors.md").read_text(encoding="utf-8")
    examples = [
        Named.model_validate(yaml.safe_load(block)["connector"])
        for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    ]
    assert {example.name for example in examples} == set(CONNECTORS)
    for example in examples:
        check_options(example, CONNECTORS, "connectors.md", example.name)


@pytest.mark.parametrize(
    ("name", "changes", "key", "reason"),
    [
        ("local", {"pattern": "../x.csv"}, "pattern", "must be a name below the folder"),
        ("local", {"pattern": "/etc/passwd"}, "pattern", "must be a name below the folder"),
        ("local", {"pattern": "a/**/x.csv"}, "pattern", "must be a name below the folder"),
        ("local", {"pattern": "{month.__class__}"}, "pattern", "cannot be filled in"),
        ("local", {"pattern": "{day}"}, "pattern", "{day} cannot be filled in"),
        ("local", {"pattern": "{"}, "pattern", "is no template"),
        ("local", {"folder": "relative"}, "folder", "must be an absolute path"),
        ("local", {"folder": "/mnt/../etc"}, "folder", "without '..'"),
        ("local", {"stable_seconds": -1}, "stable_seconds", "greater than or equal to 0"),
        ("local", {"maturity": "done"}, "maturity", "'provisional' or 'final'"),
        ("sftp", {"pattern": "a/b.csv"}, "pattern", "must be a file name"),
        ("sftp", {"host_key": "SHA256:abc"}, "host_key", "should match pattern"),
        ("sftp", {"port": 0}, "port", "greater than or equal to 1"),
        ("sftp", {"credential": "../key"}, "credential", "should match pattern"),
        ("http", {"url": "ftp://a/b"}, "url", "must be an https:// address"),
        ("http", {"url": "https://u:p@a.vn/b"}, "url", "must not hold a user or a password"),
        ("http", {"url": "https://{period}.vn"}, "url", "with a fixed host"),
        ("http", {"auth": {"kind": "header", "credential": "a"}}, "auth", "'header' goes with"),
        ("http", {"retry": {"attempts": 0}}, "retry.attempts", "greater than or equal to 1"),
        ("http", {"timeouts": {"total": 3}}, "timeouts.total", "Extra inputs are not permitted"),
        ("http", {"missing_status": [500]}, "missing_status.0", "less than or equal to 499"),
        ("api", {"params": {"m": "{x}"}}, "params.m", "{x} cannot be filled in"),
        ("api", {"pagination": {"style": "page"}}, "pagination", "'param' goes with"),
        ("api", {"pagination": {"style": "next"}}, "pagination", "'path' goes with"),
        ("api", {"pagination": {"size": 5}}, "pagination", "'size_param' and 'size' go together"),
        ("api", {"records": "a..b"}, "records", "should match pattern"),
        ("sql", {"query": "select :period_begin"}, "query", ":period_begin cannot be filled in"),
        ("s3", {"bucket": "Not A Bucket"}, "bucket", "should match pattern"),
        ("s3", {"regoin": "x"}, "regoin", "s3 has no such option; known: bucket, "),
    ],
)
def test_a_wrong_option_names_file_key_and_reason(
    name: str, changes: dict[str, Any], key: str, reason: str
) -> None:
    with pytest.raises(ContractError) as caught:
        check(name, **changes)
    assert str(caught.value).startswith(f"a.yaml: x.connector.options.{key}: ")
    assert reason in caught.value.reason


def test_a_missing_option_is_named() -> None:
    with pytest.raises(ContractError, match=r"options\.pattern: local needs this option"):
        check_options(Named(name="local"), CONNECTORS, "a.yaml", "x.connector")


def order(tmp_path: Path, period: str = "2025-Q3") -> Order:
    return Order("health", "staff", period, tmp_path, max_bytes=100)


def test_a_template_takes_the_period_s_values(tmp_path: Path) -> None:
    template = "{period}|{yyyymm}|{year}|{month}|{period_start}|{period_end}"
    assert order(tmp_path).fill(template) == "2025-Q3|2025Q3|2025|09|2025-07-01|2025-09-30"


def test_what_a_person_says_goes_before_what_the_sender_says(tmp_path: Path) -> None:
    given = tmp_path / "health" / "2025-Q3" / "x.csv.delivery.json"
    given.parent.mkdir(parents=True)
    given.write_text('{"maturity": "final"}', encoding="utf-8-sig")
    sent = b'{"data_label": "sample", "maturity": "provisional", "control_totals": {"rows": 3}}'
    note = order(tmp_path).note("x.csv", DeliveryNote(data_label="real", note="contract"), sent)
    assert (note.data_label, note.maturity, note.note) == ("sample", "final", "contract")
    assert note.control_totals.rows == 3


def test_a_sink_counts_hashes_and_refuses_too_much(tmp_path: Path) -> None:
    with Sink(tmp_path / "x", 5) as sink:
        sink.write(b"abc")
        sink.restart()
        sink.write(b"hello")
        sink.keep()
        assert (sink.size, sink.reached) == (5, 5)
        assert sink.sha256.startswith("2cf24dba5fb0a30e")
        with pytest.raises(DeliveryError, match="the contract allows 5"):
            sink.write(b"!")
    assert (tmp_path / "x").read_bytes() == b"hello"


def test_a_full_disk_is_no_trouble_of_the_source() -> None:
    class Full:
        def write(self, _: bytes) -> None:
            raise OSError(28, "No space left on device")

    sink = Sink.__new__(Sink)
    sink.size, sink.max_bytes, sink.deadline, sink._file = 0, 10, None, Full()
    with pytest.raises(DeliveryError, match="No space left on device") as caught:
        sink.write(b"x")
    assert type(caught.value) is DeliveryError


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(settings, "_secret_sources", [])
    get_settings.cache_clear()
    return monkeypatch


def test_a_secret_comes_from_variable_file_env_file_or_registered_source(
    fresh: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="NQ42_SECRET_SFTP_X or into the file sftp_x"):
        secret("sftp_x")
    register_secret_source({"sftp_x": "from airflow"}.get)
    assert secret("sftp_x").get_secret_value() == "from airflow"
    (tmp_path / "sftp_x").write_text("from file\n")
    fresh.setenv("NQ42_SECRETS_DIR", str(tmp_path))
    get_settings.cache_clear()
    assert secret("sftp_x").get_secret_value() == "from file"
    dotenv = tmp_path / ".env"
    dotenv.write_text("NQ42_SECRET_SFTP_X=from env file\n")
    fresh.setitem(Settings.model_config, "env_file", dotenv)
    assert secret("sftp_x").get_secret_value() == "from env file"
    fresh.setenv("NQ42_SECRET_SFTP_X", "from variable")
    assert "variable" not in repr(secret("sftp_x"))
    assert secret("sftp_x").get_secret_value() == "from variable"
    get_settings.cache_clear()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("pass word ", {"password": "pass word"}),
        ('{"private_key": "k", "port": 22, "x": null}', {"private_key": "k", "port": "22"}),
        ("{no json", {"password": "{no json"}),
    ],
)
def test_a_secret_is_text_or_an_object(
    fresh: pytest.MonkeyPatch, tmp_path: Path, text: str, parts: dict[str, str]
) -> None:
    fresh.setenv("NQ42_SECRET_X", text)
    assert order(tmp_path).credential("x", "password") == parts
    assert text not in repr(order(tmp_path))
