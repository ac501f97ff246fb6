"""Publishing: the ledger, the switch, and that nothing happens by halves."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from loaders import audit
from loaders.postgres.database import Role, connect
from loaders.settings import PROJECT_ROOT
from loaders.stages import publish as publish_module
from loaders.stages.publish import PublishError, publish
from loaders.stages.records import PublishResult
from tests.candidates import judge_candidate
from tests.long.chaos.reader import is_one_release, question

pytestmark = pytest.mark.usefixtures("warehouse")

MakeCandidate = Callable[..., str]


def rows(query: str, *parameters: Any, role: Role = Role.ADMIN) -> list[tuple[Any, ...]]:
    with connect(role) as connection:
        return connection.execute(query, parameters or None).fetchall()


def published_candidate() -> str:
    return rows("select candidate_id from marts.release_note", role=Role.BI)[0][0]


def state() -> tuple[Any, ...]:
    """Everything that publishing changes."""
    tables = ("publication.release", "publication.kpi_value", "publication.kpi_verdict")
    counts = tuple(rows(f"select count(*) from {table}")[0][0] for table in tables)
    marts = rows("select schemaname, tablename from pg_tables where schemaname = 'marts'")
    return (*counts, published_candidate(), sorted(marts), rows("select max(seq) from audit.event"))


def test_the_ledger_tells_new_revised_and_withdrawn_rows_apart(
    make_candidate: MakeCandidate,
) -> None:
    make_candidate("c1", [{}, {"unit_code": "21028"}, {"unit_code": "21031"}])
    first = publish("c1", run_id="run-1")
    assert first == PublishResult("2025-06.1", "2025-06", "published", 4, 0, 0, None)

    make_candidate(
        "c2",
        [
            {},
            {"unit_code": "21028", "numerator": 11, "value": 11},
            {"period": "2025-07"},
        ],
        verdicts=[{"period": "2025-07", "verdict": "achieved"}],
        period="2025-07",
    )
    second = publish("c2")
    assert second == PublishResult("2025-07.1", "2025-07", "published", 1, 2, 1, None)
    assert rows(
        "select unit_code, period, change, value from publication.kpi_value"
        " where release_seq = 2 order by change"
    ) == [
        ("21025", "2025-07", "new", 10),
        ("21028", "2025-06", "revised", 11),
        ("21031", "2025-06", "withdrawn", None),
    ]

    make_candidate(
        "c3",
        [
            {"denominator_vintage": "2025", "denominator": 90},
            {"unit_code": "21031"},
            {"unit_code": "21028", "numerator": None, "value": None, "is_suppressed": True},
        ],
        verdicts=[],
        period="2025-07",
    )
    third = publish("c3")
    assert (third.release_id, third.rows_new, third.rows_revised, third.rows_withdrawn) == (
        *("2025-07.2", 1, 2),
        2,  # the row of 2025-07, and the verdict
    )
    assert rows(
        "select unit_code, change from publication.kpi_value"
        " where release_seq = 3 order by change, unit_code"
    ) == [
        ("21031", "new"),  # it comes back after it was withdrawn
        ("21025", "revised"),
        ("21028", "revised"),
        ("21025", "withdrawn"),
    ]
    with connect(Role.ADMIN) as connection:
        assert audit.verify(connection) == []


def test_publishing_the_same_candidate_again_changes_nothing(make_candidate: MakeCandidate) -> None:
    make_candidate("again", [{}], period="2025-07")
    first = publish("again")
    before = state()
    seen: list[PublishResult] = []
    second = publish("again", after_publish=lambda result: seen.append(result) or "report.html")
    assert (second.status, second.release_id) == ("unchanged", first.release_id)
    assert second.report_path == "report.html"
    assert [result.status for result in seen] == ["unchanged"]
    assert state() == before


@pytest.mark.parametrize(
    ("asked", "built", "passed", "period", "message"),
    [
        ("x1", "x2", True, "2025-07", "built is x2, not x1"),
        ("x3", "x3", False, "2025-07", "has not seen"),
        ("x4", "x4", True, "2024-06", "withdraw the months after 2024-06"),
    ],
)
def test_a_candidate_that_may_not_be_published_is_refused(
    make_candidate: MakeCandidate, asked: str, built: str, passed: bool, period: str, message: str
) -> None:
    make_candidate(built, [{}], passed=passed, period=period)
    before = state()
    with pytest.raises(PublishError, match=message):
        publish(asked)
    assert state() == before


def test_a_gate_that_fails_after_it_passed_stops_the_release(make_candidate: MakeCandidate) -> None:
    make_candidate("changed-mind", [{}], period="2025-07")
    with connect(Role.PUBLISHER) as connection:
        audit.append(connection, audit.GATE_HELD, {"candidate_id": "changed-mind"})
    with pytest.raises(PublishError, match="did not pass"):
        publish("changed-mind")


def test_a_candidate_with_two_rows_of_one_key_is_refused(make_candidate: MakeCandidate) -> None:
    make_candidate("twins", [{"unit_code": "new"}, {"unit_code": "new"}], period="2025-07")
    with pytest.raises(PublishError, match="two rows of one key"):
        publish("twins")


def test_a_candidate_with_a_column_the_ledger_lacks_is_refused(
    make_candidate: MakeCandidate,
) -> None:
    make_candidate("wider", [{}], period="2025-07")
    with connect(Role.TRANSFORMER) as connection:
        connection.execute("alter table candidate.fct_kpi_value add column surprise text")
    judge_candidate("wider", audit.GATE_PASSED)
    with pytest.raises(PublishError, match=r"unknown \['surprise'\]"):
        publish("wider")


def test_an_empty_candidate_schema_is_named_clearly() -> None:
    with connect(Role.TRANSFORMER) as connection:
        connection.execute(
            "drop table if exists candidate.fct_kpi_value, candidate.fct_kpi_verdict,"
            " candidate.release_note"
        )
    with pytest.raises(PublishError, match="no candidate to publish"):
        publish("nothing")


def test_an_error_in_the_middle_of_the_switch_changes_nothing(
    make_candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_candidate("broken", [{"numerator": 99}], period="2025-07")
    before = state()
    whole_switch = publish_module._switch

    def half(connection: psycopg.Connection, old: list[str], new: list[str]) -> None:
        whole_switch(connection, old, new[:1])
        raise RuntimeError("power cut")

    monkeypatch.setattr(publish_module, "_switch", half)
    with pytest.raises(RuntimeError, match="power cut"):
        publish("broken")
    assert state() == before
    monkeypatch.undo()


def test_a_kill_in_the_middle_of_the_switch_changes_nothing(make_candidate: MakeCandidate) -> None:
    make_candidate("killed", [{"numerator": 98}], period="2025-07")
    before = state()
    script = """
