"""What a verification reads: the same rows from the database or from an archive of it.

Rows are the text of PostgreSQL's `to_jsonb(row)`, one JSON object each, times in UTC. Ledgers and
marts are CSV with header, the bytes whose hash stands in the manifest of their release.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Protocol

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.pq import TransactionStatus

from loaders.audit.chain import GENESIS, PUBLISH_LOCK_KEY
from loaders.audit.chain_walk import Finding
from loaders.audit.coverage import (
    ADDED_LATER,
    EVENTS,
    REFUSED_ROWS,
    REPLACED,
    SETS,
    TABLES,
    VOUCHED_TABLES,
)
from loaders.audit.digest import csv_blocks, fix_text_form
from loaders.audit.records import RELEASE_EVENT


class Trail(Protocol):
    """Where the trail is read from; everything is streamed.

    Attributes:
        until: the release up to which it reaches; None when it is the whole trail.
        stated_head: the head of the chain that the place itself names, if it does.
        replaced: batch and judgement whose refused rows a later one than `until` replaced.
    """

    until: str | None
    stated_head: str | None
    replaced: list[str]

    def check(self) -> Iterator[Finding]:
        """What is wrong with the place that the trail is read from."""
        ...

    def rows(self, table: str) -> Iterator[str]:
        """The rows of one of `TABLES` as JSON text, in the order in which they are hashed."""
        ...

    def ledgers(self) -> dict[str, list[int]]:
        """Each ledger (such as publication.kpi_value) and the releases it has rows of."""
        ...

    def marts(self) -> list[str] | None:
        """The published tables (such as marts.scorecard); None when they cannot be read here."""
        ...

    def csv(self, table: str, release_seq: int | None = None) -> Iterator[bytes]:
        """The CSV of a mart, or of what one release added to a ledger.

        Raises:
            LookupError: it is not there as a whole.
        """
        ...


class DatabaseTrail:
    """The trail as the database holds it, up to one release or as it stands.

    Read in the caller's transaction: call :func:`open_snapshot` first where others write meanwhile.
    """

    def __init__(self, connection: psycopg.Connection, until: str | None = None) -> None:
        """
        Args:
            connection: as auditor, publisher or admin.
            until: a release id; events, rows and ledgers that came after it are left out.

        Raises:
            LookupError: there is no such release.
        """
        self.connection = connection
        fix_text_form(connection)
        connection.execute("set local extra_float_digits to 1")
        self.until, self.stated_head = until, None
        self.last_seq, self.last_release = self._limit(until) if until else (None, None)
        statement = sql.SQL(REPLACED).format(last=sql.Literal(self.last_seq))
        self.replaced = [subject for (subject,) in connection.execute(statement).fetchall()]

    def check(self) -> Iterator[Finding]:
        """See :class:`Trail`: a table of the audit schemas that nothing vouches for."""
        covered = {*TABLES, *self._ledger_tables(), *REFUSED_ROWS}
        rows = self.connection.execute(
            "select schemaname || '.' || tablename from pg_tables"
            " where schemaname in ('audit', 'publication', 'quarantine') order by 1"
        ).fetchall()
        for (name,) in rows:
            if name not in covered:
                yield Finding(None, f"{name}: nothing in the chain vouches for this table")

    def rows(self, table: str) -> Iterator[str]:
        """See :class:`Trail`."""
        with self.connection.cursor(name=f"trail_{table.replace('.', '_')}") as cursor:
            cursor.itersize = 2_000
            cursor.execute(self._query(table))
            for (text,) in cursor:
                yield text

    def ledgers(self) -> dict[str, list[int]]:
        """See :class:`Trail`."""
        found = {}
        for name in self._ledger_tables():
            statement = sql.SQL(
                "select distinct release_seq from {} where {} order by release_seq"
            ).format(_identifier(name), self._up_to(sql.SQL("release_seq"), self.last_release))
            found[name] = [seq for (seq,) in self.connection.execute(statement).fetchall()]
        return found

    def ledger_parts(self) -> list[tuple[str, int]]:
        """Each ledger and release of which it has rows, or whose manifest says that it has none."""
        listed = self.connection.execute(
            sql.SQL(
                """
                select
                    'publication.' || jsonb_object_keys(payload #> '{{row,manifest,ledger}}'),
                    (payload #>> '{{row,release_seq}}')::bigint
                from audit.event
                where
                    kind = {} and {}
                    and jsonb_typeof(payload #> '{{row,manifest,ledger}}') = 'object'
                    and jsonb_typeof(payload #> '{{row,release_seq}}') = 'number'
                """
            ).format(sql.Literal(RELEASE_EVENT), self._up_to(sql.SQL("seq"), self.last_seq))
        ).fetchall()
        present = self.ledgers()
        parts = {(name, seq) for name, seq in listed if name in present}
        return sorted(parts | {(name, seq) for name, seqs in present.items() for seq in seqs})

    def marts(self) -> list[str] | None:
        """See :class:`Trail`. Only the latest release is still there as a whole."""
        readable = self.connection.execute(
            "select has_schema_privilege('marts', 'usage') and coalesce("
            "%s = (select max(release_seq) from publication.release), true)",
            (self.last_release,),
        ).fetchone()
        if readable is None or not readable[0]:
            return None
        rows = self.connection.execute(
            "select 'marts.' || tablename from pg_tables where schemaname = 'marts' order by 1"
        ).fetchall()
        return [name for (name,) in rows]

    def csv(self, table: str, release_seq: int | None = None) -> Iterator[bytes]:
        """See :class:`Trail`."""
        if release_seq is None:
            rows = sql.SQL("select * from {}").format(_identifier(table))
        else:
            rows = sql.SQL("select {} from {} where release_seq = {}").format(
                self._columns_then(table, release_seq), _identifier(table), sql.Literal(release_seq)
            )
        with self.connection.cursor() as cursor:
            yield from csv_blocks(cursor, rows)

    def head(self) -> str:
        """The hash of the last event."""
        row = self.connection.execute(
            sql.SQL("select hash from audit.event where {} order by seq desc limit 1").format(
                self._up_to(sql.SQL("seq"), self.last_seq)
            )
        ).fetchone()
        return row[0] if row else GENESIS

    def _columns_then(self, table: str, release_seq: int) -> sql.Composable:
        """The columns that a ledger had when the release was published, as its manifest lists."""
        ledgers: Any = self._ledgers_then.get(str(release_seq))
        part = ledgers.get(table.partition(".")[2]) if isinstance(ledgers, Mapping) else None
        listed = part.get("columns") if isinstance(part, Mapping) else None
        present = [
            name
            for (name,) in self.connection.execute(
                "select attname::text from pg_attribute where attrelid = %s::regclass"
                " and attnum > 0 and not attisdropped order by attnum",
                (table,),
            ).fetchall()
        ]
        if listed is None:
            names = [name for name in present if name not in ADDED_LATER]
        else:
            try:
                names = [str(name) for name, _ in listed]
            except (TypeError, ValueError) as error:
                raise LookupError(f"the manifest lists no columns of {table}: {error}") from error
        if not set(names) <= set(present):
            raise LookupError(f"{table} lacks columns that it had: {', '.join(names)}")
        return sql.SQL(", ").join(map(sql.Identifier, names))

    @cached_property
    def _ledgers_then(self) -> dict[str, Any]:
        """What each manifest says of its ledgers, by number of the release; the first event wins.

        Read once: a manifest with its lineage is large, and every part of every ledger asks.
        """
        rows = self.connection.execute(
            "select payload #>> '{row,release_seq}', payload #> '{row,manifest,ledger}'"
            " from audit.event where kind = %s order by seq desc",
            (RELEASE_EVENT,),
        ).fetchall()
        return dict(rows)

    def _limit(self, release_id: str) -> tuple[int, int]:
        row = self.connection.execute(
            "select seq, (payload -> 'row' ->> 'release_seq')::bigint from audit.event"
            " where kind = %s and payload -> 'row' ->> 'release_id' = %s",
            (RELEASE_EVENT, release_id),
        ).fetchone()
        if row is None:
            known = self.connection.execute(
                "select coalesce(string_agg(release_id, ', ' order by release_seq), 'none')"
                " from publication.release"
            ).fetchone()
            raise LookupError(f"there is no release {release_id}; published: {(known or [''])[0]}")
        return row

    def _up_to(self, column: sql.SQL, limit: int | None) -> sql.Composable:
        if limit is None:
            return sql.SQL("true")
        return sql.SQL("{} <= {}").format(column, sql.Literal(limit))

    def _ledger_tables(self) -> list[str]:
        rows = self.connection.execute(
            """
            select 'publication.' || c.relname
            from pg_class as c
            inner join pg_attribute as a on c.oid = a.attrelid
            where
                c.relnamespace = 'publication'::regnamespace
                and c.relkind in ('r', 'p')
                and a.attname = 'release_seq'
                and not a.attisdropped
            order by c.relname
            """
        ).fetchall()
        return [name for (name,) in rows if name not in VOUCHED_TABLES]

    def _query(self, table: str) -> sql.Composed:
        named, last = _identifier(table), sql.Literal(self.last_seq)
        if table == EVENTS:
            return sql.SQL("select to_jsonb(t)::text from {} as t where {} order by seq").format(
                named, self._up_to(sql.SQL("seq"), self.last_seq)
            )
        if table in VOUCHED_TABLES:
            kind, key = VOUCHED_TABLES[table]
            later = sql.SQL(
                """
                not exists (
                    select from audit.event as e
                    where
                        e.kind = {} and e.seq > {} and e.payload -> 'row' ->> {} = t.{}::text
                )
                """
            ).format(sql.Literal(kind), last, sql.Literal(key), sql.Identifier(key))
            return sql.SQL("select to_jsonb(t)::text from {} as t where {} order by t.{}").format(
                named, later if self.last_seq else sql.SQL("true"), sql.Identifier(key)
            )
        rows = sql.SQL(SETS[table]).format(
            all=sql.Literal(self.last_seq is None), last=sql.Literal(self.last_seq or 0)
        )
        return sql.SQL(
            """
            select '{{"set": ' || to_json(subject) || ', "row": ' || content || '}}'
            from ({}) as t
            order by place
            """
        ).format(rows)


def open_snapshot(connection: psycopg.Connection) -> None:
    """Begin a transaction in which trail, ledgers and marts are one picture.

    A release that is being published is waited for, and the next one waits until the connection is
    closed: the marts would change under a snapshot that does not.

    Raises:
        ValueError: the connection is in a transaction already, whose picture may be an older one.
    """
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise ValueError("a snapshot is opened on a connection that is in no transaction")
    connection.autocommit = True
    connection.execute("select pg_advisory_lock_shared(%s)", (PUBLISH_LOCK_KEY,))
    connection.autocommit = False
    connection.isolation_level = IsolationLevel.REPEATABLE_READ


def _identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split(".", 1))
