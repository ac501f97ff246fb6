"""Which source rows a figure was counted from, found by rewriting the very SQL that counted it.

Every relation on the way gets one more column when it is asked for: the source rows behind each of
its rows, as text `table:row,table:row`, where `table` is the oid of a partition of raw. A group
joins the texts of its rows, a join those of both sides. What a column counts is followed more
closely: the rows behind `count(*) filter (where paid)` are those that are paid, the rows behind
`sum(beds)` those with beds. Rows that only decide (a window's other rows, a subquery in WHERE) are
not counted and not listed.

After Cui, Widom and Wiener, "Tracing the lineage of view data in a warehousing environment" (2000).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import sqlglot
from sqlglot import exp

PREFIX = "_rows_behind_"


class ProvenanceError(ValueError):
    """SQL of a kind that the rewriting does not know."""


def parse(text: str) -> Any:
    return sqlglot.parse_one(text, read="postgres")


class Relation(Protocol):
    def behind(self, alias: str, column: str | None) -> exp.Expression | None:
        """The rows behind a column of each row, or behind the whole row; None: no source rows."""


class Raw:
    """A table of source rows: each row stands for itself."""

    def behind(self, alias: str, column: str | None) -> exp.Expression | None:
        return parse(f'"{alias}".tableoid::oid::text || \':\' || "{alias}"._row_number')


class Other:
    """Seeds, calendars, units: no source rows."""

    def behind(self, alias: str, column: str | None) -> exp.Expression | None:
        return None


class Query:
    """The query inside `holder`, a CTE or a subquery, and the names that it may use."""

    def __init__(
        self,
        holder: exp.Expression,
        names: Mapping[str, Relation],
        physical: Callable[[exp.Table], Relation],
        numbers: Iterator[int],
    ) -> None:
        self.holder, self.physical, self.numbers = holder, physical, numbers
        self.names = dict(names)
        self.known: dict[str | None, str | None] = {}
        self.subqueries: dict[int, Query] = {}
        given = holder.this.args.get("with_")
        for cte in given.expressions if given else ():
            self.names[cte.alias] = Query(cte, self.names, physical, numbers)

    def behind(self, alias: str, column: str | None) -> exp.Expression | None:
        name = self.column(column)
        return None if name is None else exp.column(name, table=alias, quoted=True)

    def column(self, column: str | None) -> str | None:
        """Name of the added column; None where there are no source rows."""
        if column not in self.known:
            self.known[column] = self._add(self.holder.this, column)
        return self.known[column]

    def _add(self, tree: exp.Expression, column: str | None) -> str | None:
        if isinstance(tree, exp.SetOperation):
            return self._add_to_union(tree, column)
        if isinstance(tree, exp.Select):
            return self._add_to_select(tree, column)
        raise ProvenanceError(f"{type(tree).__name__} stands where a SELECT is known")

    # --- union ------------------------------------------------------------------------------------

    def _add_to_union(self, tree: exp.SetOperation, column: str | None) -> str | None:
        if tree.args["distinct"]:
            return self._add_to_select(_as_group(tree), column)
        sides = (tree.left, tree.right)
        names = sides[0].named_selects
        place = names.index(column) if column in names else None
        added = []
        for side in sides:
            is_listed = place is not None and "*" not in side.named_selects
            added.append(self._add(side, side.named_selects[place] if is_listed else column))
        if not any(added):
            return None
        for side, name in zip(sides, added, strict=True):
            if name is None:
                for select in _selects(side):
                    self._append(select, parse("null::text"))
        return _selects(sides[0])[0].named_selects[-1]

    # --- select -----------------------------------------------------------------------------------

    def _add_to_select(self, tree: exp.Select, column: str | None) -> str | None:
        distinct = tree.args.get("distinct")
        if distinct and not distinct.args.get("on"):
            places = ", ".join(str(place + 1) for place in range(len(tree.expressions)))
            tree.set("distinct", None)
            tree.set("group", parse(f"select 1 group by {places}").args["group"])
        rows = _joined(self._rows_of_measure(tree, column) if column else self._rows(tree))
        return None if rows is None else self._append(tree, rows)

    def _append(self, tree: exp.Select, rows: exp.Expression) -> str:
        name = f"{PREFIX}{next(self.numbers)}"
        tree.append("expressions", exp.alias_(rows, name, quoted=True))
        return name

    def _rows(self, tree: exp.Select) -> list[exp.Expression]:
        """Behind the whole row: the rows of all that is joined, together in a group."""
        rows = None if _is_lookup(tree) else _joined(self._joined_rows(tree))
        if rows is None:
            return []
        return [_gathered(rows)] if _is_grouped(tree) else [rows]

    def _rows_of_measure(self, tree: exp.Select, column: str) -> list[exp.Expression]:
        projection = next((p for p in tree.expressions if p.alias_or_name == column), None)
        if projection is None:  # it comes with a star
            if _is_grouped(tree):
                return self._rows(tree)
            starred = {getattr(p, "table", "") for p in tree.expressions if p.is_star}
            sources = self._sources(tree)
            owner = {a: column for a in sources if a in starred or "" in starred}
            return self._joined_rows(tree, owner if len(owner) == 1 else {})
        value = projection.unalias()
        aggregates = _aggregates(value)
        if not aggregates:
            if _is_grouped(tree):
                return self._rows(tree)
            return self._joined_rows(tree, self._columns(tree, value))
        return [
            rows for aggregate in aggregates if (rows := self._rows_of_aggregate(tree, aggregate))
        ]

    def _rows_of_aggregate(self, tree: exp.Select, node: exp.AggFunc) -> exp.Expression | None:
        conditions, columns = [], {}
        if isinstance(node.parent, exp.Filter):
            conditions.append(node.parent.args["expression"].this.sql("postgres"))
        if isinstance(node, exp.Sum):
            conditions.append(f"coalesce({node.this.sql('postgres')}, 0) <> 0")
            if isinstance(node.this, exp.Column):
                columns = self._columns(tree, node.this)
        elif isinstance(node, exp.Count) and isinstance(node.this, exp.Distinct):
            conditions += [f"{e.sql('postgres')} is not null" for e in node.this.expressions]
        rows = _joined(self._joined_rows(tree, columns))
        return None if rows is None else _gathered(rows, conditions)

    def _columns(self, tree: exp.Select, value: exp.Expression) -> dict[str, str]:
        """Source → its column in an expression, where it names just one of that source."""
        sources, found = self._sources(tree), {}
        for column in value.find_all(exp.Column):
            alias = column.table or (next(iter(sources)) if len(sources) == 1 else "")
            found.setdefault(alias, set()).add(column.name)
        return {alias: names.pop() for alias, names in found.items() if len(names) == 1}

    def _joined_rows(
        self, tree: exp.Select, columns: Mapping[str, str] | None = None
    ) -> list[exp.Expression]:
        columns = columns or {}
        rows = (r.behind(a, columns.get(a)) for a, r in self._sources(tree).items())
        return [row for row in rows if row is not None]

    def _sources(self, tree: exp.Select) -> dict[str, Relation]:
        holders = [tree.args.get("from_"), *(tree.args.get("joins") or [])]
        return {h.this.alias_or_name: self._relation(h.this) for h in holders if h}

    def _relation(self, source: exp.Expression) -> Relation:
        if isinstance(source, exp.Subquery):
            if id(source) not in self.subqueries:
                query = Query(source, self.names, self.physical, self.numbers)
                self.subqueries[id(source)] = query
            return self.subqueries[id(source)]
        if not isinstance(source, exp.Table):
            return Other()  # VALUES, functions
        if not source.db and source.name in self.names:
            return self.names[source.name]
        return self.physical(source)


def _selects(tree: exp.Expression) -> list[exp.Select]:
    """The branches of a union, from left to right."""
    if isinstance(tree, exp.SetOperation):
        return [*_selects(tree.left), *_selects(tree.right)]
    assert isinstance(tree, exp.Select)
    return [tree]


def _as_group(tree: exp.SetOperation) -> exp.Select:
    """UNION drops equal rows; written as a group, which keeps the rows behind each of them."""
    names = tree.left.named_selects
    if "*" in names:
        raise ProvenanceError("UNION without ALL over *: its columns are not known")
    columns = ", ".join(f'"{name}"' for name in names)
    grouped = parse(f"select {columns} from (select 1) as both_sides group by {columns}")
    given = tree.args.get("with_")
    tree.replace(grouped)
    tree.set("distinct", False)
    tree.set("with_", None)
    grouped.set("with_", given)
    grouped.args["from_"].this.set("this", tree)
    return grouped


def _aggregates(value: exp.Expression) -> list[exp.AggFunc]:
    """Aggregates over a group; those of windows and of scalar subqueries are not."""
    return [
        node
        for node in value.find_all(exp.AggFunc)
        if node.find_ancestor(exp.Window, exp.Select) is value.find_ancestor(exp.Select)
    ]


def _is_grouped(tree: exp.Select) -> bool:
    return bool(tree.args.get("group")) or any(_aggregates(p) for p in tree.expressions)


def _is_lookup(tree: exp.Select) -> bool:
    """One row for all, with only the greatest and least values: it decides, nothing is counted."""
    found = [node for p in tree.expressions for node in _aggregates(p)]
    return (
        bool(found)
        and not tree.args.get("group")
        and all(isinstance(node, (exp.Max, exp.Min)) for node in found)
    )


def _joined(rows: list[exp.Expression]) -> exp.Expression | None:
    """One text of several; what an outer join did not find is left out."""
    if len(rows) <= 1:
        return rows[0] if rows else None
    return parse(f"concat_ws(',', {', '.join(row.sql('postgres') for row in rows)})")


def _gathered(rows: exp.Expression, conditions: list[str] | None = None) -> exp.Expression:
    text = f"string_agg({rows.sql('postgres')}, ',')"
    if conditions:
        text += f" filter (where {' and '.join(f'({condition})' for condition in conditions)})"
    return parse(text)
