"""A thousand single changes to a published warehouse, made with all rights: each one is named."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from loaders import audit
from loaders.audit import Finding, Verification
from loaders.audit.archive import ArchiveError, ExportTrail
from loaders.audit.coverage import NOT_COVERED, SETS
from loaders.audit.export import INDEX, README, export
from loaders.audit.trail import DatabaseTrail, open_snapshot
from loaders.postgres.database import Role, connect
from loaders.sample import generate
from loaders.settings import get_settings
from loaders.stages.intake import import_source
from loaders.stages.setup import prepare_warehouse
from tests.archives import members_of, rewritten
from tests.conftest import Warehouse
from tests.end_to_end.conftest import SCALE, release
from tests.long.tampering import (
    LEDGERS,
    Pool,
    Published,
    Tamperer,
    Tampering,
    columns_of,
    record_decisions,
    rows_of,
    tampered_file,
    trail_name,
    unlock,
)

SEED, MONTH, SOURCES = 20_260_131, "2025-07", ("statistics_office", "health")
TOGETHER, ALONE, IN_ARCHIVES, OF_BYTES = 40, 60, 60, 100


@pytest.fixture(scope="module")
def published(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Published]:
    generate([MONTH], SCALE, 7, warehouse.inbox, None)
    prepare_warehouse()
    for source in SOURCES:
        assert {result.status for result in import_source(source, MONTH)} == {"accepted"}
    release(MONTH, is_disturbed=True)
    record_decisions()
    archive = tmp_path_factory.mktemp("export") / "trail.zip"
    with connect(Role.AUDITOR) as connection:
        open_snapshot(connection)
        head = export(DatabaseTrail(connection), archive)["head"]
    files = sorted(path for path in get_settings().landing.rglob("*") if path.is_file())
    found = Published(archive, head, files)
    with connect(Role.ADMIN) as connection:
        for kind, (schema, table, key) in audit.VOUCHED_ROWS.items():
            for seq, row_key in connection.execute(
                "select seq, payload -> 'row' ->> %s from audit.event where kind = %s", (key, kind)
            ):
                found.events[f"{schema}.{table}", row_key] = seq
        found.judgements = dict(
            connection.execute(
                "select batch_id, max(id) from audit.batch_result where stage = 'gate' group by 1"
            ).fetchall()
        )
    assert verified() == []
    yield found
    assert verified() == []


def verified(connection: psycopg.Connection | None = None) -> list[str]:
    """What a verification says of the warehouse, or of a transaction that changed it."""
    if connection is not None:
        return [f.what for f in audit.verify(connection, landing=get_settings().landing)]
    with connect(Role.AUDITOR) as fresh:
        return verified(fresh)


def marts() -> list[str]:
    with connect(Role.AUDITOR) as connection:
        return DatabaseTrail(connection).marts() or []


def test_every_changed_cell_and_file_is_named(published: Published) -> None:
    rng = random.Random(SEED)
    pools = published.pools(marts())
    tamperer = Tamperer(published, rng)
    made: Counter[str] = Counter()
    missed: list[str] = []
    for turn in range(TOGETHER + ALONE):
        chosen = pools if turn < TOGETHER else [pools[turn % len(pools)]]
        path = rng.choice(published.files)
        with connect(Role.ADMIN) as connection:
            unlock(connection, [pool.table for pool in chosen])
            done = list(tamperer.tamper(connection, chosen, None if turn < TOGETHER else 1))
            with tampered_file(path, rng):
                findings = verified(connection)
            connection.rollback()
        name = f"landing {path.relative_to(get_settings().landing).as_posix()} was changed"
        done.append((Pool("landing", 1, lambda _: ""), Tampering(str(path), name)))
        for pool, tampering in done:
            made[pool.table] += 1
            if not tampering.is_named_by(findings):
                missed.append(f"{tampering} not in {findings}")
    print(f"\nnamed {sum(made.values()) - len(missed)} of {sum(made.values())}: {dict(made)}")
    assert missed == []
    assert sum(made.values()) >= 900
    with connect(Role.ADMIN) as connection:
        columns = {
            f"{pool.table}.{column}"
            for pool in pools
            if rows_of(connection, pool.table) and not pool.table.startswith("marts.")
            for column in columns_of(connection, pool.table)
            if column not in NOT_COVERED.get(trail_name(pool.table), ())
        }
    assert columns - tamperer.hit == set()


# --- rows that come, go and change places ---------------------------------------------------------


FORGED: dict[str, dict[str, Any]] = {
    "audit.event": {"seq": 9_999, "hash": "f" * 64},
    "audit.receipt": {"batch_id": "forged"},
    "audit.batch_result": {"id": 9_999},
    "audit.rule_result": {"id": 9_999},
    "audit.kpi_build": {"id": 9_999},
    "publication.release": {"release_seq": 99, "release_id": "x", "candidate_id": "x"},
    "publication.kpi_value": {"unit_code": "x"},
    "publication.kpi_verdict": {"unit_code": "x"},
    "quarantine.row": {"row_number": 99_999},
}
SWAPPED = {
    "audit.event": ("at", "kind", "payload"),
    "audit.receipt": ("sha256", "size_bytes"),
    "audit.batch_result": ("stage", "status", "at"),
    "audit.rule_result": ("rule_id", "at"),
    "publication.kpi_value": ("value", "numerator"),
    "publication.kpi_verdict": ("current_value",),
    "quarantine.row": ("row_number", "reason_en"),
}


@pytest.mark.parametrize("table", FORGED)
def test_a_deleted_row_and_an_inserted_one_are_named(published: Published, table: str) -> None:
    (pool,) = (pool for pool in published.pools([]) if pool.table == table)
    named = sql.Identifier(*table.split("."))
    with connect(Role.ADMIN) as connection:
        unlock(connection, [table])
        rows = rows_of(connection, table)
        place, row = rows[len(rows) // 2]
        copy = sql.SQL(
            "insert into {table} select (jsonb_populate_record(null::{table}, to_jsonb(t) || %s)).*"
            " from {table} as t where ctid = %s::tid"
        ).format(table=named)
        with connection.transaction(force_rollback=True):
            connection.execute(copy, (Jsonb(FORGED[table]), place))
            inserted = verified(connection)
        delete = sql.SQL("delete from {} where ctid = %s::tid").format(named)
        connection.execute(delete, (place,))
        deleted = verified(connection)
        connection.rollback()
    assert Tampering("insert", pool.name(row | FORGED[table])).is_named_by(inserted), inserted
    gone = f"event {row['seq']} is missing" if table == "audit.event" else pool.name(row)
    assert Tampering("delete", gone).is_named_by(deleted), deleted


@pytest.mark.parametrize("table", SWAPPED)
def test_two_rows_that_change_places_are_named(published: Published, table: str) -> None:
    (pool,) = (pool for pool in published.pools([]) if pool.table == table)
    columns = SWAPPED[table]
    with connect(Role.ADMIN) as connection:
        unlock(connection, [table])
        rows = [
            (place, row)
            for place, row in rows_of(connection, table)
            if all(row[column] is not None for column in columns)
        ]
        place, row = rows[0]
        other_place, other = next(
            pair for pair in rows[1:] if all(pair[1][column] != row[column] for column in columns)
        )
        connection.execute(
            sql.SQL(
                "update {table} as t set {pairs} from {table} as o where (t.ctid, o.ctid) in"
                " ((%(one)s::tid, %(two)s::tid), (%(two)s::tid, %(one)s::tid))"
            ).format(
                table=sql.Identifier(*table.split(".")),
                pairs=sql.SQL(", ").join(
                    sql.SQL("{c} = o.{c}").format(c=sql.Identifier(column)) for column in columns
                ),
            ),
            {"one": place, "two": other_place},
        )
        findings = verified(connection)
        connection.rollback()
    for name in {pool.name(row), pool.name(other)}:
        assert any(finding.startswith(name) for finding in findings), (name, findings)


COME_AFTER = ("audit.approval", "audit.readmission", "audit.readmitted_row")


def test_a_chain_that_was_cut_off_with_all_its_rows_shows_against_a_head_kept_outside(
    published: Published,
) -> None:
    with connect(Role.ADMIN) as connection:
        gone = ("publication.release", *COME_AFTER, *LEDGERS)
        unlock(connection, ["audit.event", *gone])
        kinds = [k for k, (*table, _) in audit.VOUCHED_ROWS.items() if ".".join(table) in gone]
        connection.execute(
            "delete from audit.event where seq >="
            " (select min(seq) from audit.event where kind = any(%s))",
            (kinds,),
        )
        for table in gone:
            connection.execute(sql.SQL("delete from {}").format(sql.Identifier(*table.split("."))))
        assert audit.verify(connection) == []
        (finding,) = audit.verify(connection, expected_head=published.head)
        connection.rollback()
    assert finding == Finding(None, f"the expected head {published.head} is not in the chain")


# --- the archive ----------------------------------------------------------------------------------


def archive_findings(archive: io.BytesIO, head: str | None = None) -> list[str]:
    try:
        with ExportTrail(archive) as trail:
            verification = Verification(trail, head, get_settings().landing)
            return [finding.what for finding in verification.findings()]
    except ArchiveError as error:
        return [f"archive: {error}"]


def test_an_untouched_archive_says_what_the_database_says(published: Published) -> None:
    with connect(Role.AUDITOR) as connection, ExportTrail(published.archive) as trail:
        from_archive = Verification(trail, published.head, get_settings().landing)
        from_database = Verification(
            DatabaseTrail(connection), published.head, get_settings().landing
        )
        assert list(from_archive.findings()) == list(from_database.findings()) == []
    assert from_archive.counts == from_database.counts
    assert from_archive.head == from_database.head


def test_a_changed_byte_of_an_archive_is_named_even_when_its_index_was_adapted(
    published: Published,
) -> None:
    rng = random.Random(SEED)
    members = members_of(published.archive)
    names = [name for name, content in members.items() if content and name != INDEX]
    pools = {pool.table: pool for pool in published.pools(marts())}
    missed, made = [], Counter[str]()
    while sum(made.values()) < IN_ARCHIVES:
        name = names[sum(made.values()) % len(names)]
        place = rng.randrange(len(members[name]))
        changed = bytearray(members[name])
        changed[place] ^= rng.randrange(1, 256)
        content, line = bytes(changed), members[name][:place].count(b"\n") + 1
        made[name.split("/")[0]] += 1
        plain = archive_findings(rewritten(members | {name: content}))
        if not any(what.startswith(f"export member {name} was changed") for what in plain):
            missed.append((name, place, plain))
        expected = names_in_archive(pools, name, members[name].split(b"\n")[line - 1], line)
        adapted = archive_findings(rewritten(members | {name: content}, adapt_index=True))
        is_silent = not expected or is_same_json(members[name], content, line)
        if not is_silent and not any(what.startswith(expected) for what in adapted):
            missed.append((name, place, expected, adapted))
    print(f"\nnamed {sum(made.values()) - len(missed)} of {sum(made.values())}: {dict(made)}")
    assert missed == []


def names_in_archive(pools: dict[str, Pool], name: str, text: bytes, line: int) -> tuple[str, ...]:
    """How a finding may begin about a line of a member whose hash in the index was adapted."""
    table = name.rsplit(".", 1)[0].replace("/", ".")
    if name == README:
        return ()
    if name.endswith(".csv"):
        ledger = table.rsplit(".", 1)[0]
        return (f"{table} is not what release", f"{ledger} was changed after release")
    if table in SETS:
        subject = json.loads(text)["set"]
        return (f"{table} {subject}: ", f"{table} has ")
    row = json.loads(text) if text else {}
    return (pools[table].name(row), f"{table} line {line} cannot be read") if row else (table,)


def is_same_json(before: bytes, after: bytes, line: int) -> bool:
    """White space between the parts of a row says nothing."""
    try:
        return json.loads(before.split(b"\n")[line - 1]) == json.loads(after.split(b"\n")[line - 1])
    except (IndexError, ValueError):
        return False


def test_no_changed_byte_of_the_file_changes_what_an_archive_says(published: Published) -> None:
    """Named, or it lies in the frame, where no content is."""
    rng = random.Random(SEED)
    original, members = published.archive.read_bytes(), members_of(published.archive)
    found = 0
    for _ in range(OF_BYTES):
        changed = bytearray(original)
        changed[rng.randrange(len(changed))] ^= rng.randrange(1, 256)
        archive = io.BytesIO(bytes(changed))
        if archive_findings(archive):
            found += 1
            continue
        with zipfile.ZipFile(archive) as opened:
            assert {name: opened.read(name) for name in opened.namelist()} == members
    print(f"\nnamed {found} of {OF_BYTES}; the others lie in the frame of the archive")
    assert found > OF_BYTES * 0.9
