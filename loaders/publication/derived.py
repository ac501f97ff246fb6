"""Marts that follow from the others: their history is a query, not their rows.

A wide mart repeats names and verdicts on each row, and changes on most of them with every month:
kept row by row it would soon be the largest part of the history. Its model reads marts alone, so
the query that dbt ran gives it back from the marts of its release, byte for byte. The query stands
in the release's manifest, and so in the chain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sqlglot
from psycopg import sql
from sqlglot import exp

#: In a model's meta: it reads nothing but marts, and its rows are not kept.
IS_DERIVED = "is_derived"
RELATION = re.compile(r'"\w+"\."candidate"\."(\w+)"')

#: Whatever writes, locks or calls a function that is not plain SQL.
FORBIDDEN = (
    *(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Copy, exp.Create, exp.Into, exp.Lock),
    *(exp.Command, exp.Anonymous),
)

Queries = dict[str, str]
"""Mart → its query, in which every mart goes by its bare name."""


class DerivedError(ValueError):
    """A query that does more than read marts."""


def derived_queries(manifest: Path) -> Queries:
    """The queries of a build, from dbt's own manifest.json.

    Raises:
        DerivedError: a model that calls itself derived reads something else than marts.
    """
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"].values()
    models = [node for node in nodes if node["resource_type"] == "model"]
    marts = {node["name"] for node in models if node["schema"] == "candidate"}
    found = {
        node["name"]: RELATION.sub(r'"\1"', node["compiled_code"])
        for node in models
        if node["config"].get("meta", {}).get(IS_DERIVED)
    }
    for name, query in found.items():
        marts_read(name, query, marts)
    return found


def marts_read(name: str, query: str, marts: set[str]) -> set[str]:
    """The marts that a query reads: it is text that a ledger holds, so it is checked, not trusted.

    Raises:
        DerivedError: not one select, another relation, or a function that is not plain SQL.
    """
    try:
        statements = sqlglot.parse(query, read="postgres")
    except sqlglot.errors.SqlglotError as error:
        raise DerivedError(f"the query of {name} cannot be read: {error}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Select):
        raise DerivedError(f"the query of {name} is not one select")
    tree = statements[0]
    for part in tree.find_all(*FORBIDDEN):
        raise DerivedError(f"the query of {name} holds {part.sql(dialect='postgres')[:60]}")
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    read = set()
    for table in tree.find_all(exp.Table):
        if table.db or (table.name not in own and table.name not in marts):
            raise DerivedError(f"the query of {name} reads {table.sql()}")
        if table.name not in own:
            read.add(table.name)
    return read


def derived_rows(
    name: str,
    query: str,
    recorded: Mapping[str, Mapping[str, Any]],
    rows_of: Callable[[str, dict[str, str]], sql.Composable],
) -> sql.Composable:
    """The query for the rows of a derived mart, over the marts of its release.

    Args:
        recorded: mart → rows, sha256 and columns, as in the release's manifest.
        rows_of: the query for the rows of a mart, from its name and columns.
    """
    read = sorted(marts_read(name, query, set(recorded) - {name}))
    sources = sql.SQL(", ").join(
        sql.SQL("{} as ({})").format(
            sql.Identifier(mart), rows_of(mart, dict(recorded[mart]["columns"]))
        )
        for mart in read
    )
    return sql.SQL("with {} select {} from ({}\n) as derived").format(
        sources,
        sql.SQL(", ").join(sql.Identifier(column) for column, _ in recorded[name]["columns"]),
        sql.SQL(query),  # type: ignore[arg-type]
    )
