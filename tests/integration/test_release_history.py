"""Any past release comes back byte for byte, and a ledger that was touched is named."""

from __future__ import annotations

import datetime as dt
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from loaders.audit import GATE_PASSED, RELEASE_EVENT
from loaders.audit.trail import DatabaseTrail
from loaders.postgres.database import Role, connect
from loaders.publication import (
    HistoryError,
    PublishError,
    columns_of,
    content,
    find_release,
    give_back,
    parse_moment,
    release_at,
)
from loaders.publication.compare import LEDGERS
from loaders.settings import PROJECT_ROOT
from loaders.stages.publish import publish
from tests.candidates import judge_candidate, make_candidate
from tests.marts import marts_as_csv

pytestmark = pytest.mark.usefixtures("warehouse")

MakeCandidate = Callable[..., str]
PERIOD = "2025-07"
#: A mart with every type that a mart may have, and text that CSV has to quote.
ODDITIES = """
    create table candidate.oddities as
    select
        k.id, k.note, k.share, k.is_good, date '2025-07-01' as day,
        timestamptz '2025-07-01 01:02:03.000456+07' as at,
        1e-7::double precision as tiny, array['a,b', null, '"']::text[] as list,
        null::text as nothing, ''::text as empty
    from (values {rows}) as k (id, note, share, is_good)
"""
FIRST = """
    (1, 'plain', 1.0::numeric, true), (2, E'two\\nlines, "quoted"', 1.10, null),
    (3, 'Ba Tơ (xã)', 12345678901234567890.123456789, false), (3, 'twin', 1, true),
    (3, 'twin', 1, true)
"""
#: One row has only another scale, one twin is gone, one row is new.
SECOND = """
    (1, 'plain', 1.00::numeric, true), (2, E'two\\nlines, "quoted"', 1.10, null),
    (3, 'Ba Tơ (xã)', 12345678901234567890.123456789, false), (3, 'twin', 1, true),
    (4, 'null', 0, true)
"""


def offer(make_candidate: MakeCandidate, name: str, oddities: str | None, **row: object) -> None:
    values = [{"unit_code": "a"} | row, {"unit_code": "b"}]
    make_candidate(name, values, period=PERIOD, passed=False)
    with connect(Role.TRANSFORMER) as connection:
        connection.execute("drop table if exists candidate.oddities")
        if oddities:
            connection.execute(ODDITIES.format(rows=oddities))
    judge_candidate(name, GATE_PASSED, period=PERIOD)


