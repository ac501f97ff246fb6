"""A mart that follows from the others is given back by its query, which may do nothing but read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from loaders import audit
from loaders.postgres.database import Role, connect
from loaders.publication import HistoryError, PublishError, find_release, give_back
from loaders.publication.derived import DerivedError, derived_queries, marts_read
from loaders.settings import PROJECT_ROOT
from loaders.stages.publish import publish
from tests.candidates import judge_candidate
from tests.marts import marts_as_csv

pytestmark = pytest.mark.usefixtures("warehouse")

MakeCandidate = Callable[..., str]
PERIOD = "2025-07"
WIDE = """
-- as dbt writes it: a comment, and a mart by its name
with totals as (select * from "fct_kpi_value" where breakdown = 'total')
select t.kpi_id, t.unit_code, t.value, t.value - lag(t.value) over (order by t.unit_code) as change,
    n.candidate_id
from totals as t cross join "release_note" as n
-- to the end"""


def given_back(release_id: str) -> dict[str, bool]:
    with connect(Role.AUDITOR) as connection:
        release = find_release(connection, release_id)
        return {mart.mart: mart.is_exact for mart in give_back(connection, release)}


def test_every_release_gives_it_back_without_keeping_its_rows(
    make_candidate: MakeCandidate,
) -> None:
    seen = {}
    for number in range(3):
        cells = [{"unit_code": "a", "value": 1 + number}, {"unit_code": "b", "value": 2.50}]
        name = make_candidate(f"wide-{number}", cells, period=PERIOD, derived={"wide": f"{WIDE}\n"})
        release_id = publish(name).release_id
        seen[release_id] = marts_as_csv()["wide"]
    assert len(set(seen.values())) == 3
    for release_id in seen:
        assert set(given_back(release_id).values()) == {True}
    with connect(Role.AUDITOR) as connection:
        kept = connection.execute("select distinct mart from publication.mart_row order by 1")
        assert kept.fetchall() == [("release_checksum",), ("release_note",)]
        assert audit.verify(connection) == []


def test_a_mart_that_is_kept_by_rows_again_comes_back_too(make_candidate: MakeCandidate) -> None:
    """As after an upgrade, in either direction."""
    kept = make_candidate("kept", [{"value": 7}], period=PERIOD)
    with connect(Role.TRANSFORMER) as connection:
        connection.execute("create table candidate.wide as select 1 as n")
    _judge(kept)
    ids = [publish(kept).release_id]
    derived = make_candidate("derived", [{"value": 8}], period=PERIOD, derived={"wide": WIDE})
    ids.append(publish(derived).release_id)
    kept = make_candidate("kept-2", [{"value": 9}], period=PERIOD)
    with connect(Role.TRANSFORMER) as connection:
        connection.execute("create table candidate.wide as select 2 as n")
    _judge(kept)
    ids.append(publish(kept).release_id)
    for release_id in ids:
        assert set(given_back(release_id).values()) == {True}, release_id


def _judge(candidate_id: str) -> None:
    judge_candidate(candidate_id, audit.GATE_PASSED, period=PERIOD)


def test_a_mart_that_its_query_does_not_give_back_is_not_published(
    make_candidate: MakeCandidate,
) -> None:
    name = make_candidate("other", [{}], period=PERIOD, derived={"wide": WIDE})
    with connect(Role.TRANSFORMER) as connection:
        connection.execute("update candidate.wide set value = value + 1")
    _judge(name)
    with pytest.raises(PublishError, match="do not give back wide as"):
        publish(name)


def test_a_query_that_was_touched_is_not_run(make_candidate: MakeCandidate) -> None:
    name = make_candidate("touched", [{}], period=PERIOD, derived={"wide": WIDE})
    release_id = publish(name).release_id
    with connect(Role.AUDITOR) as connection:
        release = find_release(connection, release_id)
        release.manifest["derived"]["wide"] = "select pg_sleep(60)"
        with pytest.raises(HistoryError, match=f"release {release_id}: the query of wide holds"):
            list(give_back(connection, release))


@pytest.mark.parametrize(
    "query",
    [
        "delete from fct_kpi_value",
        "with gone as (delete from fct_kpi_value returning 1) select * from gone",
        "select 1; select 2",
        "select * from fct_kpi_value for update",
        "select 1 as n into taken from fct_kpi_value",
        "select pg_read_file('x') from fct_kpi_value",
        "select * from pg_ls_dir('.')",
        "select * from audit.event",
        "select * from pg_authid",
        "select * from wide",
        "copy fct_kpi_value to '/tmp/taken'",
        "do $$ begin end $$",
        "select (",
    ],
)
def test_a_query_that_does_more_than_read_marts_is_refused(query: str) -> None:
    with pytest.raises(DerivedError):
        marts_read("wide", query, {"fct_kpi_value"})


def test_the_marts_that_a_query_reads_are_named() -> None:
    assert marts_read("wide", WIDE, {"fct_kpi_value", "release_note", "dim_kpi"}) == {
        *("fct_kpi_value", "release_note")
    }


def test_a_model_that_reads_more_than_marts_cannot_be_derived(tmp_path: Path) -> None:
    def node(name: str, code: str, schema: str = "candidate", **meta: bool) -> dict[str, Any]:
        return {
            **{"resource_type": "model", "name": name, "schema": schema, "compiled_code": code},
            "config": {"meta": meta},
        }

    path = tmp_path / "manifest.json"
    fact = node("fct_kpi_value", "select 1")
    for table, is_allowed in {"candidate": True, "intermediate": False}.items():
        wide = node("wide", f'select * from "nq42"."{table}"."fct_kpi_value"', is_derived=True)
        path.write_text(json.dumps({"nodes": {"a": fact, "b": wide}}), encoding="utf-8")
        if is_allowed:
            assert derived_queries(path) == {"wide": 'select * from "fct_kpi_value"'}
        else:
            with pytest.raises(DerivedError, match="intermediate"):
                derived_queries(path)


def test_the_wide_marts_call_themselves_derived() -> None:
    models = yaml.safe_load(
        (PROJECT_ROOT / "dbt_project/models/marts/_marts__models.yml").read_text("utf-8")
    )["models"]
    derived = {m["name"] for m in models if m.get("config", {}).get("meta", {}).get("is_derived")}
    assert derived == {"commune_profile", "kpi_timeseries"}
