"""What the marts promise to whoever reads them: tables, columns, types and keys, with a version.

It follows from the dbt models and is committed as `docs/marts_interface.yaml`, so that a change
shows in review. Its version says what a change means for a reader: the first number
grows when something is gone, renamed or of another type, the second when something came.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

#: Raised by whoever changes the marts; the check compares it with what changed.
VERSION = "1.0"
MODELS = Path("dbt_project/models/marts/_marts__models.yml")
INTERFACE = Path("docs/marts_interface.yaml")
HEADER = (
    "# Giao diện công khai của lược đồ marts / Public interface of schema marts.\n"
    "# Written by `nq42 contracts derive` from the dbt models; docs/bi.md explains the version.\n"
)
DICTIONARY = Path("docs/marts.md")
GENERATED_NOTE = (
    "Sinh ra từ các mô hình dbt / Written by `nq42 contracts derive` from the dbt models. How to"
    " read them: [bi.md](bi.md)."
)
DOCS = Path("dbt_project/models/marts/_marts__docs.md")
DOCS_BLOCK = re.compile(r"{% docs (\w+) %}(.*?){% enddocs %}", re.DOTALL)
DOC = re.compile(r"{{ doc\('(\w+)'\) }}")
#: A column of this name holds a key of that dimension, in every table but the dimension itself.
DIMENSIONS = {
    "kpi_id": ("dim_kpi", "kpi_id"),
    "unit_id": ("dim_unit", "unit_id"),
    "parent_unit_id": ("dim_unit", "unit_id"),
    "period": ("dim_period", "period"),
    "target_id": ("dim_target", "target_id"),
    "task_id": ("dim_task", "task_id"),
}
#: Periods of deliveries: of some of them there is no figure, and so no row in dim_period.
NO_REFERENCE = {("fct_data_quality", "period")}
#: Tables that publishing itself adds: name → columns with their types, and the key.
ADDED_BY_PUBLISHING: dict[str, tuple[dict[str, str], list[str]]] = {
    "release_checksum": (
        {"mart": "text", "release_id": "text", "rows": "bigint", "fingerprint": "text"},
        ["mart"],
    ),
    "release_info": (
        {
            "release_id": "text",
            "as_of_period": "text",
            "published_at": "timestamp with time zone",
            "data_labels": "text",
            "release_label_vi": "text",
            "release_label_en": "text",
            "oldest_source": "text",
            "oldest_source_period": "text",
            "oldest_source_age_days": "integer",
            "interface_version": "text",
            "summary_vi": "text",
            "summary_en": "text",
        },
        ["release_id"],
    ),
}


def reference_of(table: str, column: str) -> tuple[str, str] | None:
    """The dimension and its column that a column of a mart refers to, if any."""
    found = DIMENSIONS.get(column)
    if found is None or (table, column) in NO_REFERENCE or found == (table, column):
        return None
    return found


def interface_files(root: Path) -> dict[Path, str]:
    """Path → content of the committed description and dictionary; none without models."""
    if not (root / MODELS).exists():
        return {}
    document = {"version": VERSION, "tables": tables_of(root)}
    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=100)
    return {root / INTERFACE: HEADER + text, root / DICTIONARY: marts_dictionary(root)}


def marts_dictionary(root: Path) -> str:
    """Every column of the marts with its meaning, as Markdown."""
    meanings = dict(DOCS_BLOCK.findall((root / DOCS).read_text(encoding="utf-8")))
    lines = ["# Từ điển các bảng công bố / Dictionary of the marts", "", GENERATED_NOTE, ""]
    for model in yaml.safe_load((root / MODELS).read_text(encoding="utf-8"))["models"]:
        lines += [f"## {model['name']}", "", model["description"], ""]
        lines += ["| cột / column | kiểu / type | ý nghĩa / meaning |", "|---|---|---|"]
        for column in model["columns"]:
            meaning = DOC.sub(lambda found: meanings[found[1]], column["description"])
            lines.append(f"| `{column['name']}` | {column['data_type']} | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def tables_of(root: Path) -> dict[str, Any]:
    """Table → columns with their types, key and references, as the models declare them."""
    models = yaml.safe_load((root / MODELS).read_text(encoding="utf-8"))["models"]
    found = {
        model["name"]: _table(
            model["name"],
            {column["name"]: column["data_type"] for column in model["columns"]},
            next(
                (c["columns"] for c in model.get("constraints", ()) if c["type"] == "primary_key"),
                [],
            ),
        )
        for model in models
    }
    found |= {name: _table(name, *of) for name, of in ADDED_BY_PUBLISHING.items()}
    return dict(sorted(found.items()))


def _table(name: str, columns: dict[str, str], key: list[str]) -> dict[str, Any]:
    references = {
        column: ".".join(target) for column in columns if (target := reference_of(name, column))
    }
    return {"key": key, "references": references, "columns": columns}


def interface_findings(root: Path) -> list[str]:
    """Changes of the marts since the committed description that the version does not announce."""
    path = root / INTERFACE
    if not path.exists() or not (root / MODELS).exists():
        return []  # that it is missing is said of every generated file
    try:
        committed = yaml.safe_load(path.read_text(encoding="utf-8"))
        before, version = committed["tables"], parse_version(committed["version"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        return [f"{INTERFACE}: (file): cannot be read: {' '.join(str(error).split())}"]
    breaking, additions = changes(before, tables_of(root))
    now = parse_version(VERSION)
    if now < version:
        return [f"{INTERFACE}: version: {VERSION} is older than {committed['version']}"]
    if breaking and now[0] <= version[0]:
        due = f"{version[0] + 1}.0"
        return [f"{INTERFACE}: {what}: breaks readers: needs version {due}" for what in breaking]
    if additions and now <= version:
        due = f"{version[0]}.{version[1] + 1}"
        return [f"{INTERFACE}: {what}: needs version {due}" for what in additions]
    if not breaking and not additions and now != version:
        return [f"{INTERFACE}: version: {VERSION} announces a change, but there is none"]
    return []


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor number.

    Raises:
        ValueError: it is not of the form 1.0.
    """
    major, minor = str(text).split(".")
    return int(major), int(minor)


def changes(before: dict[str, Any], after: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What breaks a reader (gone, renamed, retyped, other key), and what is only more."""
    breaking, additions = [], []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            breaking.append(f"{name} is gone")
            continue
        if name not in before:
            additions.append(f"{name} is new")
            continue
        old, new = before[name], after[name]
        for column, type_ in old["columns"].items():
            found = new["columns"].get(column)
            if found is None:
                breaking.append(f"{name}.{column} is gone")
            elif found != type_:
                breaking.append(f"{name}.{column} is {found} instead of {type_}")
        additions += [f"{name}.{c} is new" for c in new["columns"] if c not in old["columns"]]
        if old["key"] != new["key"]:
            breaking.append(f"{name} has another key")
    return breaking, additions