def given_back(release_id: str, folder: Path) -> dict[str, bytes]:
    with connect(Role.AUDITOR) as connection:
        release = find_release(connection, release_id)
        assert all(mart.is_exact for mart in give_back(connection, release, folder))
    return {path.stem: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def published(warehouse: object) -> dict[str, dict[str, bytes]]:
    """Four releases and their marts as files, each saved while it was the current one."""
    saved = {}
    for name, oddities, row in (
        ("h1", FIRST, {"value": 1}),
        ("h2", SECOND, {"value": "1.00"}),  # the same number, printed otherwise
        ("h3", None, {"value": "1.00"}),  # the mart is gone
        ("h4", FIRST, {"value": None, "numerator": None}),  # and comes back
    ):
        offer(make_candidate, name, oddities, **row)
        release_id = publish(name).release_id
        saved[release_id] = marts_as_csv()
    return saved


def test_every_release_comes_back_byte_for_byte(
    published: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    assert len(published) == 4
    for number, (release_id, marts) in enumerate(published.items()):
        assert ("oddities" in marts) == (number != 2)
        assert given_back(release_id, tmp_path / str(number)) == marts, release_id
    first, second = list(published.values())[:2]
    assert first["oddities"] != second["oddities"]
    assert b",1.00," in second["fct_kpi_value"] and b",1.00," not in first["fct_kpi_value"]


def test_a_column_that_a_later_release_brought_is_not_in_the_earlier_ones(
    published: dict[str, dict[str, bytes]], make_candidate: MakeCandidate, tmp_path: Path
) -> None:
    with connect(Role.ADMIN) as connection:
        connection.execute("alter table publication.kpi_value add column footnote text")
    offer(make_candidate, "wider", FIRST, footnote="since now")
    release_id = publish("wider").release_id
    assert given_back(release_id, tmp_path / "new") == marts_as_csv()
    assert b"since now" in marts_as_csv()["fct_kpi_value"]
    old = next(iter(published))
    assert given_back(old, tmp_path / "old") == published[old]


def test_a_day_means_its_end_in_vietnam(published: dict[str, dict[str, bytes]]) -> None:
    end = parse_moment("2025-07-01").astimezone(dt.UTC)
    assert end.isoformat() == "2025-07-01T16:59:59.999999+00:00"
    assert parse_moment("2025-07-01 07:30").astimezone(dt.UTC).hour == 0
    assert parse_moment("2025-07-01T07:30+00:00").astimezone(dt.UTC).hour == 7
    with pytest.raises(HistoryError, match="'yesterday' is neither a day"):
        parse_moment("yesterday")
    ids = list(published)
    with connect(Role.AUDITOR) as connection:
        times = [find_release(connection, release_id).published_at for release_id in ids]
        for release_id, at in zip(ids, times, strict=True):
            assert release_at(connection, at).release_id == release_id
        assert release_at(connection, times[1] - dt.timedelta(microseconds=1)).release_id == ids[0]
        with pytest.raises(
            HistoryError, match=rf"by 2019-12-31 23:59:59; the first release is {ids[0]}"
        ):
            release_at(connection, parse_moment("2019-12-31"))
        with pytest.raises(HistoryError, match=r"no release 2099-01\.1; known: 2025-07\.1, "):
            find_release(connection, "2099-01.1")


def test_a_ledger_that_was_touched_gives_nothing_back(
    published: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    release_id = next(iter(published))
    for table, mart, change in (
        ("kpi_value", "fct_kpi_value", "set caveat_en = 'x' where release_seq = 1"),
        ("mart_row", "oddities", "set copies = 2 where release_seq = 1 and mart = 'oddities'"),
    ):
        with connect(Role.ADMIN) as connection:
            connection.execute(f"alter table publication.{table} disable trigger append_only")
            connection.execute(f"update publication.{table} {change}")
            release = find_release(connection, release_id)
            folder = tmp_path / table
            found = [m.mart for m in give_back(connection, release, folder) if not m.is_exact]
            connection.rollback()
        assert found == [mart]
        assert sorted(path.stem for path in folder.iterdir()) == sorted(
            published[release_id].keys() - {mart}
        )


def test_a_release_whose_ledger_would_not_give_it_back_is_not_published(
    make_candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(make_candidate, "forgetful", SECOND)
    monkeypatch.setattr("loaders.stages.publish.append_rows", lambda *_, **__: None)
    with pytest.raises(
        PublishError, match="do not give back oddities, release_checksum, release_note as"
    ):
        publish("forgetful")


def test_a_mart_of_another_type_than_its_ledger_is_refused(make_candidate: MakeCandidate) -> None:
    offer(make_candidate, "retyped", FIRST)
    with connect(Role.TRANSFORMER) as connection:
        connection.execute(
            "alter table candidate.fct_kpi_value alter column value type double precision"
        )
    judge_candidate("retyped", GATE_PASSED, period=PERIOD)
    with pytest.raises(PublishError, match=r"value is double precision instead of numeric"):
        publish("retyped")


def test_the_command_writes_the_files_and_says_what_it_compared(
    published: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    release_id = list(published)[1]
    folder = tmp_path / "out"
    code, output = asof("--release", release_id, "--out", str(folder))
    assert code == 0, output
    assert f"release {release_id}, published" in output
    assert "every mart is what was published" in output
    assert {p.stem: p.read_bytes() for p in folder.iterdir()} == published[release_id]
    code, output = asof("--release", release_id, "--out", str(folder))
    assert code == 1 and "is not empty" in output
    code, output = asof("2999-12-31")
    assert code == 0, output
    code, output = asof()
    assert code == 1 and "name either a date or --release" in output


def asof(*arguments: str) -> tuple[int, str]:
    """Exit code and output of `nq42 audit asof`."""
    done = subprocess.run(
        [sys.executable, "-m", "loaders.cli", "audit", "asof", *arguments],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_releases_from_before_the_history_say_so(published: dict[str, dict[str, bytes]]) -> None:
    with connect(Role.ADMIN) as connection:
        release = find_release(connection, next(iter(published)))
    for of in release.manifest["tables"].values():
        del of["columns"]
    with connect(Role.AUDITOR) as connection, pytest.raises(HistoryError, match="were kept"):
        list(give_back(connection, release))
    release.manifest["tables"]["oddities"]["columns"] = [["id", "integer); drop table x; --"]]
    with connect(Role.AUDITOR) as connection, pytest.raises(HistoryError, match="is no type"):
        list(give_back(connection, _only(release, "oddities")))


def _only(release: object, mart: str) -> object:
    manifest = release.manifest  # type: ignore[attr-defined]
    manifest["tables"] = {mart: manifest["tables"][mart]}
    return release


def test_the_ledgers_of_the_facts_are_compared_by_bytes(
    published: dict[str, dict[str, bytes]],
) -> None:
    with connect(Role.AUDITOR) as connection:
        rows = connection.execute(
            "select unit_code, change, value::text from publication.kpi_value"
            " where release_seq = 2 order by 1"
        ).fetchall()
    assert rows == [("a", "revised", "1.00")]
    assert {ledger.mart for ledger in LEDGERS} == {"fct_kpi_value", "fct_kpi_verdict"}
    with connect(Role.AUDITOR) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("delete from publication.mart_row")


def test_a_manifest_without_columns_is_verified_without_those_that_came_later(
    published: dict[str, dict[str, bytes]],
) -> None:
    """As releases were recorded before the ledgers had `causes`."""
    with connect(Role.ADMIN) as connection:
        columns = columns_of(connection, "publication", "kpi_value")
        del columns["causes"]
        old = content(connection, "publication", "kpi_value", release_seq=1, columns=columns)
        connection.execute("alter table audit.event disable trigger append_only")
        connection.execute(
            "update audit.event set payload = payload #- '{row,manifest,ledger,kpi_value,columns}'"
            " where kind = %s",
            (RELEASE_EVENT,),
        )
        blocks = DatabaseTrail(connection).csv("publication.kpi_value", 1)
        assert hashlib.sha256(b"".join(blocks)).hexdigest() == old["sha256"]
        connection.rollback()
