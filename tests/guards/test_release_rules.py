"""Every release rule has rows of its mart that make it fire, and clean ones that do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from loaders.periods import end_of
from loaders.postgres.database import Role, connect, url
from loaders.quality.runner import RuleOutcome, run_suite
from loaders.quality.suites import Rule, Suite, get_suite, suite_files
from loaders.settings import PROJECT_ROOT
from tests.conftest import Warehouse
from tests.guards.examples import expand, insert

PERIOD = "2025-07"
RULES_DIR = Path(__file__).parent / "rules_release"
MARTS = PROJECT_ROOT / "dbt_project" / "models" / "marts" / "_marts__models.yml"
COLUMNS = {
    model["name"]: {column["name"]: column["data_type"] for column in model["columns"]}
    for model in yaml.safe_load(MARTS.read_text(encoding="utf-8"))["models"]
}


class Example(BaseModel):
    """Rows of one mart, as changes to one good row; those of ``fires`` come to the clean ones.

    ``alone`` names the rules whose rows are the whole mart: what they miss is what is not there.
    ``around`` holds rows of other marts of the candidate, ``published`` rows of the ledgers.
    """

    model_config = ConfigDict(extra="forbid")
    row: dict[str, Any]
    clean: list[dict[str, Any]]
    fires: dict[str, list[dict[str, Any]]]
    alone: list[str] = []
    around: dict[str, list[dict[str, Any]]] = {}
    published: dict[str, list[dict[str, Any]]] = {}


EXAMPLES = {
    path.stem: Example.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    for path in sorted(RULES_DIR.glob("*.yaml"))
}
RULES = [
    (path.stem, rule)
    for path in suite_files("release")
    for rule in get_suite("release", path.stem).rules
]


@pytest.fixture(scope="module")
def ledgers(warehouse: Warehouse) -> Iterator[None]:
    """One earlier release with what the examples say was published."""
    with connect(Role.PUBLISHER) as connection:
        connection.execute(
            "insert into publication.release (release_seq, release_id, period, candidate_id,"
            " published_at, code_version, data_labels, manifest, chain_head)"
            " values (1, '2025-06.1', '2025-06', 'c', now(), '1', array['sample'], %s, 'h')",
            (Jsonb({}),),
        )
        for example in EXAMPLES.values():
            for ledger, rows in example.published.items():
                insert(connection, sql.Identifier("publication", ledger), rows)
    yield


def judge(mart: str, rows: list[dict[str, Any]], suite: Suite) -> dict[str, RuleOutcome]:
    """What the suite says of a candidate whose mart has these rows, beside those around it."""
    example = EXAMPLES[mart]
    with connect(Role.TRANSFORMER) as connection:
        for name, columns in COLUMNS.items():
            table = sql.Identifier("candidate", name)
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
            listing = sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind))
                for column, kind in columns.items()
            )
            connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table, listing))
            around = expand({}, example.around.get(name, []))
            insert(connection, table, rows if name == mart else around)
    variables = {"period": PERIOD, "period_end": end_of(PERIOD).isoformat()}
    outcomes = run_suite(url(Role.PUBLISHER), "candidate", mart, suite, variables)
    return {outcome.rule.meta.id: outcome for outcome in outcomes}


def test_every_release_rule_has_an_example() -> None:
    examples = {rule for example in EXAMPLES.values() for rule in example.fires}
    assert examples == {rule.meta.id for _, rule in RULES}


def test_every_mart_is_judged_by_a_suite() -> None:
    assert {mart for mart, _ in RULES} == COLUMNS.keys()


@pytest.mark.parametrize("mart", EXAMPLES)
def test_clean_rows_pass_every_rule(ledgers: None, mart: str) -> None:
    example = EXAMPLES[mart]
    outcomes = judge(mart, expand(example.row, example.clean), get_suite("release", mart))
    assert {rule_id: o.observed for rule_id, o in outcomes.items() if o.result != "pass"} == {}


@pytest.mark.parametrize(("mart", "rule"), RULES, ids=[rule.meta.id for _, rule in RULES])
def test_the_release_rule_fires(ledgers: None, mart: str, rule: Rule) -> None:
    example = EXAMPLES[mart]
    clean = [] if rule.meta.id in example.alone else example.clean
    rows = expand(example.row, [*clean, *example.fires[rule.meta.id]])
    suite = get_suite("release", mart)
    outcome = judge(mart, rows, Suite(suite.name, suite.path, (rule,)))[rule.meta.id]
    assert outcome.result == "fail", outcome.observed
