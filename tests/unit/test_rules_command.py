"""`nq42 rules` shows every rule with what an auditor asks for."""

from __future__ import annotations

import json
import subprocess
import sys

from loaders.quality.suites import get_suite, suite_files


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and all output, in a process of its own: the command sets up logging."""
    command = [sys.executable, "-m", "loaders.cli", "rules", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


def test_every_rule_is_listed() -> None:
    code, output = run("--json")
    found = [(rule["gate"], rule["id"]) for rule in json.loads(output)]
    expected = [
        (gate, rule.meta.id)
        for gate in ("intake", "release")
        for path in suite_files(gate)  # type: ignore[arg-type]
        for rule in get_suite(gate, path.stem).rules  # type: ignore[arg-type]
    ]
    assert (code, found) == (0, expected)


def test_the_rules_of_one_dataset() -> None:
    _, output = run("--source", "social_insurance", "--dataset", "pensions", "--json")
    rules = {rule["id"]: rule for rule in json.loads(output)}
    assert {(r["source"], r["dataset"]) for r in rules.values()} == {
        ("social_insurance", "pensions")
    }
    volume = rules["pensions.volume_like_before"]
    assert volume["owner"] == "Provincial social insurance"
    assert volume["limit"].startswith("median of up to 12 earlier periods")


def test_the_table_holds_sentences_owner_and_origin() -> None:
    code, output = run("--dataset", "release_note", "--width", "200")
    rule = get_suite("release", "release_note").rules[0].meta
    assert code == 0
    for text in (rule.id, rule.description_vi, rule.description_en, rule.owner, rule.origin):
        assert text in " ".join(output.split())


def test_an_unknown_source_is_named() -> None:
    code, output = run("--source", "nobody")
    assert code == 1
    assert "nobody" in output
    assert "social_insurance" in output
