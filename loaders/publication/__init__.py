"""The history of releases: their ledgers, what each changed and why, and how to get each back."""

from loaders.publication.card import (
    CARD,
    card_facts,
    comment_release,
    comment_without_release,
    write_card,
)
from loaders.publication.checksum import CHECKSUM, write_checksum
from loaders.publication.compare import LEDGERS
from loaders.publication.content import (
    PublishError,
    columns_of,
    content,
    tables,
)
from loaders.publication.derived import derived_queries
from loaders.publication.diff import (
    Difference,
    changed_inputs,
    difference_csv,
    difference_summary,
)
from loaders.publication.frozen import freeze
from loaders.publication.history import (
    GivenBack,
    HistoryError,
    Release,
    find_release,
    give_back,
    parse_moment,
    release_at,
)
from loaders.publication.ledger import (
    append_rows,
    append_values,
    append_verdicts,
    kept_marts,
    unexplained,
)
from loaders.publication.lineage import read_lineage
from loaders.publication.reasons import reasons_between
from loaders.publication.references import refer

__all__ = [
    "CARD",
    "CHECKSUM",
    "LEDGERS",
    "Difference",
    "GivenBack",
    "HistoryError",
    "PublishError",
    "Release",
    "append_rows",
    "append_values",
    "append_verdicts",
    "card_facts",
    "changed_inputs",
    "columns_of",
    "comment_release",
    "comment_without_release",
    "content",
    "derived_queries",
    "difference_csv",
    "difference_summary",
    "find_release",
    "freeze",
    "give_back",
    "kept_marts",
    "parse_moment",
    "read_lineage",
    "reasons_between",
    "refer",
    "release_at",
    "tables",
    "unexplained",
    "write_card",
    "write_checksum",
]