import time
from loaders.stages import publish as module
switch = module._switch
def then_wait(*arguments):
    switch(*arguments)
    print("switched", flush=True)
    time.sleep(60)
module._switch = then_wait
module.publish("killed")
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=PROJECT_ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"switched\n"
        process.send_signal(signal.SIGKILL)
    assert state() == before
    assert publish("killed").status == "published"


def test_a_reader_tells_one_release_from_a_mixed_one_by_its_checksum(
    make_candidate: MakeCandidate,
) -> None:
    make_candidate("sum-1", [{}, {"unit_code": "21028"}], period="2025-07")
    publish("sum-1")

    def is_whole() -> bool:
        with connect(Role.BI) as connection:
            found = connection.execute(question(connection)).fetchall()
            assert len(found) > 2
            return is_one_release(found)

    assert is_whole()
    for damage in (
        "update marts.fct_kpi_value set numerator = 11 where unit_code = '21028'",
        "delete from marts.fct_kpi_value where unit_code = '21028'",
        "update marts.release_checksum set release_id = '2025-07.9' where mart = 'fct_kpi_value'",
        "delete from marts.release_checksum where mart = 'fct_kpi_value'",
        "drop table marts.fct_kpi_verdict",
    ):
        with connect(Role.ADMIN) as connection:
            connection.execute("set local timezone to 'UTC'")
            connection.execute(damage)
            assert not is_one_release(connection.execute(question(connection)).fetchall()), damage
            connection.rollback()
    assert is_whole()


def test_readers_never_fail_and_never_see_two_releases_at_once(
    make_candidate: MakeCandidate,
) -> None:
    make_candidate("poll-0", [{"caveat_en": "poll-0"}], period="2025-07")
    publish("poll-0")
    stop = threading.Event()
    errors: list[BaseException] = []
    seen: set[str] = set()
    # Both orders: a lock taken table by table would deadlock with one of them.
    queries = (
        "select n.candidate_id, v.caveat_en, m.candidate_id from marts.release_note as n,"
        " marts.fct_kpi_value as v, marts.release_note as m",
        "select v.caveat_en, n.candidate_id, v.caveat_en from marts.fct_kpi_value as v,"
        " marts.fct_kpi_verdict as k, marts.release_note as n",
    )

    def read(query: str) -> None:
        try:
            with connect(Role.BI) as connection:
                connection.autocommit = True
                while not stop.is_set():
                    (row,) = connection.execute(query).fetchall()
                    assert len(set(row)) == 1, row
                    seen.add(row[0])
                    time.sleep(0.001)  # leave the interpreter to the publisher now and then
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read, args=(query,)) for query in queries * 2]
    for reader in readers:
        reader.start()
    try:
        for number in range(1, 21):
            name = f"poll-{number}"
            make_candidate(name, [{"caveat_en": name}], period="2025-07")
            assert publish(name).status == "published"
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert errors == []
    assert len(seen) > 5  # they did read while it was switched


def test_a_reader_who_keeps_the_marts_stops_the_switch_but_not_other_readers(
    make_candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_module, "LOCK_PATIENCE_SECONDS", 0.5)
    make_candidate("waits", [{"numerator": 97}], period="2025-07")
    before = state()
    with connect(Role.BI) as reader:
        reader.execute("select * from marts.fct_kpi_value")
        with pytest.raises(PublishError, match="the marts were in use"):
            publish("waits")
        started = time.monotonic()
        published_candidate()
        assert time.monotonic() - started < 1
    assert state() == before


def test_verify_names_a_mart_that_is_not_what_was_published(make_candidate: MakeCandidate) -> None:
    make_candidate("genuine", [{"numerator": 96}], period="2025-07")
    publish("genuine")
    with connect(Role.ADMIN) as connection:
        assert audit.verify(connection) == []
        connection.execute("update marts.fct_kpi_value set value = 0")
        (finding,) = audit.verify(connection)
        assert "marts.fct_kpi_value is not what release" in finding.what
        connection.execute("alter table publication.kpi_value disable trigger append_only")
        connection.execute("update publication.kpi_value set value = 1 where release_seq = 1")
        whats = [finding.what for finding in audit.verify(connection)]
        assert any("publication.kpi_value was changed after release" in what for what in whats)
        connection.rollback()
