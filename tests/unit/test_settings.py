"""Settings: where values come from, and that a missing key stops the start."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from loaders.settings import PROJECT_ROOT, Settings, SettingsError

KEY = "k" * 32


def test_without_anything_the_home_folder_is_var_in_the_project() -> None:
    settings = Settings()
    assert settings.home == PROJECT_ROOT / "var"
    assert settings.inbox == settings.home / "inbox"
    assert settings.landing == settings.home / "landing"
    assert settings.reports == settings.home / "reports"
    assert settings.database_url is None
    assert settings.small_count_threshold == 5


def test_relative_paths_do_not_depend_on_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NQ42_INBOX", "deliveries")
    assert Settings().inbox == PROJECT_ROOT / "deliveries"


def test_the_env_file_is_read_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"NQ42_PSEUDONYM_KEY={KEY}\nNQ42_DATABASE_URL=postgresql://a@b/c\nOTHER=1\n")
    assert Settings(_env_file=file).require_pseudonym_key() == KEY.encode()
    monkeypatch.setenv("NQ42_DATABASE_URL", "")
    assert Settings(_env_file=file).database_url is None


def test_the_pseudonym_key_is_asked_for_where_it_is_needed() -> None:
    with pytest.raises(SettingsError, match="NQ42_PSEUDONYM_KEY is not set"):
        Settings().require_pseudonym_key()


def test_a_short_key_stops_the_start_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NQ42_PSEUDONYM_KEY", "short-secret")
    with pytest.raises(ValidationError, match="at least 32 characters") as caught:
        Settings()
    assert "short-secret" not in str(caught.value)


def test_secrets_do_not_show_in_the_settings_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NQ42_PSEUDONYM_KEY", KEY)
    monkeypatch.setenv("NQ42_BI_PASSWORD", "bi-secret")
    monkeypatch.setenv("NQ42_DATABASE_URL", "postgresql://u:pw-secret@h/d")
    text = repr(Settings())
    assert KEY not in text
    assert "-secret" not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NQ42_DATABASE_URL", "mysql://a/b"),
        ("NQ42_LOG_FORMAT", "xml"),
        ("NQ42_SMALL_COUNT_THRESHOLD", "0"),
    ],
)
def test_wrong_values_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()


def test_every_setting_is_explained_in_the_example_file() -> None:
    example = (PROJECT_ROOT / ".env.example").read_text(encoding="utf-8")
    missing = [name for name in Settings.model_fields if f"NQ42_{name.upper()}=" not in example]
    assert missing == []
