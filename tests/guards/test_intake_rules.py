"""Every intake rule has a delivery that makes it fire, and a clean one that does not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from psycopg import sql
from pydantic import BaseModel, ConfigDict

from loaders import audit
from loaders.contracts.derive import column_list, table_columns
from loaders.contracts.model import Dataset, load_contracts
from loaders.periods import end_of, months_of, school_year_of, start_of
from loaders.postgres.database import Role, connect, url
from loaders.quality.runner import RuleOutcome, run_suite
from loaders.quality.suites import Rule, get_suite, suite_files
from loaders.stages.gate import ensure_raw_tables
from tests.conftest import Warehouse
from tests.guards.examples import expand, figures_of, insert

RULES_DIR = Path(__file__).parent / "rules"
#: A dataset's own period by how often it comes, and the one before it.
PERIODS = {
    "monthly": ("2025-06", "2025-05"),
    "quarterly": ("2025-Q2", "2025-Q1"),
    "annual": ("2024", "2023"),
}


class Example(BaseModel):
    """Deliveries of one dataset that its rules judge, as changes to one good row.

    ``fires`` holds for each rule the rows that it must find: a row rule's are added to the clean
    ones, a dataset rule's are the whole delivery. ``before`` is the delivery of the period before
    (three rows when left out), ``around`` what other raw tables hold in the same period, or in that
    of ``table@period``.
    In columns of pseudonyms one letter or a number stands for a key. ``times: 40`` in a change
    means forty such rows, in which ``"{n}"`` is 1, 2, 3 and so on.
    """

    model_config = ConfigDict(extra="forbid")
    row: dict[str, Any]
    clean: list[dict[str, Any]]
    fires: dict[str, list[dict[str, Any]]]
    before: list[dict[str, Any]] = [{}, {}, {}]
    around: dict[str, list[dict[str, Any]]] = {}
    periods: tuple[str, str] | None = None

    def rows(self, changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return expand(self.row, changes)


DATASETS = {d.raw_table: d for contract in load_contracts() for d in contract.datasets}
EXAMPLES = {
    path.stem: Example.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    for path in sorted(RULES_DIR.glob("*.yaml"))
}
RULES = [
    (path.stem, rule)
    for path in suite_files("intake")
    for rule in get_suite("intake", path.stem).rules
]


@pytest.fixture(scope="module")
def border(warehouse: Warehouse) -> Iterator[None]:
    """Raw tables with one earlier period, and a list of a few units."""
    with connect(Role.LOADER) as connection:
        ensure_raw_tables(connection, list(DATASETS.values()))
        for name, example in EXAMPLES.items():
            earlier = _periods(name)[1]
            _deliver(connection, name, example.rows(example.before), earlier)
            _accept(connection, name, earlier)
        beside = {
            _beside(key, _periods(name)[0])
            for name, example in EXAMPLES.items()
            for key in example.around
        }
        for other, period in sorted(beside - {(name, _periods(name)[1]) for name in EXAMPLES}):
            _deliver(connection, other, [], period)
            _accept(connection, other, period)
    with connect(Role.TRANSFORMER) as connection:
        connection.execute(
            "create table reference.geo_unit (unit_level text, unit_code text, valid_from date,"
            " valid_to date, old_province_code text, is_urban boolean)"
        )
        connection.execute(
            "insert into reference.geo_unit values"
            " ('commune', '21010', '2004-01-01', '2025-06-30', '51', true),"
            " ('commune', '21013', '2004-01-01', '2025-06-30', '51', false),"
            " ('commune', '21025', '2025-07-01', null, '51', true),"
            " ('commune', '23284', '2004-01-01', '2025-06-30', '62', true),"
            " ('district', '522', '2004-01-01', '2025-06-30', '51', null),"
            " ('district', '21099', '2004-01-01', null, '51', null),"
            " ('province', '51', '2004-01-01', null, '51', null),"
            " ('province', '62', '2004-01-01', '2025-06-30', '62', null)"
        )
        connection.execute(
            "create table reference.retirement_age"
            " (sex text, birth_month date, first_pension_month text)"
        )
        connection.execute(
            "insert into reference.retirement_age values"
            " ('male', '1955-03-01', '2015-04'), ('male', '1965-03-01', '2026-10')"
        )
        connection.execute(
            "create table reference.programme_agency (agency_id text, successor_agency_id text)"
        )
        connection.execute(
            "insert into reference.programme_agency values ('bcs_ubnd', 'dang_uy_ubnd')"
        )
        connection.execute(
            "create table reference.programme_task_agency (task_id text, agency_id text, role text)"
        )
        connection.execute(
            "insert into reference.programme_task_agency values"
            " ('III.8', 'btv_tinh_uy', 'lead'), ('III.8', 'bcs_ubnd', 'implement'),"
            " ('IV.4', 'bcs_ubnd', 'implement')"
        )
    yield


def _periods(raw_table: str) -> tuple[str, str]:
    """The period that is judged, and the one before it."""
    frequency = DATASETS[raw_table].extension.schedule.frequency
    return EXAMPLES[raw_table].periods or PERIODS[frequency]


def _beside(key: str, period: str) -> tuple[str, str]:
    """Table and period of a key of ``around``: ``table``, or ``table@period``.

    Without a period it is the judged one, or the last month of it for a dataset that comes monthly.
    """
    raw_table, _, named = key.partition("@")
    monthly = DATASETS[raw_table].extension.schedule.frequency == "monthly"
    return raw_table, named or (months_of(period)[1] if monthly else period)


def _deliver(connection: Any, raw_table: str, rows: list[dict[str, Any]], period: str) -> None:
    """Rows into the partition of a raw table, which is emptied first."""
    table = sql.Identifier("raw", f"{raw_table}__{period.replace('-', '_')}")
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
    connection.execute(
        sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES IN ({})").format(
            table, sql.Identifier("raw", raw_table), sql.Literal(period)
        )
    )
    _insert(connection, table, DATASETS[raw_table], rows, period)


def _accept(connection: Any, raw_table: str, period: str) -> None:
    """What the gate records of an accepted delivery: the figures that later ones are held to."""
    dataset, batch_id = DATASETS[raw_table], f"{raw_table} {period}"
    table = sql.Identifier("raw", f"{raw_table}__{period.replace('-', '_')}")
    subject = {"source": dataset.source, "dataset": dataset.name, "period": period}
    audit.insert_receipt(
        connection,
        **subject,
        batch_id=batch_id,
        file_name="before",
        landing_path=batch_id,
        sha256="0" * 64,
        size_bytes=1,
        data_label="sample",
        maturity="final",
    )
    figures = figures_of(connection, table, get_suite("intake", raw_table).histories)
    audit.record_batch_result(
        connection,
        **subject,
        batch_id=batch_id,
        stage="gate",
        status="accepted",
        details={"figures": figures},
    )


def _insert(
    connection: Any,
    table: sql.Identifier,
    dataset: Dataset,
    rows: list[dict[str, Any]],
    period: str,
) -> None:
    records = [
        {name: _value(dataset, name, value) for name, value in row.items()}
        | {
            "_period": period,
            "_batch_id": "b",
            "_row_number": number,
            "_sheet": "",
            "_data_label": "sample",
        }
        for number, row in enumerate(rows, start=1)
    ]
    insert(connection, table, records)


def _value(dataset: Dataset, column: str, value: Any) -> Any:
    """A letter or a number in a column of pseudonyms is the key with its number."""
    if value is not None and dataset.column(column).physical_type == "uuid":
        return uuid.UUID(int=100 + int(value) if value.isdigit() else ord(value) - ord("A") + 1)
    return value


def judge(
    raw_table: str, rows: list[dict[str, Any]], only: Rule | None = None
) -> dict[str, RuleOutcome]:
    dataset, (period, _) = DATASETS[raw_table], _periods(raw_table)
    table = sql.Identifier("stage", "judged")
    with connect(Role.LOADER) as connection:
        for key, rows_beside in EXAMPLES[raw_table].around.items():
            other, at = _beside(key, period)
            _deliver(connection, other, rows_beside, at)
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
        connection.execute(
            sql.SQL("CREATE TABLE {} ({})").format(table, column_list(table_columns(dataset)))
        )
        _insert(connection, table, dataset, rows, period)
    variables = {
        "period": period,
        "period_start": start_of(period).isoformat(),
        "period_end": end_of(period).isoformat(),
        "school_year": school_year_of(period),
        "raw_table": f'raw."{raw_table}"',
        "source": dataset.source,
        "dataset": dataset.name,
        "data_label": "sample",
        "since": "",
    }
    suite = get_suite("intake", raw_table)
    suite = replace(suite, rules=(only,)) if only else suite
    outcomes = run_suite(url(Role.LOADER), "stage", "judged", suite, variables)
    return {outcome.rule.meta.id: outcome for outcome in outcomes}


def test_every_rule_has_an_example() -> None:
    examples = {rule for example in EXAMPLES.values() for rule in example.fires}
    assert examples == {rule.meta.id for _, rule in RULES}


@pytest.mark.parametrize("raw_table", EXAMPLES)
def test_a_clean_delivery_passes_every_rule(border: None, raw_table: str) -> None:
    example = EXAMPLES[raw_table]
    outcomes = judge(raw_table, example.rows(example.clean))
    assert {rule_id: o.observed for rule_id, o in outcomes.items() if o.result != "pass"} == {}


@pytest.mark.parametrize(("raw_table", "rule"), RULES, ids=[rule.meta.id for _, rule in RULES])
def test_the_rule_fires(border: None, raw_table: str, rule: Any) -> None:
    example = EXAMPLES[raw_table]
    clean, bad = example.rows(example.clean), example.rows(example.fires[rule.meta.id])
    if rule.meta.kind == "row":
        outcome = judge(raw_table, [*clean, *bad], rule)[rule.meta.id]
        assert (outcome.result, outcome.rows_failing) == ("fail", len(bad))
        with connect(Role.LOADER) as connection:
            query = outcome.failing_rows_sql or ""
            found = connection.execute(query.encode()).fetchall()
        first = len(clean) + 1
        assert sorted(row[0] for row in found) == list(range(first, first + len(bad)))
    else:
        assert judge(raw_table, bad, rule)[rule.meta.id].result == "fail"
