"""An archive from somebody else: read where it lies, and not believed in anything."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loaders import audit
from loaders.audit import Verification
from loaders.audit.archive import ArchiveError, ExportTrail
from loaders.audit.chain import GENESIS, event_hash
from loaders.audit.coverage import TABLES
from loaders.audit.export import FORMAT, INDEX, README, export, new_member, row_member
from loaders.audit.trail import DatabaseTrail
from loaders.cli.audit import audit_app
from loaders.postgres.database import Role, connect
from loaders.settings import PROJECT_ROOT, get_settings
from tests.archives import described, members_of

BATCH = {"source": "health", "dataset": "staff", "period": "2025-06"}
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def archive(warehouse: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written from a database with some history."""
    with connect(Role.LOADER) as connection:
        for number in range(5):
            audit.record_batch_result(
                connection, batch_id=f"b{number}", **BATCH, stage="load", status="loaded"
            )
    path = tmp_path_factory.mktemp("export") / "trail.zip"
    with connect(Role.AUDITOR) as connection:
        export(DatabaseTrail(connection), path)
    return path


def packed(members: Members, path: Path, *extra: tuple[zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(new_member(name), content)
        for info, content in extra:
            file.writestr(info, content)
    return path


def findings(path: Path, head: str | None = None) -> list[str]:
    with ExportTrail(path) as trail:
        return [finding.what for finding in Verification(trail, head).findings()]


def test_an_untouched_archive_has_no_findings(archive: Path) -> None:
    with connect(Role.AUDITOR) as connection:
        head = audit.head(connection)
    assert findings(archive, head) == []
    assert findings(archive, "0" * 63 + "1") == [
        f"the expected head {'0' * 63}1 is not in the chain"
    ]


def test_the_same_trail_gives_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    with connect(Role.AUDITOR) as connection:
        export(DatabaseTrail(connection), tmp_path / "again.zip")
        with pytest.raises(FileExistsError):
            export(DatabaseTrail(connection), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()


def test_an_export_that_fails_leaves_no_file(tmp_path: Path) -> None:
    with connect(Role.AUDITOR) as connection:
        trail = DatabaseTrail(connection)
        connection.execute("set local statement_timeout = 1")
        with pytest.raises(Exception, match="statement timeout"):
            connection.execute("select pg_sleep(1)")
        with pytest.raises(Exception, match="aborted"):
            export(trail, tmp_path / "x.zip")
        connection.rollback()
    assert list(tmp_path.iterdir()) == []


def test_a_line_left_out_is_named_by_the_index_and_by_the_chain(
    archive: Path, tmp_path: Path
) -> None:
    members = members_of(archive)
    name = row_member("audit.event")
    lines = members[name].splitlines(keepends=True)
    members[name] = b"".join([*lines[:1], *lines[2:]])
    whats = findings(packed(members, tmp_path / "x.zip"))
    assert whats[0].startswith(f"export member {name} was changed: bytes: ")
    assert "event 2 is missing before event 3" in whats
    assert "audit.batch_result 2 has no event in the chain" in whats


def test_events_that_changed_places_are_named(archive: Path, tmp_path: Path) -> None:
    members = members_of(archive)
    name = row_member("audit.event")
    first, second, *rest = members[name].splitlines(keepends=True)
    members[name] = b"".join([second, first, *rest])
    whats = findings(packed(members, tmp_path / "x.zip"))
    assert "event 1 (batch.result) stands after event 2" in whats


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (b'"seq": 1', b'"seq": 1, "seq": 2', "line 1 cannot be read: a key stands twice"),
        (b'"seq": 1', b'"seq": "1"', "line 1 cannot be read: a field is of another type"),
        (b'"seq": 1', b'"seq": NaN', "line 1 cannot be read: NaN is no JSON number"),
        (b'"seq": 1', b'"x": 1, "seq": 1', "fields that no hash covers: ['x']"),
        (b"+00:00", b"-00:00", "its time is not as PostgreSQL shows it"),
        (b'{"at"', b"[" * 100_000 + b'{"at"', "line 1 cannot be read: nested too deeply"),
        (b'{"row":', b'{"x":' + b"[" * 70 + b"]" * 70 + b', "row":', "nested too deeply"),
        (b'"kind": "batch.result"', b'"kind": "\\ud800"', "line 1 cannot be read: "),
        (b'"kind": "batch.result"', b'"kind": "\xff"', "event 1 (batch.result) was changed"),
    ],
)
def test_a_line_that_is_no_event_is_named(
    archive: Path, tmp_path: Path, old: bytes, new: bytes, what: str
) -> None:
    members = members_of(archive)
    name = row_member("audit.event")
    members[name] = members[name].replace(old, new, 1)
    assert any(what in found for found in findings(packed(members, tmp_path / "x.zip")))


def test_a_member_that_is_gone_unknown_or_twice_there_is_named(
    archive: Path, tmp_path: Path
) -> None:
    members = members_of(archive)
    gone = {name: content for name, content in members.items() if name != README}
    assert f"export member {README} is gone" in findings(packed(gone, tmp_path / "1.zip"))
    index = json.loads(members[INDEX])
    del index["members"][row_member("audit.receipt")]
    hidden = {k: v for k, v in members.items() if k != row_member("audit.receipt")}
    hidden[INDEX] = json.dumps(index).encode()
    what = f"export member {row_member('audit.receipt')} is gone"
    assert what in findings(packed(hidden, tmp_path / "2.zip"))
    stranger = (new_member("../../etc/cron.d/x"), b"* * * * * root id\n")
    outside = findings(packed(members, tmp_path / "3.zip", stranger))
    assert outside == ["export member ../../etc/cron.d/x is not in the index"]
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = packed(members, tmp_path / "4.zip", (new_member(README), b"other"))
    assert f"export member {README} stands in the archive twice" in findings(twice)
    framed = zipfile.ZipInfo("note.txt", (2026, 1, 1, 0, 0, 0))
    whats = findings(packed(members, tmp_path / "5.zip", (framed, b"x")))
    assert "export member note.txt was not written by an export" in whats
    assert {path.name for path in tmp_path.iterdir()} == {f"{n}.zip" for n in range(1, 6)}


def test_a_bomb_is_refused_before_it_is_read(archive: Path, tmp_path: Path) -> None:
    bomb = packed(
        members_of(archive) | {row_member("audit.event"): b"\0" * (64 << 20)}, tmp_path / "bomb.zip"
    )
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(ArchiveError, match="would unpack"):
        ExportTrail(bomb)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "this is no export"),
        ({INDEX: b"{"}, "cannot be read"),
        ({INDEX: b'{"format": 99, "members": {}}'}, "export format 99"),
        ({INDEX: f'{{"format": {FORMAT}, "members": []}}'.encode()}, "lists no members"),
    ],
)
def test_what_is_no_export_is_refused(tmp_path: Path, members: Members, message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        ExportTrail(packed(members, tmp_path / "x.zip"))


def test_another_packing_and_no_archive_are_refused(archive: Path, tmp_path: Path) -> None:
    info = new_member("x")
    info.compress_type = zipfile.ZIP_LZMA
    with pytest.raises(ArchiveError, match="another method"):
        ExportTrail(packed(members_of(archive), tmp_path / "x.zip", (info, b"x")))
    (tmp_path / "y.zip").write_bytes(b"no archive")
    with pytest.raises(ArchiveError, match="no archive that can be read"):
        ExportTrail(tmp_path / "y.zip")


PIECES = (
    *(b'"', b"{", b"}", b"[", b"]", b"\\", b"\n", b"\xff", b"\x00", b"null", b"true", b"1e999"),
    *(b"-1", b"\\u0000", b"\\ud800", b"9" * 5_000, b",", b":", b"../../x"),
)


def test_no_damage_stops_a_verification_or_stays_hidden(archive: Path, tmp_path: Path) -> None:
    """Also when the index was adapted to it: what the chain holds gives it away."""
    rng = random.Random(7)
    members = members_of(archive)
    names = [name for name, content in members.items() if content and name not in (INDEX, README)]
    for number in range(200):
        name = rng.choice(names)
        content = bytearray(members[name])
        place = rng.randrange(len(content))
        if number % 3 == 0:
            content[place] ^= rng.randrange(1, 256)
        elif number % 3 == 1:
            content[place:place] = rng.choice(PIECES)
        else:
            del content[place : place + rng.randrange(1, 30)]
        damaged = members | {name: bytes(content)}
        damaged[INDEX] = json.dumps(
            json.loads(members[INDEX]) | {"members": described(damaged)}
        ).encode()
        whats = findings(packed(damaged, tmp_path / "x.zip"))
        assert whats or same_lines(members[name], bytes(content)), (name, content)


def same_lines(before: bytes, after: bytes) -> bool:
    """White space between the parts of a row, which says nothing."""
    return [json.loads(line) for line in before.splitlines()] == [
        json.loads(line) for line in after.splitlines()
    ]


# --- the commands ---------------------------------------------------------------------------------


def test_the_commands_export_verify_and_show_the_head(
    warehouse: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = CliRunner().invoke
    with connect(Role.AUDITOR) as connection:
        head = audit.head(connection)
    assert head in run(audit_app, ["head"]).output
    assert run(audit_app, ["verify", "--head", head]).exit_code == 0
    path = tmp_path / "trail.zip"
    written = run(audit_app, ["export", str(path)])
    assert (written.exit_code, head in written.output) == (0, True)
    assert "is there already" in run(audit_app, ["export", str(path)]).output
    unknown = run(audit_app, ["export", str(tmp_path / "x.zip"), "--until", "2025-06.9"])
    assert (unknown.exit_code, "there is no release 2025-06.9" in unknown.output) == (1, True)
    # From here on there is no database.
    monkeypatch.setenv("NQ42_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    get_settings.cache_clear()
    whole = run(audit_app, ["verify", "--export", str(path), "--head", head])
    assert (whole.exit_code, f"is whole; head {head}" in whole.output) == (0, True)
    other = run(audit_app, ["verify", "--export", str(path), "--head", "f" * 64])
    assert (other.exit_code, "is not in the chain" in other.output) == (1, True)
    members = members_of(path)
    members[row_member("audit.batch_result")] = b""
    packed(members, path)
    broken = run(audit_app, ["verify", "--export", str(path)])
    assert (broken.exit_code, "audit.batch_result 1 is gone" in broken.output) == (1, True)
    get_settings.cache_clear()


# --- memory ---------------------------------------------------------------------------------------

MEASURED = """
import sys
from loaders.audit import Verification
from loaders.audit.archive import ExportTrail
from tests.archives import described, members_of
from tests.peak import peak_mb
with ExportTrail(sys.argv[1]) as trail:
    verification = Verification(trail)
    assert list(verification.findings()) == []
    assert verification.counts["audit.event"] == int(sys.argv[2])
print(peak_mb())
"""


def long_archive(path: Path, events: int) -> Path:
    """An archive of a chain of that many results, each with its row."""
    chain, rows, previous = io.BytesIO(), io.BytesIO(), GENESIS
    at = "2026-01-31T08:00:00.5+00:00"
    for seq in range(1, events + 1):
        row = f'{{"id": {seq}, "stage": "load", "status": "loaded", "batch_id": "{seq:016x}"}}'
        payload = f'{{"row": {row}}}'
        digest = event_hash(seq, datetime.fromisoformat(at), audit.BATCH_EVENT, payload, previous)
        chain.write(
            f'{{"at": "{at}", "seq": {seq}, "hash": "{digest}", "kind": "{audit.BATCH_EVENT}",'
            f' "payload": {payload}, "prev_hash": "{previous}"}}\n'.encode()
        )
        rows.write(f"{row}\n".encode())
        previous = digest
    members = {README: b""} | {row_member(table): b"" for table in TABLES}
    members[row_member("audit.event")] = chain.getvalue()
    members[row_member("audit.batch_result")] = rows.getvalue()
    index = {"format": FORMAT, "until": None, "head": previous, "members": described(members)}
    return packed(members | {INDEX: json.dumps(index).encode()}, path)


def test_memory_does_not_grow_with_the_trail(tmp_path: Path) -> None:
    peaks = []
    for events in (1_000, 60_000):
        path = long_archive(tmp_path / f"{events}.zip", events)
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, str(path), str(events)],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout))
    print(f"\npeak MB at 1,000 and at 60,000 events: {peaks}")
    assert peaks[1] - peaks[0] < 15
