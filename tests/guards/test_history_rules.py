"""A figure is held to the median of earlier accepted periods, as wide as they used to vary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from loaders import audit
from loaders.postgres.database import Role, connect, url
from loaders.quality.history import Break, History, comparable_since
from loaders.quality.runner import RuleOutcome, run_suite
from loaders.quality.suites import SQL_RULE, Rule, RuleMeta, Suite
from tests.conftest import Warehouse
from tests.guards.examples import figures_of

SUBJECT = {"source": "agency", "dataset": "people"}
ROWS = History(measure="rows")
MIX = History(measure="code_mix", column="code")
NULLS = History(measure="null_share", column="code")
SUM = History(measure="sum", column="amount")
STEADY = (1000, 1004, 996, 1002, 998, 1001)


@pytest.fixture(autouse=True)
def _empty_history(warehouse: Warehouse) -> None:
    with connect(Role.ADMIN) as connection:
        connection.execute("set session_replication_role = replica")
        for table in ("batch_result", "receipt"):
            connection.execute(f"alter table audit.{table} disable trigger append_only")
            connection.execute(f"delete from audit.{table}")
            connection.execute(f"alter table audit.{table} enable always trigger append_only")


def months(count: int) -> list[str]:
    """The months before 2025-06, oldest first."""
    number = 2025 * 12 + 5
    return [f"{n // 12}-{n % 12 + 1:02d}" for n in range(number - count, number)]


def accept(
    period: str,
    figures: dict[str, dict[str, Any]],
    label: str = "sample",
    status: str = "accepted",
) -> None:
    with connect(Role.LOADER) as connection:
        batch_id = f"{period} {label} {status}"
        audit.insert_receipt(
            connection,
            **SUBJECT,
            period=period,
            batch_id=batch_id,
            file_name="f",
            landing_path=batch_id,
            sha256="0" * 64,
            size_bytes=1,
            data_label=label,  # type: ignore[arg-type]
            maturity="final",
        )
        audit.record_batch_result(
            connection,
            **SUBJECT,
            period=period,
            batch_id=batch_id,
            stage="gate",
            status=status,
            details={"figures": figures},
        )


def accept_rows(counts: Sequence[int]) -> None:
    for period, count in zip(months(len(counts)), counts, strict=True):
        accept(period, {"rows": {"rows": count}})


def deliver(*groups: tuple[int, str | None, int]) -> None:
    """A stage table of groups: so many rows with this code and this amount each."""
    with connect(Role.LOADER) as connection:
        connection.execute("drop table if exists stage.judged")
        connection.execute("create table stage.judged (_row_number bigint, code text, amount int)")
        for count, code, amount in groups:
            connection.execute(
                "insert into stage.judged select g, %s, %s from generate_series(1, %s) g",
                (code, amount, count),
            )


def judge(history: History, period: str = "2025-06", since: str = "") -> RuleOutcome:
    meta = RuleMeta(
        id="people.like_before",
        version=1,
        kind="dataset",
        dimension="consistency",
        owner="Agency",
        origin="A test of the band",
        description_vi="Số liệu khác các kỳ trước",
        description_en="The figure is unlike that of earlier periods",
    )
    rule = Rule(meta, "warning", SQL_RULE, {"unexpected_rows_query": history.query()}, history)
    variables = {**SUBJECT, "period": period, "data_label": "sample", "since": since}
    suite = Suite("people", Path("people.json"), (rule,))
    return run_suite(url(Role.LOADER), "stage", "judged", suite, variables)[0]


def test_without_an_earlier_period_nothing_is_said(warehouse: Warehouse) -> None:
    deliver((5, "A", 1))
    for history in (ROWS, MIX, NULLS, SUM):
        assert judge(history).result == "pass", history.name


@pytest.mark.parametrize(("count", "result"), [(501, "pass"), (490, "fail"), (2010, "fail")])
def test_with_few_periods_the_latest_is_halved_or_doubled(
    warehouse: Warehouse, count: int, result: str
) -> None:
    accept_rows((40, 40, 1000))
    deliver((count, "A", 1))
    assert judge(ROWS).result == result


def test_a_steady_series_leaves_a_narrow_band(warehouse: Warehouse) -> None:
    accept_rows(STEADY)
    deliver((1090, "A", 1))
    assert judge(ROWS).result == "pass"
    deliver((1200, "A", 1))
    outcome = judge(ROWS)
    assert (outcome.result, outcome.rows_failing) == ("fail", 1)
    # The noise of counting, 4 √1000.5, is wider than the floor of a tenth.
    assert outcome.observed == "found=1200, usual=1001, lower=874, upper=1127, periods=6"
    assert outcome.rule.expected == ROWS.limit


def test_a_restless_series_leaves_a_wide_band(warehouse: Warehouse) -> None:
    accept_rows((600, 1400, 800, 1200, 1000, 1000))
    deliver((1400, "A", 1))
    assert judge(ROWS).result == "pass"


def test_one_month_that_went_wrong_does_not_move_the_band(warehouse: Warehouse) -> None:
    accept_rows((*STEADY, 90_000))
    deliver((1200, "A", 1))
    assert judge(ROWS).result == "fail"


def test_a_series_that_never_varied_tolerates_a_single_row(warehouse: Warehouse) -> None:
    accept_rows((20,) * 6)
    deliver((21, "A", 1))
    assert judge(ROWS).result == "pass"


def test_only_the_last_twelve_periods_count(warehouse: Warehouse) -> None:
    accept_rows((*(5000,) * 24, *(1000,) * 12))
    deliver((1000, "A", 1))
    assert judge(ROWS).result == "pass"
    deliver((5000, "A", 1))
    assert judge(ROWS).observed.endswith("periods=12")


def test_only_accepted_batches_of_the_same_label_count(warehouse: Warehouse) -> None:
    accept("2025-05", {"rows": {"rows": 1000}})
    accept("2025-04", {"rows": {"rows": 9}}, status="held")
    accept("2025-05", {"rows": {"rows": 9}}, label="real")
    deliver((1000, "A", 1))
    assert judge(ROWS).result == "pass"
    deliver((9, "A", 1))
    assert judge(ROWS).result == "fail"


def test_a_seasonal_figure_is_held_to_the_same_month(warehouse: Warehouse) -> None:
    accept("2024-06", {"rows": {"rows": 100}})
    accept_rows((1000,) * 6)
    deliver((100, "A", 1))
    assert judge(ROWS).result == "fail"
    assert judge(History(measure="rows", seasonal=True)).result == "pass"


def test_before_a_known_break_nothing_is_compared(warehouse: Warehouse) -> None:
    accept_rows((*(1000,) * 8, 1500, 1500))
    deliver((1500, "A", 1))
    assert judge(ROWS).result == "fail"
    assert judge(ROWS, since="2025-04").result == "pass"
    deliver((700, "A", 1))
    assert judge(ROWS, since="2025-04").observed.endswith("lower=750, upper=3000, periods=2")


@pytest.mark.parametrize(
    ("dataset", "period", "since"),
    [
        ("people", "2025-05", ""),
        ("people", "2025-06", "2025-06"),
        ("people", "2026-02", "2025-06"),
        ("people", "2025-Q1", ""),
        ("people", "2025-Q2", "2025-Q2"),
        ("people", "2024", ""),
        ("people", "2025", "2025"),
        ("houses", "2026-02", "2026-01"),
    ],
)
def test_a_break_holds_for_periods_of_every_kind(dataset: str, period: str, since: str) -> None:
    said = {"reason_vi": "Danh sách đổi khác", "reason_en": "The list changed", "origin": "Law 1"}
    breaks = [
        Break.model_validate(said | {"from": "2025-06"}),
        Break.model_validate(said | {"from": "2026-01", "datasets": ["agency.houses", "other"]}),
    ]
    assert comparable_since("agency", dataset, period, breaks) == since


def test_a_new_code_and_a_lost_code_are_named(warehouse: Warehouse) -> None:
    for period in months(6):
        accept(period, {MIX.name: {"A": 0.7, "B": 0.3}})
    deliver((700, "A", 1), (300, "B", 1))
    assert judge(MIX).result == "pass"
    deliver((700, "A", 1), (300, "C", 1))
    outcome = judge(MIX)
    assert outcome.rows_failing == 2
    assert outcome.observed.startswith("2 rows, the first: code=")
    assert {"found=0.3", "found=0"} & set(outcome.observed.split(", "))
    deliver((999, "A", 1), (1, "B", 1))
    assert judge(MIX).observed.startswith("2 rows, the first: code=")


def test_empty_cells_become_more(warehouse: Warehouse) -> None:
    for period in months(6):
        accept(period, {NULLS.name: {"code": 0.01}})
    deliver((980, "A", 1), (20, None, 1))
    assert judge(NULLS).result == "pass"
    deliver((900, "A", 1), (100, None, 1))
    outcome = judge(NULLS)
    assert outcome.observed.startswith("found=0.1, usual=0.01,")


def test_amounts_in_thousands_are_seen(warehouse: Warehouse) -> None:
    for period in months(6):
        accept(period, {SUM.name: {"amount": 5_000_000}})
    deliver((1000, "A", 5000))
    assert judge(SUM).result == "pass"
    deliver((1000, "A", 5))
    assert judge(SUM).observed.startswith("found=5000, usual=5000000,")


def test_what_is_recorded_is_what_is_compared(warehouse: Warehouse) -> None:
    """A delivery equals its own figures; without them it would have no history."""
    only_b = History(measure="code_mix", column="code", where="code = 'B' or amount > 2")
    wanted = [ROWS, MIX, NULLS, SUM, only_b]
    deliver((600, "A", 3), (300, "B", 1), (100, None, 1))
    with connect(Role.LOADER) as connection:
        figures = figures_of(connection, sql.Identifier("stage", "judged"), wanted)
    assert figures == {
        "rows": {"rows": 1000},
        "code_mix code": {"A": 0.6, "B": 0.3, "∅": 0.1},
        "null_share code": {"code": 0.1},
        "sum amount": {"amount": 2200},
        only_b.name: {"A": pytest.approx(0.666667), "B": pytest.approx(0.333333)},
    }
    for period in months(6):
        accept(period, figures)
    assert [judge(history).result for history in wanted] == ["pass"] * 5
    deliver((300, "A", 3), (600, "B", 1))
    assert [judge(h).result for h in (MIX, NULLS, SUM, only_b)] == ["fail"] * 4


def test_a_code_with_signs_of_queries_is_a_code(
    warehouse: Warehouse, capfd: pytest.CaptureFixture[str]
) -> None:
    """Quotes, braces and dollar signs mean something in SQL, Great Expectations and our queries."""
    strange = "it's {batch} $period %s"
    for period in months(6):
        accept(period, {MIX.name: {strange: 0.2, "A": 0.4, "B": 0.4}})
    deliver((200, strange, 1), (400, "A", 1), (400, "B", 1))
    assert judge(MIX).result == "pass"
    deliver((900, strange, 1), (50, "A", 1), (50, "B", 1))
    outcome = judge(MIX)
    assert (outcome.result, f"code={strange}" in outcome.observed) == ("fail", True)
    assert capfd.readouterr().out == ""


def test_a_key_of_a_person_is_never_shown(warehouse: Warehouse) -> None:
    query = (
        "SELECT gen_random_uuid() AS who, md5('x') AS person_key, 2 AS found, b._row_number"
        " FROM {batch} AS b JOIN (SELECT 1) AS one ON true"
    )
    deliver((1, "A", 1))
    rule = Rule(
        RuleMeta.model_validate(
            judge(ROWS).rule.meta.model_dump() | {"limit": "at most 1"}
        ), "warning", SQL_RULE, {"unexpected_rows_query": query},
    )  # fmt: skip
    suite = Suite("people", Path("people.json"), (rule,))
    outcome = run_suite(url(Role.LOADER), "stage", "judged", suite, {"period": "2025-06"})[0]
    assert (outcome.observed, outcome.rule.expected) == ("found=2", "at most 1")


@pytest.mark.parametrize("kind", ["row", "dataset"])
def test_a_query_runs_once(warehouse: Warehouse, kind: str) -> None:
    """Great Expectations' own type runs it twice: for rows, and again for their number."""
    deliver((1, "A", 1))
    with connect(Role.LOADER) as connection:
        connection.execute("drop sequence if exists stage.runs")
        connection.execute("create sequence stage.runs")
    meta = judge(ROWS).rule.meta.model_dump() | {"kind": kind, "column": "code"}
    query = "SELECT _row_number, nextval('stage.runs') AS found FROM {batch}"
    rule = Rule(
        RuleMeta.model_validate(meta), "warning", SQL_RULE, {"unexpected_rows_query": query}
    )
    suite = Suite("people", Path("people.json"), (rule,))
    outcome = run_suite(url(Role.LOADER), "stage", "judged", suite, {"period": "2025-06"})[0]
    assert (outcome.result, outcome.rows_failing) == ("fail", 1)
    with connect(Role.LOADER) as connection:
        assert connection.execute("select last_value from stage.runs").fetchone() == (1,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"measure": "rows", "column": "code"},
        {"measure": "sum"},
        {"measure": "code_mix", "column": "person_key"},
        {"measure": "code_mix", "column": 'x" or 1=1'},
        {"measure": "median", "column": "code"},
        {"measure": "rows", "colour": "red"},
    ],
)
def test_a_history_that_says_nothing_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="History"):
        History.model_validate(wrong)
