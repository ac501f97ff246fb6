"""Settings of one installation: environment variables `NQ42_*`, then the file `.env`."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values
from pydantic import Field, HttpUrl, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parents[1]
PSEUDONYM_KEY_MIN_LENGTH = 32
NO_LICENCE = "Chưa công bố giấy phép / no licence published yet"


class SettingsError(RuntimeError):
    """A setting that this command needs is missing; the message names the variable."""


class Settings(BaseSettings):
    """Everything that differs between two installations, and nothing else.

    Relative paths are taken from the project folder, not from the working directory: the command
    line, Airflow's workers and the tests start in different places and must agree.
    """

    model_config = SettingsConfigDict(
        env_prefix="NQ42_",
        env_file=PROJECT_ROOT / ".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    home: Path = Path("var")
    inbox: Path | None = None
    landing: Path | None = None
    reports: Path | None = None
    secrets_dir: Path | None = None
    database_url: SecretStr | None = None
    pseudonym_key: SecretStr | None = None
    bi_password: SecretStr | None = None
    small_count_threshold: int = Field(default=5, ge=1)
    population_basis: Literal["statistics_office", "register"] = "statistics_office"
    landing_retention_days: int = Field(default=365, ge=1)
    arrival_poll_seconds: float = Field(default=600, gt=0)
    disk_free_min_gb: float = Field(default=5, ge=0)
    notice_smtp_url: SecretStr | None = None
    notice_from: str | None = None
    notice_to: str | None = None
    notice_webhook_url: SecretStr | None = None
    licence_note: str = NO_LICENCE
    exports_kept: int = Field(default=3, ge=1)
    log_format: Literal["console", "json"] = "console"
    executor: Literal["local", "celery"] = "local"
    workers: int = Field(default=2, ge=1)
    redis_url: SecretStr | None = None
    airflow_url: HttpUrl | None = None
    openlineage_url: HttpUrl | None = None
    otel_url: HttpUrl | None = None
    drop_keys: Path | None = None
    boundaries_geojson: Path | None = None
    chromium: Path | None = None

    @field_validator(
        "database_url",
        "pseudonym_key",
        "bi_password",
        "inbox",
        "landing",
        "reports",
        "secrets_dir",
        "redis_url",
        "airflow_url",
        "openlineage_url",
        "otel_url",
        "drop_keys",
        "boundaries_geojson",
        "chromium",
        "notice_smtp_url",
        "notice_from",
        "notice_to",
        "notice_webhook_url",
        mode="before",
    )
    @classmethod
    def _empty_means_unset(cls, value: object) -> object:
        # `NQ42_DATABASE_URL=` in the environment must win over a line in .env.
        return None if value == "" else value

    @field_validator("licence_note")
    @classmethod
    def _no_licence_is_said(cls, value: str) -> str:
        return value.strip() or NO_LICENCE

    @field_validator("boundaries_geojson")
    @classmethod
    def _file_is_of_the_project(cls, value: Path | None) -> Path | None:
        return PROJECT_ROOT / value.expanduser() if value else None

    @field_validator("pseudonym_key")
    @classmethod
    def _key_is_long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < PSEUDONYM_KEY_MIN_LENGTH:
            raise ValueError(
                f"NQ42_PSEUDONYM_KEY must have at least {PSEUDONYM_KEY_MIN_LENGTH} characters"
            )
        return value

    @field_validator("database_url")
    @classmethod
    def _url_is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(
            ("postgresql://", "postgres://", "postgresql+")
        ):
            raise ValueError("NQ42_DATABASE_URL must start with postgresql://")
        return value

    @field_validator("redis_url")
    @classmethod
    def _url_is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError("NQ42_REDIS_URL must start with redis:// or rediss://")
        return value

    @model_validator(mode="after")
    def _celery_has_a_broker(self) -> Settings:
        if self.executor == "celery" and self.redis_url is None:
            raise ValueError("NQ42_EXECUTOR=celery needs NQ42_REDIS_URL, a Redis server's address")
        return self

    @model_validator(mode="after")
    def _resolve_folders(self) -> Settings:
        home = PROJECT_ROOT / self.home.expanduser()
        folders = {"home": home}
        for name in ("inbox", "landing", "reports"):
            given: Path | None = getattr(self, name)
            folders[name] = PROJECT_ROOT / given.expanduser() if given else home / name
        for name, folder in folders.items():
            object.__setattr__(self, name, folder.resolve())  # the model is frozen
        return self

    def require_pseudonym_key(self) -> bytes:
        """The pseudonym key as bytes.

        Raises:
            SettingsError: NQ42_PSEUDONYM_KEY is not set.
        """
        if self.pseudonym_key is None:
            raise SettingsError(
                "NQ42_PSEUDONYM_KEY is not set: personal identifiers cannot be replaced. Put a "
                f"secret of at least {PSEUDONYM_KEY_MIN_LENGTH} characters into .env and keep a "
                "copy; with another key the same person gets another pseudonym."
            )
        return self.pseudonym_key.get_secret_value().encode()


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process; `get_settings.cache_clear()` reads them again."""
    return Settings()


def variable(name: str) -> str | None:
    """A variable that contracts name, such as ``NQ42_SHARE``: from the environment, then `.env`."""
    found = os.environ.get(name)
    file = Settings.model_config.get("env_file")
    if not found and isinstance(file, Path) and file.is_file():
        found = dotenv_values(file).get(name)
    return found or None


#: Asked in turn for a secret that neither a variable nor a file holds.
_secret_sources: list[Callable[[str], str | None]] = []


def register_secret_source(source: Callable[[str], str | None]) -> None:
    """Let something that `loaders` does not know, such as Airflow, hold secrets too."""
    if source not in _secret_sources:
        _secret_sources.append(source)


def secret(name: str) -> SecretStr:
    """The secret that a contract calls ``name``.

    Looked for in the variable NQ42_SECRET_<NAME>, the file <NQ42_SECRETS_DIR>/<name>, and the
    registered sources.

    Raises:
        SettingsError: it is nowhere.
    """
    key = f"NQ42_SECRET_{name.upper()}"
    found = variable(key)
    folder = get_settings().secrets_dir
    if not found and folder is not None and (PROJECT_ROOT / folder.expanduser() / name).is_file():
        found = (PROJECT_ROOT / folder.expanduser() / name).read_text(encoding="utf-8").strip()
    for source in _secret_sources:
        found = found or source(name)
    if not found:
        raise SettingsError(
            f"the secret {name!r} is not set: put it into {key} or into the file {name} in the "
            "folder NQ42_SECRETS_DIR"
        )
    return SecretStr(found)
