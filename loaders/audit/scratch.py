"""What a verification remembers of the chain, on disk: memory does not grow with the trail."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

_TABLES = """
pragma journal_mode = off;
pragma synchronous = off;
pragma cache_size = -4096;
create table link (hash text primary key, seq integer) without rowid;
create table vouched (
    "table" text, key text, seq integer, is_broken integer, event text, "row" text,
    is_seen integer default 0,
    primary key ("table", key)
) without rowid;
create table digest (
    "table" text, subject text, seq integer, sha256 text, is_seen integer default 0,
    primary key ("table", subject)
) without rowid;
create table judged (batch_id text primary key, subject text, is_held integer) without rowid;
create table loaded (batch_id text primary key) without rowid;
create table purged (batch_id text primary key) without rowid;
create table file (path text primary key) without rowid;
"""


class Scratch:
    """A temporary database of the verification's own, gone when it is closed."""

    def __init__(self) -> None:
        # An empty name: a file that SQLite deletes by itself.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_TABLES)
        self._database.execute("begin")

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add_link(self, digest: str, seq: int) -> None:
        """Remember the hash of an event."""
        self._database.execute("insert or ignore into link values (?, ?)", (digest, seq))

    def seq_of(self, digest: str) -> int | None:
        """The event with this hash."""
        row = self._one("select seq from link where hash = ?", digest)
        return row[0] if row else None

    def vouch(self, table: str, key: str, seq: int, is_broken: bool, event: str) -> int | None:
        """Remember the event that repeats a row; the seq of an earlier one, if there is any."""
        earlier = self._one('select seq from vouched where "table" = ? and key = ?', table, key)
        self._database.execute(
            'insert or ignore into vouched ("table", key, seq, is_broken, event)'
            " values (?, ?, ?, ?, ?)",
            (table, key, seq, is_broken, event),
        )
        return earlier[0] if earlier else None

    def vouched(self, table: str, key: str) -> tuple[int, bool, str] | None:
        """Note that the row is there; seq of the event that repeats it, if broken, and its text."""
        row = self._one(
            'update vouched set is_seen = 1 where "table" = ? and key = ?'
            " returning seq, is_broken, event",
            table,
            key,
        )
        return (row[0], bool(row[1]), row[2]) if row else None

    def restore(self, table: str, key: str, row: str) -> None:
        """Remember the row that an event held before somebody changed the event."""
        self._database.execute(
            'update vouched set "row" = ? where "table" = ? and key = ?', (row, table, key)
        )

    def recorded(self, table: str) -> Iterator[tuple[int, str, str | None]]:
        """Seq and text of the events of a table, and the row that was restored, by seq."""
        return iter(
            self._database.execute(
                'select seq, event, "row" from vouched where "table" = ? order by seq', (table,)
            )
        )

    def unseen_rows(self, table: str) -> Iterator[tuple[int, str]]:
        """Seq and key of the rows that were recorded and are not there."""
        return iter(
            self._database.execute(
                'select seq, key from vouched where "table" = ? and is_seen = 0 order by seq',
                (table,),
            )
        )

    def expect_digest(self, table: str, subject: str, seq: int, sha256: str) -> None:
        """Remember the hash of a set of rows; a later event about the same set counts."""
        self._database.execute(
            'insert or replace into digest ("table", subject, seq, sha256) values (?, ?, ?, ?)',
            (table, subject, seq, sha256),
        )

    def drop_digest(self, table: str, subject: str) -> None:
        """Forget the hash of a set whose rows were replaced, as they may be."""
        self._database.execute(
            'delete from digest where "table" = ? and subject = ?', (table, subject)
        )

    def excuse_digest(self, table: str, subject: str) -> None:
        """Note that the rows of a set need not be there any more."""
        self._database.execute(
            'update digest set is_seen = 1 where "table" = ? and subject = ?', (table, subject)
        )

    def digest_of(self, table: str, subject: str) -> tuple[int, str] | None:
        """Seq of the event that holds the hash of a set of rows, and the hash; notes the set."""
        row = self._one(
            'update digest set is_seen = 1 where "table" = ? and subject = ? returning seq, sha256',
            table,
            subject,
        )
        return (row[0], row[1]) if row else None

    def unseen_digests(self, table: str) -> Iterator[tuple[int, str, str]]:
        """Seq, subject and hash of the sets that were recorded and of which no row is there."""
        return iter(
            self._database.execute(
                'select seq, subject, sha256 from digest where "table" = ? and is_seen = 0'
                " order by seq",
                (table,),
            )
        )

    def see_load(self, batch_id: str) -> tuple[str, bool] | None:
        """Remember that a batch was loaded; its judgement until then and whether it was a hold."""
        self._database.execute("insert or ignore into loaded values (?)", (batch_id,))
        row = self._one(
            "delete from judged where batch_id = ? returning subject, is_held", batch_id
        )
        return (str(row[0]), bool(row[1])) if row else None

    def is_loaded(self, batch_id: str) -> bool:
        return self._one("select 1 from loaded where batch_id = ?", batch_id) is not None

    def see_judgement(self, batch_id: str, subject: str, is_held: bool) -> str | None:
        """Remember the judgement of what was loaded; the one that it replaces, if there is any."""
        earlier = self._one("select subject from judged where batch_id = ?", batch_id)
        self._database.execute(
            "insert or replace into judged values (?, ?, ?)", (batch_id, subject, is_held)
        )
        return str(earlier[0]) if earlier else None

    def add_purged(self, batch_id: str) -> None:
        """Remember that retention deleted the files of a batch."""
        self._database.execute("insert or ignore into purged values (?)", (batch_id,))

    def drop_purged(self, batch_id: str) -> None:
        """Forget that: the files were delivered again."""
        self._database.execute("delete from purged where batch_id = ?", (batch_id,))

    def is_purged(self, batch_id: str) -> bool:
        return self._one("select 1 from purged where batch_id = ?", batch_id) is not None

    def add_file(self, path: str) -> bool:
        """Remember a landed file; False when it is known already."""
        return bool(
            self._database.execute("insert or ignore into file values (?)", (path,)).rowcount
        )

    def is_file(self, path: str) -> bool:
        return self._one("select 1 from file where path = ?", path) is not None

    def _one(self, query: str, *parameters: object) -> tuple[object, ...] | None:
        return self._database.execute(query, parameters).fetchone()
