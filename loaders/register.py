"""The pages of the KPIs: from register row, targets, model and worked example, nothing by hand."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

STATES = {
    "computed": "Tính từ hồ sơ / Computed from records",
    "delivered": "Cơ quan cung cấp / Delivered by the agency",
    "no_source": "Chưa có nguồn / No source",
    "qualitative": "Định tính / Qualitative",
}
STANDINGS = {
    "proven": "đã chứng minh / proven",
    "secondary": "theo nguồn thứ cấp / from a secondary source",
    "unverified": "chưa kiểm chứng / unverified",
}
GENERATED = (
    "<!-- Generated from register, model and unit test by `nq42 contracts derive`; edit those. -->"
)
STEP = re.compile(r"^-- (?P<text>.*)$", re.MULTILINE)
REF = re.compile(r"ref\('(?P<name>[a-z0-9_]+)'\)")


def kpi_pages(root: Path) -> dict[Path, str]:
    """Path → content of the page of each KPI of the register, and of their list."""
    project = root / "dbt_project"
    kpis = _rows(project / "seeds/programme_kpi.csv")
    targets: dict[str, list[dict[str, str]]] = {}
    for target in _rows(project / "seeds/programme_target.csv"):
        targets.setdefault(target["kpi_id"], []).append(target)
    examples: dict[str, list[dict[str, Any]]] = {}
    for example in _unit_tests(project / "models/kpi"):
        examples.setdefault(example["model"], []).append(example)
    folder = root / "docs/kpis"
    pages = {folder / "README.md": _index(kpis)}
    for kpi in kpis:
        model = project / f"models/kpi/kpi__{kpi['kpi_id']}.sql"
        code = model.read_text(encoding="utf-8") if model.exists() else None
        page = _page(kpi, targets.get(kpi["kpi_id"], []), code, examples.get(model.stem, []))
        pages[folder / f"{kpi['kpi_id']}.md"] = page
    return pages


def computed_kpis(root: Path) -> set[str]:
    """KPIs of the register that are computed from records."""
    kpis = _rows(root / "dbt_project/seeds/programme_kpi.csv")
    return {kpi["kpi_id"] for kpi in kpis if kpi["register_state"] == "computed"}


def register_findings(root: Path) -> list[str]:
    """Computed KPIs without a model or a worked example, models that the register does not know."""
    project = root / "dbt_project"
    kpis = {kpi["kpi_id"]: kpi for kpi in _rows(project / "seeds/programme_kpi.csv")}
    tested = {example["model"] for example in _unit_tests(project / "models/kpi")}
    models = {path.stem for path in (project / "models/kpi").glob("kpi__*.sql")}
    models -= {"kpi__delivered_series"}
    findings = []
    for kpi_id, kpi in kpis.items():
        model = f"kpi__{kpi_id}"
        if kpi["register_state"] == "computed" and model not in models:
            findings.append(f"programme_kpi.csv: {kpi_id}: computed, but has no model {model}.sql")
        if model in models and kpi["register_state"] != "computed":
            findings.append(f"programme_kpi.csv: {kpi_id}: has a model, so it is computed")
        if model in models and model not in tested:
            findings.append(f"models/kpi/{model}.sql: has no worked example in a unit test")
    unknown = models - {f"kpi__{kpi_id}" for kpi_id in kpis}
    findings += [
        f"models/kpi/{model}.sql: no such KPI in the register" for model in sorted(unknown)
    ]
    return findings


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _unit_tests(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*unit_tests*.yml")):
        yield from yaml.safe_load(path.read_text(encoding="utf-8")).get("unit_tests", [])


def _index(kpis: list[dict[str, str]]) -> str:
    lines = [GENERATED, "# Sổ chỉ tiêu / The register of KPIs", ""]
    lines += ["| KPI | Chỉ tiêu | state | standing |", "|---|---|---|---|"]
    lines += [
        f"| [{k['kpi_id']}]({k['kpi_id']}.md) | {k['name_vi']} / {k['name_en']} "
        f"| {k['register_state']} | {k['definition_standing']} |"
        for k in kpis
    ]
    return "\n".join(lines) + "\n"


def _page(
    kpi: dict[str, str],
    targets: list[dict[str, str]],
    code: str | None,
    examples: list[dict[str, Any]],
) -> str:
    lines = [GENERATED, f"# {kpi['name_vi']} / {kpi['name_en']}", ""]
    lines += [
        f"- `{kpi['kpi_id']}`, programme {kpi['programme_paragraph']}",
        f"- State: {STATES[kpi['register_state']]}",
        f"- Unit: {kpi['unit_vi']} / {kpi['unit_en']}; {kpi['frequency']}; {kpi['reference_date']}",
        f"- Source: {kpi['source_owner_vi']}, {kpi['source_dataset']}",
        "",
        "## Định nghĩa / Definition",
        "",
        kpi["definition_vi"],
        "",
        kpi["definition_en"],
        "",
        f"- Numerator: {kpi['numerator_en'] or '–'}",
        f"- Denominator: {kpi['denominator_en'] or '–'}",
        f"- Law: {kpi['legal_reference'] or '–'}",
        f"- Standing: {STANDINGS[kpi['definition_standing']]}. {kpi['definition_proof']}",
        f"- Pitfalls: {kpi['pitfalls_en'] or '–'}",
        "",
        "## Mục tiêu / Target",
        "",
    ]
    lines += [_target(target) for target in targets] or ["–"]
    if code is not None:
        lines += ["", "## Cách tính / How it is computed", ""]
        lines += [" ".join(match["text"] for match in STEP.finditer(code)), ""]
        reads = dict.fromkeys(match["name"] for match in REF.finditer(code))
        lines += [f"Reads {', '.join(f'`{name}`' for name in reads)}.", ""]
        lines += ["```sql", code.rstrip(), "```"]
    for example in examples:
        lines += ["", "## Ví dụ tính tay / Worked example", "", f"`{example['name']}`", ""]
        lines.append(" ".join(str(example.get("description", "")).split()))
    return "\n".join(lines).rstrip() + "\n"


def _target(target: dict[str, str]) -> str:
    value = target["target_value"] or "–".join(
        part for part in (target["target_low"], target["target_high"]) if part
    )
    note = f" {target['note_en']}" if target["note_en"] else ""
    return (
        f"- {target['target_year']}, {target['boundary_id']}, {target['document_id']}: "
        f"`{target['operator']} {value}`".rstrip()
        + f" ({target['text_vi']}).{note}"
    )
