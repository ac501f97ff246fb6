"""Great Expectations' results are kept without values, and its Data Docs need no network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loaders.postgres.database import Role, connect, url
from loaders.quality.runner import run_suite
from loaders.quality.suites import read_suite
from loaders.quality.validations import results_folder
from loaders.report.data_docs import NoResultsError, write_data_docs
from loaders.settings import PROJECT_ROOT

SECRET = "051188001234"
SUITE = "health__small"


def expectation(rule_id: str, type_: str, kind: str = "row", **kwargs: Any) -> dict[str, Any]:
    return {
        "type": type_,
        "kwargs": kwargs,
        "severity": "critical",
        "meta": {
            "id": f"small.{rule_id}",
            "version": 1,
            "kind": kind,
            "dimension": "validity",
            "owner": "Department",
            "origin": "made for a test",
            **({"column": kwargs.get("column", "code")} if kind == "row" else {}),
            "description_vi": f"Quy tắc {rule_id} <b>",
            "description_en": f"Rule {rule_id} <b>",
        },
    }


EXPECTATIONS = [
    expectation("in_list", "expect_column_values_to_be_in_set", column="code", value_set=["A"]),
    expectation("given", "expect_column_values_to_not_be_null", column="code"),
    expectation(
        *("mistaken", "unexpected_rows_expectation", "dataset"),
        unexpected_rows_query="SELECT * FROM {batch} WHERE no_such_column > 1",
    ),
    expectation("counted", "expect_table_row_count_to_be_between", "dataset", min_value=3),
    expectation(
        *("queried", "unexpected_rows_expectation", "dataset"),
        unexpected_rows_query="SELECT * FROM {batch} WHERE code <> 'A' AND _period < '$period_end'",
    ),
    expectation(
        *("broken", "unexpected_rows_expectation", "dataset"),
        unexpected_rows_query="SELECT * FROM {batch}"
        " WHERE CASE WHEN length(code) > 1 THEN code::integer END > 1",
    ),
]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("suite") / f"{SUITE}.json"
    path.write_text(json.dumps({"name": SUITE, "expectations": EXPECTATIONS}), encoding="utf-8")
    return read_suite(path)


def run(suite: Any, period: str = "2025-07") -> dict[str, Any]:
    with connect(Role.LOADER) as connection:
        connection.execute("drop table if exists stage.small")
        connection.execute("create table stage.small (_period text, _row_number bigint, code text)")
        rows = [("A", 1), (SECRET, 2), (None, 3), (SECRET, 4)]
        for code, number in rows:
            connection.execute("insert into stage.small values ('2025-07', %s, %s)", (number, code))
    variables = {"period": period, "period_end": "2025-07-31"}
    outcomes = run_suite(url(Role.LOADER), "stage", "small", suite, variables)
    return {outcome.rule.meta.id: outcome for outcome in outcomes}


@pytest.fixture(scope="module")
def kept(warehouse: Any, suite: Any) -> Path:
    """The file that is kept of a run whose every kind of rule failed on a secret."""
    with pytest.raises(NoResultsError, match="run a gate first"):
        write_data_docs()
    outcomes = run(suite)
    assert {name: outcome.result for name, outcome in outcomes.items()} == {
        "small.in_list": "fail",
        "small.given": "fail",
        "small.mistaken": "error",
        "small.counted": "pass",
        "small.queried": "fail",
        "small.broken": "error",
    }
    path = results_folder() / SUITE / "2025-07.json"
    assert path.exists()
    return path


def outside(html: str) -> list[str]:
    """Everything that a browser would fetch from elsewhere."""
    return re.findall(
        r"""(?ix) (?:src|href|action|data) \s*=\s* ["']? (?:https?:)?// [^"'\s>]*
        | url\( \s* ["']? (?:https?:)?// [^)]* | @import [^;]*""",
        html,
    )


def test_counts_are_kept_and_values_are_not(kept: Path) -> None:
    text = kept.read_text(encoding="utf-8")
    assert SECRET not in text
    results = {
        result["expectation_config"]["meta"]["id"]: result for result in json.loads(text)["results"]
    }
    assert results["small.in_list"]["result"]["unexpected_count"] == 2
    assert results["small.queried"]["result"] == {"observed_value": 2}
    assert results["small.broken"]["exception_info"]["raised_exception"] is True
    assert results["small.mistaken"]["exception_info"]["raised_exception"] is True
    assert results["small.counted"]["success"] is True


def test_why_a_rule_did_not_run_is_told_without_the_value(suite: Any, kept: Path) -> None:
    """PostgreSQL's own words would be: value "051188001234" is out of range for type integer."""
    outcomes = run(suite)
    assert outcomes["small.broken"].observed == (
        "NumericValueOutOfRange: a value does not fit what the rule does with it"
    )
    # The name of what is missing stays.
    assert "no_such_column" in outcomes["small.mistaken"].observed


def test_a_later_run_takes_the_place_of_the_earlier_one(kept: Path, suite: Any) -> None:
    before = json.loads(kept.read_text(encoding="utf-8"))["meta"]["run_id"]["run_time"]
    run(suite)
    after = json.loads(kept.read_text(encoding="utf-8"))["meta"]["run_id"]["run_time"]
    assert after > before and [path.name for path in kept.parent.iterdir()] == ["2025-07.json"]


def test_the_site_is_great_expectations_and_needs_no_network(kept: Path) -> None:
    index = write_data_docs()
    pages = sorted(index.parent.rglob("*.html"))
    assert [page.relative_to(index.parent).as_posix() for page in pages] == [
        f"{SUITE}/2025-07.html",
        "index.html",
    ]
    for page in pages:
        html = page.read_text(encoding="utf-8")
        assert outside(html) == [] and "<script" not in html and SECRET not in html
        for link in re.findall(r'href="([^"#]+)"', html):
            assert (page.parent / link).exists(), link
    html = pages[0].read_text(encoding="utf-8")
    assert "values must belong to this set" in html  # its renderer's words
    assert "2 unexpected values found" in html and "Must have greater than or equal to" in html
    assert "Quy tắc in_list &lt;b&gt;" in html and "small.broken" in html
    assert "audit.rule_result says why" in html
    assert "1 / 6" in pages[1].read_text(encoding="utf-8")


def test_great_expectations_own_page_would_need_one(kept: Path) -> None:
    from great_expectations.core import expectationSuiteValidationResultSchema
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    document = json.loads(kept.read_text(encoding="utf-8"))
    content = ValidationResultsPageRenderer().render(
        expectationSuiteValidationResultSchema.load(document)
    )
    found = outside(DefaultJinjaPageView().render(content))
    assert any("bootstrap" in asset for asset in found) and any("vega" in a for a in found)


def test_a_page_whose_result_is_gone_leaves_the_site(kept: Path, suite: Any) -> None:
    run(suite, "2025-06")
    index = write_data_docs()
    assert (index.parent / SUITE / "2025-06.html").exists()
    (kept.parent / "2025-06.json").unlink()
    # In a process of its own, where no gate has made the rules' types known.
    printed = subprocess.run(
        [sys.executable, "-m", "loaders.cli", "docs", "quality"],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT_ROOT,
    )
    assert str(index) in printed.stdout
    assert not (index.parent / SUITE / "2025-06.html").exists()
    assert [path.name for path in sorted(index.parent.parent.iterdir())] == ["results", "site"]


def test_a_result_that_cannot_be_kept_stops_no_gate(
    kept: Path, suite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    before = kept.read_bytes()
    monkeypatch.setattr(Path, "replace", fail)
    assert run(suite)["small.counted"].result == "pass"
    assert kept.read_bytes() == before
