"""One check over contracts, suites and generated files: what `make check` runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from loaders.contracts.derive import derived_files
from loaders.contracts.interface import interface_files, interface_findings
from loaders.contracts.model import CONTRACTS_DIR, check_contracts, load_contracts
from loaders.quality.history import BREAKS_FILE, read_breaks
from loaders.quality.suites import EXPECTATIONS_DIR, SuiteError, read_suite, suite_files
from loaders.register import kpi_pages, register_findings
from loaders.settings import PROJECT_ROOT


def check_project(directory: Path | None = None) -> list[str]:
    """Findings as "file: key: reason", empty when all is in order.

    With a folder of one's own only the contracts in it are read.
    """
    errors = [str(error) for error in check_contracts(directory or CONTRACTS_DIR)]
    if directory is not None or errors:
        return errors
    return (
        check_suites()
        + check_breaks()
        + check_examples()
        + register_findings(PROJECT_ROOT)
        + interface_findings(PROJECT_ROOT)
        + check_generated()
    )


def check_suites(directory: Path = EXPECTATIONS_DIR) -> list[str]:
    """Suites that cannot be used, datasets without one, suites of no dataset."""
    findings, ids = [], {}
    for kind in ("intake", "release"):
        for path in suite_files(kind, directory):  # type: ignore[arg-type]
            try:
                suite = read_suite(path)
            except SuiteError as error:
                findings.append(str(error))
                continue
            for rule in suite.rules:
                if rule.meta.id in ids:
                    findings.append(f"{path.name}: {rule.meta.id}: also in {ids[rule.meta.id]}")
                ids[rule.meta.id] = path.name
    have = {path.stem for path in suite_files("intake", directory)}
    need = {dataset.raw_table for contract in load_contracts() for dataset in contract.datasets}
    findings += [f"expectations/intake/{name}.json: missing" for name in sorted(need - have)]
    findings += [
        f"expectations/intake/{name}.json: no such dataset" for name in sorted(have - need)
    ]
    return findings


def check_breaks(path: Path = BREAKS_FILE) -> list[str]:
    """Known breaks that cannot be used, or that name no source and no dataset."""
    try:
        breaks = read_breaks(path)
    except (ValidationError, yaml.YAMLError) as error:
        return [f"expectations/{path.name}: {' '.join(str(error).split())}"]
    contracts = load_contracts()
    known = {c.source for c in contracts}
    known |= {f"{c.source}.{d.name}" for c in contracts for d in c.datasets}
    return [
        f"expectations/{path.name}: from {found.since}: {name}: no such source or dataset"
        for found in breaks
        for name in sorted(set(found.datasets or ()) - known)
    ]


#: Folder of the examples that make each rule fire, by kind of suite.
EXAMPLES = {"intake": "tests/guards/rules", "release": "tests/guards/rules_release"}


def check_examples(directory: Path = EXPECTATIONS_DIR, root: Path = PROJECT_ROOT) -> list[str]:
    """Rules without rows that make them fire, and rows of no rule.

    An installation without the tests has no examples to check.
    """
    findings: list[str] = []
    if not (root / "tests").exists():
        return findings
    for kind, folder in EXAMPLES.items():
        rules: dict[str, set[str]] = {}
        for path in suite_files(kind, directory):  # type: ignore[arg-type]
            try:
                rules[path.stem] = {rule.meta.id for rule in read_suite(path).rules}
            except SuiteError:
                continue  # check_suites names it
        for name, ids in rules.items():
            path = root / folder / f"{name}.yaml"
            where = f"{folder}/{name}.yaml"
            fires = _fires(path)
            if isinstance(fires, str):
                findings.append(f"{where}: {fires}")
                continue
            findings += [
                f"{where}: fires.{rule}: missing: no row shows that the rule can fire"
                for rule in sorted(ids)
                if not fires.get(rule)
            ]
            findings += [
                f"{where}: fires.{rule}: no such rule in expectations/{kind}/{name}.json"
                for rule in sorted(set(fires) - ids)
            ]
        known = {path.stem for path in suite_files(kind, directory)}  # type: ignore[arg-type]
        findings += [
            f"{folder}/{path.name}: no such suite in expectations/{kind}"
            for path in sorted((root / folder).glob("*.yaml"))
            if path.stem not in known
        ]
    return findings


def _fires(path: Path) -> dict[str, Any] | str:
    """Rule id → rows of an example file, or why there are none."""
    if not path.exists():
        return "missing: it holds for each rule the rows that make it fire"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        return f"not YAML: {' '.join(str(error).split())}"
    fires = document.get("fires") if isinstance(document, dict) else None
    return fires if isinstance(fires, dict) else "no 'fires': rule id and rows"


def generated_files(root: Path = PROJECT_ROOT) -> dict[Path, str]:
    """Path → content of everything that follows from contracts, register and marts."""
    return derived_files(load_contracts(), root) | kpi_pages(root) | interface_files(root)


def check_generated(root: Path = PROJECT_ROOT) -> list[str]:
    """Generated files that no longer follow from what they are made of."""
    findings = []
    for path, content in generated_files(root).items():
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            name = path.relative_to(root)
            findings.append(f"{name}: (file): not up to date; run `nq42 contracts derive`")
    return findings
