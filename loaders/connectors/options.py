"""Types of the connectors' options: a contract's values are held against them before any run."""

from __future__ import annotations

import re
from string import Formatter
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

#: Names that a template may use: the period "2025-07" or "2025-Q3", the same without its hyphen,
#: its year, its last month, its first and its last day (ISO).
TEMPLATE_FIELDS = ("period", "yyyymm", "year", "month", "period_start", "period_end")
#: What a query may use; `:period_after` is the day after `:period_end`.
QUERY_FIELDS = ("period_start", "period_end", "period_after", "since")
#: As SQLAlchemy finds them: no `::type`, no `\:escaped`.
BIND = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _check_template(text: str) -> str:
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is no template: {error}") from error
    for _, name, spec, conversion in parts:
        if name is not None and (name not in TEMPLATE_FIELDS or spec or conversion):
            known = ", ".join(f"{{{field}}}" for field in TEMPLATE_FIELDS)
            raise ValueError(f"{{{name}}} cannot be filled in; known: {known}")
    return text


def _check_inside(pattern: str) -> str:
    parts = pattern.split("/")
    if not pattern or "\\" in pattern or {"", ".", "..", "**"} & set(parts):
        raise ValueError(
            f"{pattern!r} must be a name below the folder: no leading or double slash, no "
            "backslash, no '.', '..' or '**'"
        )
    return pattern


def _check_name(pattern: str) -> str:
    if "/" in pattern:
        raise ValueError(f"{pattern!r} must be a file name; the folder has an option of its own")
    return pattern


def _check_url(url: str) -> str:
    # Not yet filled in: braces stay out of scheme and host.
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or "{" in parts.netloc:
        raise ValueError("must be an https:// address with a fixed host")
    if parts.username or parts.password:
        raise ValueError("must not hold a user or a password: name a secret in auth.credential")
    return url


def _check_folder(folder: str) -> str:
    if not re.match(r"(/|\$NQ42_[A-Z0-9_]+(/|$))", folder) or ".." in folder.split("/"):
        raise ValueError(
            f"{folder!r} must be an absolute path or begin with a setting such as $NQ42_SHARE, "
            "without '..'"
        )
    return folder


def _check_query(query: str) -> str:
    unknown = sorted(set(BIND.findall(query)) - set(QUERY_FIELDS))
    if unknown:
        known = ", ".join(f":{name}" for name in QUERY_FIELDS)
        raise ValueError(f":{unknown[0]} cannot be filled in; known: {known}")
    return query


Template = Annotated[str, Field(min_length=1), AfterValidator(_check_template)]
#: Path below a folder; `*`, `?` and `[…]` stand for parts of one name.
Pattern = Annotated[Template, AfterValidator(_check_inside)]
NamePattern = Annotated[Pattern, AfterValidator(_check_name)]
Url = Annotated[Template, AfterValidator(_check_url)]
ShareFolder = Annotated[Template, AfterValidator(_check_folder)]
Query = Annotated[str, Field(min_length=1), AfterValidator(_check_query)]
SecretName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Wait = Annotated[float, Field(ge=0, le=3600)]
Status = Annotated[int, Field(ge=200, le=499)]
#: Names of a JSON document from the outside in, joined by dots; empty for the document itself.
JsonPath = Annotated[str, Field(pattern=r"^([^.]+(\.[^.]+)*)?$")]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Timeouts(_Options):
    """Seconds to wait for a connection, and for the next bytes on it."""

    connect: Seconds = 20
    read: Seconds = 60


class Retry(_Options):
    """How long trouble on the way is borne.

    ``attempts`` in a row without a single new byte; between them ``wait_initial`` seconds, doubled
    up to ``wait_max`` and jittered. A server that asks for more than ``retry_after_max`` seconds of
    patience is asked again by the next run. ``max_seconds`` bounds the whole delivery.
    """

    attempts: int = Field(default=6, ge=1, le=100)
    wait_initial: Wait = 1
    wait_max: Wait = 60
    retry_after_max: Wait = 600
    max_seconds: Seconds = 6 * 3600


class Auth(_Options):
    """How a web address wants its credential: as token, as user and password, or in a header."""

    kind: Literal["bearer", "basic", "header"]
    credential: SecretName
    header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]+$")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.kind == "header") != (self.header is not None):
            raise ValueError("'header' goes with kind 'header', and only with it")
        return self


class Pagination(_Options):
    """How an API hands out its pages.

    ``page``: ``param`` counts pages from ``first``; ``offset``: ``param`` counts records from 0;
    both end with an empty page or at the stated total, never at a short page, because servers cap
    the size. ``next``: ``path`` leads to the address of the next page; ``cursor``: to the token
    that goes into ``param``; both end where the path leads to nothing. ``size_param`` takes
    ``size``, the records wished for per page.
    """

    style: Literal["none", "page", "offset", "next", "cursor"] = "none"
    param: str | None = None
    size_param: str | None = None
    size: int | None = Field(default=None, ge=1)
    first: int = Field(default=1, ge=0)
    path: JsonPath | None = None
    max_pages: int = Field(default=100_000, ge=1)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.style in ("page", "offset", "cursor")) != (self.param is not None):
            raise ValueError("'param' goes with style page, offset or cursor, and only with them")
        if (self.style in ("next", "cursor")) != bool(self.path):
            raise ValueError("'path' goes with style next or cursor, and only with them")
        if (self.size_param is None) != (self.size is None):
            raise ValueError("'size_param' and 'size' go together")
        return self


#: What holds where a contract says nothing.
TIMEOUTS = Timeouts()
RETRY = Retry()
ONE_PAGE = Pagination()
