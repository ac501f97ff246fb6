"""What comes with a release: rows that every snapshot sees, keys, indexes, comments, its card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loaders import audit
from loaders.contracts.interface import ADDED_BY_PUBLISHING, VERSION
from loaders.postgres.database import Role, connect
from loaders.publication import CARD, columns_of, find_release, give_back
from loaders.publication import checksum as checksum_module
from loaders.stages import publish as publish_module
from loaders.stages.publish import PublishError, publish
from tests.candidates import judge_candidate
from tests.long.chaos.reader import is_one_release, question

pytestmark = pytest.mark.usefixtures("warehouse")

MakeCandidate = Callable[..., str]
PERIOD = "2025-07"


def rows(query: str, role: Role = Role.BI) -> list[tuple[Any, ...]]:
    with connect(role) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def star(make_candidate: MakeCandidate) -> Iterator[Callable[..., str]]:
    """Candidates with a dimension, keys, an index and comments, as dbt makes them."""

    def make(name: str, kpi_id: str = "poverty_rate") -> str:
        make_candidate(name, [{"caveat_en": name}], period=PERIOD)
        with connect(Role.TRANSFORMER) as connection:
            for statement in (
                "create table candidate.dim_kpi (kpi_id text primary key, name_vi text)",
                f"insert into candidate.dim_kpi values ('{kpi_id}', 'Hộ nghèo')",
                "alter table candidate.fct_kpi_value add constraint value_key"
                " primary key (kpi_id, unit_code, period)",
                "create index by_unit on candidate.fct_kpi_value (unit_id, kpi_id)",
                "comment on table candidate.fct_kpi_value is 'Giá trị / Figures'",
                "comment on column candidate.fct_kpi_value.value is 'Giá trị / Figure'",
            ):
                connection.execute(statement)
        judge_candidate(name, audit.GATE_PASSED, period=PERIOD)
        return name

    yield make
    with connect(Role.TRANSFORMER) as connection:
        connection.execute("drop table if exists candidate.dim_kpi cascade")


def seen_by_an_older_snapshot(release: Callable[[], object]) -> bool:
    """Whether a transaction that began before a release, and read no mart yet, sees one release."""
    with connect(Role.BI) as reader:
        reader.execute("set transaction isolation level repeatable read")
        reader.execute("select count(*) from pg_class")
        release()
        return is_one_release(reader.execute(question(reader)).fetchall())


def test_a_snapshot_that_is_older_than_build_and_switch_sees_the_release_whole(
    make_candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_candidate("seen-0", [{}], period=PERIOD)
    publish("seen-0")

    def release(name: str) -> None:
        make_candidate(name, [{"caveat_en": name}], period=PERIOD)
        assert publish(name).status == "published"

    assert seen_by_an_older_snapshot(lambda: release("seen-1"))
    # The guard can fail: rows as they were built are not there for such a reader.
    for module in (publish_module, checksum_module):
        monkeypatch.setattr(module, "freeze", lambda *_: None)
    assert not seen_by_an_older_snapshot(lambda: release("seen-2"))


def test_whoever_has_read_one_mart_keeps_all_of_its_release(
    make_candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_candidate("kept", [{}], period=PERIOD)
    publish("kept")
    monkeypatch.setattr(publish_module, "LOCK_PATIENCE_SECONDS", 0.3)
    make_candidate("next", [{"numerator": 4}], period=PERIOD)
    for level in ("read committed", "repeatable read"):
        with connect(Role.BI) as reader:
            reader.execute(f"set transaction isolation level {level}")
            reader.execute("select 1 from marts.release_note")
            with pytest.raises(PublishError, match="the marts were in use"):
                publish("next")
            assert is_one_release(reader.execute(question(reader)).fetchall())
    assert publish("next").status == "published"


def test_keys_indexes_and_comments_move_with_the_switch(star: Callable[..., str]) -> None:
    for name in ("star-1", "star-2"):  # the second takes the place of tables that refer to others
        star(name)
        publish(name)
    assert rows(
        "select conname, pg_get_constraintdef(oid) from pg_constraint"
        " where conrelid = 'marts.fct_kpi_value'::regclass and contype <> 'n' order by contype",
        Role.ADMIN,
    ) == [
        (
            "fct_kpi_value_kpi_id_fkey",
            "FOREIGN KEY (kpi_id) REFERENCES marts.dim_kpi(kpi_id)",
        ),
        ("value_key", "PRIMARY KEY (kpi_id, unit_code, period)"),
    ]
    assert rows(
        "select indexname from pg_indexes where tablename = 'fct_kpi_value' order by 1"
    ) == [
        ("by_unit",),
        ("value_key",),
    ]
    about = "select obj_description('marts.fct_kpi_value'::regclass)"
    assert rows(about) == [
        (
            "Giá trị / Figures · "
            + rows("select summary_vi || ' / ' || summary_en from marts.release_info")[0][0],
        )
    ]
    # dim_kpi had no comment of its own.
    assert rows("select obj_description('marts.dim_kpi'::regclass)")[0][0].startswith("Bản công bố")
    with connect(Role.BI) as connection:
        found = connection.execute(
            "select col_description('marts.fct_kpi_value'::regclass, attnum) from pg_attribute"
            " where attrelid = 'marts.fct_kpi_value'::regclass and attname = 'value'"
        ).fetchone()
    assert found == ("Giá trị / Figure",)
    owners = "select distinct tableowner from pg_tables where schemaname = 'marts'"
    assert rows(owners) == [("nq42_publisher",)]


def test_a_figure_of_an_unknown_kpi_is_not_published(star: Callable[..., str]) -> None:
    before = rows("select release_id from marts.release_info")
    star("stranger", kpi_id="another_kpi")
    with pytest.raises(PublishError, match=r"fct_kpi_value\.kpi_id is not in dim_kpi"):
        publish("stranger")
    assert rows("select release_id from marts.release_info") == before


def test_the_card_is_given_back_and_verified(make_candidate: MakeCandidate) -> None:
    make_candidate("card", [{}, {"unit_code": "21028", "data_label": "real"}], period=PERIOD)
    with connect(Role.TRANSFORMER) as connection:
        for statement in (
            "create table candidate.fct_data_quality (source text, dataset text,"
            " serving_period text, serving_age_days integer)",
            # A dataset is as old as its newest good data; one without any has no age.
            "insert into candidate.fct_data_quality values ('a', 'fresh', '2025-07', 0),"
            " ('a', 'fresh', '2024-07', 365), ('b', 'old', '2025-05', 61),"
            " ('b', 'none', null, null)",
        ):
            connection.execute(statement)
    judge_candidate("card", audit.GATE_PASSED, period=PERIOD)
    release_id = publish("card").release_id
    with connect(Role.AUDITOR) as connection:
        names = list(columns_of(connection, "marts", CARD))
        (card,) = connection.execute(f"select * from marts.{CARD}").fetchall()
        release = find_release(connection, release_id)
        given = {found.mart: found for found in give_back(connection, release)}
        recorded = audit.verify(connection)
    assert names == list(ADDED_BY_PUBLISHING[CARD][0])
    shown = dict(zip(names, card, strict=True))
    assert shown["published_at"] == release.published_at
    assert shown["summary_vi"].startswith(
        f"Bản công bố {release_id}, số liệu đến {PERIOD}, công bố"
    )
    assert {key: shown[key] for key in names[:2] + names[3:4] + names[6:10]} == {
        "release_id": release_id,
        "as_of_period": PERIOD,
        "data_labels": "real, sample",
        "oldest_source": "b.old",
        "oldest_source_period": "2025-05",
        "oldest_source_age_days": 61,
        "interface_version": VERSION,
    }
    assert given[CARD].is_exact and given[CARD].rows == 1
    assert recorded == []


def test_a_card_that_was_touched_is_named(make_candidate: MakeCandidate) -> None:
    make_candidate("honest", [{}], period=PERIOD)
    publish("honest")
    with connect(Role.ADMIN) as connection:
        connection.execute("update marts.release_info set release_id = '2099-01.1'")
        found = [finding.what for finding in audit.verify(connection)]
        connection.rollback()
    assert len(found) == 1 and found[0].startswith("marts.release_info is not what release")


def test_the_columns_of_what_publishing_adds_are_those_of_the_interface(
    make_candidate: MakeCandidate,
) -> None:
    make_candidate("columns", [{}], period=PERIOD)
    publish("columns")
    with connect(Role.BI) as connection:
        for name, (columns, _) in ADDED_BY_PUBLISHING.items():
            assert columns_of(connection, "marts", name) == columns


def test_the_switch_stays_short_for_readers(make_candidate: MakeCandidate) -> None:
    """What happens between the locks and the commit does not grow with the marts."""
    make_candidate("short", [{}], period=PERIOD)
    order: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("freeze", "refer", "_keep_rows", "_lock_for_switch", "write_card", "_switch"):
            whole = getattr(publish_module, name)

            def noted(*arguments: Any, _name: str = name, _whole: Any = whole) -> Any:
                order.append(_name)
                return _whole(*arguments)

            patch.setattr(publish_module, name, noted)
        publish("short")
    assert order == ["freeze", "refer", "_keep_rows", "_lock_for_switch", "write_card", "_switch"]
