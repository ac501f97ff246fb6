"""The query that lists the source rows of a KPI's numerator and denominator, from its own model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

from sqlglot import exp

from loaders.settings import get_settings
from loaders.stages.build import build_settings, code_fingerprint, dbt
from loaders.trace.provenance import Other, Query, Raw, Relation, parse

#: The relations that every KPI model ends in (macro `kpi_final`), with the column that is added up.
PARTS = {"numerator": "numerator", "denominator": "denominator"}
DELIVERED = "delivered_series"
RAW_SCHEMA = "raw"


@dataclass(frozen=True)
class CountedRows:
    """SQL with the columns ``part, amount, rows_behind``, and the parts that the KPI has."""

    sql: str
    parts: tuple[str, ...]


def compiled_models(period: str, months: list[str]) -> dict[str, dict[str, str]]:
    """What dbt makes of the models up to the KPIs: relation → name and compiled SQL.

    Kept in the home folder, since dbt takes seconds; made anew when code or months differ.

    Raises:
        BuildError: the project does not compile.
    """
    target = get_settings().home / "dbt_trace"
    kept = target / "models.json"
    key = f"{code_fingerprint()} {period} {' '.join(months)}"
    if kept.exists():
        document = json.loads(kept.read_text("utf-8"))
        if document["key"] == key:
            return document["models"]
    dbt(
        ["compile", "--quiet", "--select", "+path:models/kpi"],
        build_settings(period, months, "trace"),
        target=target,
    )
    nodes = json.loads((target / "manifest.json").read_text("utf-8"))["nodes"].values()
    models = {
        f"{node['schema']}.{node['alias']}": {
            "name": node["name"],
            "compiled_code": node["compiled_code"],
        }
        for node in nodes
        if node["resource_type"] == "model" and node.get("compiled_code")
    }
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps({"key": key, "models": models}), "utf-8")
    partial.replace(kept)
    return models


def counted_rows(
    models: Mapping[str, Mapping[str, str]],
    kpi_model: str,
    *,
    kpi_id: str | None = None,
    period: str,
    units: list[str],
    series: str,
    breakdown: tuple[str, str] | None,
) -> CountedRows:
    """The rows behind the cells of some units, added up to one figure by whoever asks.

    Args:
        kpi_id: where one model holds several KPIs.
        units: codes as the model has them: communes, and where a KPI has them districts and
            provinces.
        breakdown: name and value, None for the total.

    Raises:
        ProvenanceError: the model has SQL that cannot be followed.
    """
    node = next(node for node in models.values() if node["name"] == kpi_model)
    tree = parse(node["compiled_code"])
    with_ = tree.args["with_"]
    wanted = [("final", "value")] if kpi_model.endswith(DELIVERED) else list(PARTS.items())
    names = [cte.alias for cte in with_.expressions]
    last = max(names.index(relation) for relation, _ in wanted if relation in names)
    with_.set("expressions", with_.expressions[: last + 1])
    with_.set("expressions", [*_inline(with_, models), *with_.expressions])
    query = Query(exp.Subquery(this=tree), {}, _physical, count(1))
    selects, parts = [], []
    for relation, amount in wanted:
        found = query.names.get(relation)
        if not isinstance(found, Query):
            continue
        columns = found.holder.this.named_selects
        conditions = [f"period = {_text(period)}", f"unit_code = any({_list(units)})"]
        conditions += [f"kpi_id = {_text(kpi_id)}"] if kpi_id else []
        conditions += [f"series = {_text(series)}"] if "series" in columns else []
        if "breakdown" in columns:  # tall already
            name, value = breakdown or ("total", "total")
            conditions.append(f"(breakdown, breakdown_value) = ({_text(name)}, {_text(value)})")
        elif breakdown:
            conditions.append(f'"{breakdown[0]}" = {_text(breakdown[1])}')
        behind = found.behind(relation, amount)
        rows = behind.sql("postgres") if behind is not None else "null::text"
        selects.append(
            f"select '{relation}' as part, {amount}::numeric as amount, {rows} as rows_behind"
            f" from {relation} where {' and '.join(conditions)}"
        )
        parts.append(relation)
    return CountedRows(f"{with_.sql('postgres')} {' union all '.join(selects)}", tuple(parts))


def _inline(tree: exp.Expression, models: Mapping[str, Mapping[str, str]]) -> list[exp.CTE]:
    """The models that stand between raw and this one, each before those that use it."""
    inlined: dict[str, exp.CTE] = {}

    def follow(query: exp.Expression) -> bool:
        """Name the models as CTEs; true when source rows stand behind the query."""
        has_rows = False
        for table in list(query.find_all(exp.Table)):
            key = f"{table.db}.{table.name}"
            if table.db == RAW_SCHEMA:
                has_rows = True
            elif key in inlined or (key in models and add(key)):
                table.replace(exp.to_table(_name(key), alias=table.alias_or_name))
                has_rows = True
        return has_rows

    def add(key: str) -> bool:
        body = parse(models[key]["compiled_code"])
        if not follow(body):
            return False
        inlined[key] = exp.CTE(
            this=body, alias=exp.TableAlias(this=exp.to_identifier(_name(key))), materialized=False
        )
        return True

    follow(tree)
    return list(inlined.values())


def _name(key: str) -> str:
    return "model_" + key.replace(".", "_")


def _physical(table: exp.Table) -> Relation:
    return Raw() if table.db == RAW_SCHEMA else Other()


def _text(value: str) -> str:
    return exp.Literal.string(value).sql("postgres")


def _list(values: list[str]) -> str:
    return f"array[{', '.join(map(_text, values))}]::text[]"
