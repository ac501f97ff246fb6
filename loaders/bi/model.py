"""What a bundle is made of, in the form that Superset imports; every id follows from a name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

VERSION = "1.0.0"
NAMESPACE = uuid5(NAMESPACE_URL, "nq42:bi")
#: Name of the connection, of its folder in the bundle, and what configures it at run time.
DATABASE = "nq42"
MAX_ROWS = 10_000

Kind = Literal["TEXT", "NUMERIC", "DATE", "BOOLEAN"]


def identity(kind: str, name: str) -> str:
    """The same thing has the same id in every installation and after every import."""
    return str(uuid5(NAMESPACE, f"{kind}:{name}"))


@dataclass(frozen=True)
class Column:
    """A column of a dataset: its title is what tables and filters show."""

    name: str
    title: str
    kind: Kind = "TEXT"

    def to_dict(self) -> dict[str, Any]:
        return {
            "column_name": self.name,
            "verbose_name": self.title,
            "is_dttm": self.kind == "DATE",
            "is_active": True,
            "type": self.kind,
            "groupby": True,
            "filterable": True,
            "expression": None,
            "description": None,
            "python_date_format": None,
        }


@dataclass(frozen=True)
class Dataset:
    """A query over the published marts; columns that a chart does not use cost nothing."""

    name: str
    title: str
    sql: str
    columns: tuple[Column, ...]

    @property
    def uuid(self) -> str:
        return identity("dataset", self.name)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def to_dict(self) -> dict[str, Any]:
        dates = [column.name for column in self.columns if column.kind == "DATE"]
        return {
            "table_name": self.name,
            "main_dttm_col": dates[0] if dates else None,
            "description": self.title,
            "default_endpoint": None,
            "offset": 0,
            "cache_timeout": None,
            "schema": "marts",
            "sql": self.sql,
            "params": None,
            "template_params": None,
            "filter_select_enabled": True,
            "fetch_values_predicate": None,
            "extra": None,
            "uuid": self.uuid,
            "metrics": [],
            "columns": [column.to_dict() for column in self.columns],
            "version": VERSION,
            "database_uuid": identity("database", DATABASE),
        }


@dataclass(frozen=True)
class Query:
    """The query of a chart: what `/api/v1/chart/<id>/data/` runs."""

    columns: tuple[str, ...] = ()
    metrics: tuple[Mapping[str, Any], ...] = ()
    order: tuple[tuple[Any, bool], ...] = ()
    where: str = ""
    limit: int = MAX_ROWS

    def to_dict(self) -> dict[str, Any]:
        return {
            "columns": list(self.columns),
            # An empty list would group the rows by all their columns.
            "metrics": [dict(metric) for metric in self.metrics] or None,
            "orderby": [list(pair) for pair in self.order],
            "filters": [],
            "extras": {"having": "", "where": self.where},
            "row_limit": self.limit,
            "time_range": "No filter",
            "annotation_layers": [],
            "applied_time_extras": {},
            "series_columns": [],
            "series_limit": 0,
            "url_params": {},
            "custom_params": {},
            "custom_form_data": {},
        }


@dataclass(frozen=True)
class Chart:
    """One chart. `params` are the controls that the browser builds its own query from."""

    name: str
    title: str
    viz_type: str
    dataset: Dataset
    params: Mapping[str, Any]
    query: Query
    width: int = 12
    height: int = 50
    description: str = ""
    #: Filters of its dashboard, by name, that are not about it.
    ignores: frozenset[str] = field(default_factory=frozenset)

    @property
    def uuid(self) -> str:
        return identity("chart", self.name)

    def to_dict(self) -> dict[str, Any]:
        params = {"viz_type": self.viz_type, "time_range": "No filter", **self.params}
        context = {
            "datasource": {"id": 0, "type": "table"},
            "force": False,
            "queries": [self.query.to_dict()],
            "form_data": params,
            "result_format": "json",
            "result_type": "full",
        }
        return {
            "slice_name": self.title,
            "description": self.description,
            "certified_by": None,
            "certification_details": None,
            "viz_type": self.viz_type,
            "params": params,
            "query_context": json.dumps(context, ensure_ascii=False, sort_keys=True),
            "cache_timeout": None,
            "uuid": self.uuid,
            "version": VERSION,
            "dataset_uuid": self.dataset.uuid,
        }


@dataclass(frozen=True)
class Filter:
    """A native filter of a dashboard: one value at a time.

    Without `default` the first value is taken, in ascending order or, with `newest`, descending.
    """

    name: str
    title: str
    dataset: Dataset
    column: str
    default: str | None = None
    newest: bool = False
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dashboard:
    """Charts in rows, and the filters beside them."""

    name: str
    title: str
    description: str
    rows: Sequence[Sequence[Chart]]
    filters: tuple[Filter, ...]
    colours: Mapping[str, str]

    @property
    def charts(self) -> list[Chart]:
        return [chart for row in self.rows for chart in row]


def count(title: str, where: str = "true") -> dict[str, Any]:
    """A metric: rows for which the condition holds."""
    return metric(title, f"count(*) filter (where {where})")


def metric(title: str, expression: str) -> dict[str, Any]:
    """A metric in SQL under the title that the reader sees."""
    return {
        "expressionType": "SQL",
        "sqlExpression": expression,
        "hasCustomLabel": True,
        "label": title,
        "optionName": f"metric_{uuid5(NAMESPACE, title + expression).hex[:12]}",
    }


def condition(sql: str) -> dict[str, Any]:
    """A chart's own filter, as its controls hold it."""
    return {
        "clause": "WHERE",
        "expressionType": "SQL",
        "sqlExpression": sql,
        "filterOptionName": f"filter_{uuid5(NAMESPACE, sql).hex[:12]}",
    }
