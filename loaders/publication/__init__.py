"""The history of releases: their ledgers, what each changed and why, and how to get each back."""

from loaders.publication.content import PublishError, columns_of, content, tables
from loaders.publication.history import (
    GivenBack,
    HistoryError,
    Release,
    find_release,
    give_back,
    parse_moment,
    release_at,
)
from loaders.publication.ledger import LEDGERS, append_differences, append_rows, kept_marts
from loaders.publication.verify import verify_published

__all__ = [
    "LEDGERS",
    "GivenBack",
    "HistoryError",
    "PublishError",
    "Release",
    "append_differences",
    "append_rows",
    "columns_of",
    "content",
    "find_release",
    "give_back",
    "kept_marts",
    "parse_moment",
    "release_at",
    "tables",
    "verify_published",
]
