"""Single changes to a trail, each with the name under which a verification has to report it."""

from __future__ import annotations

import json
import random
import string
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from loaders import audit
from loaders.audit.coverage import NOT_COVERED, QUARANTINE, VOUCHED_TABLES
from loaders.postgres.database import Role, connect

LEDGERS = ("publication.kpi_value", "publication.kpi_verdict", "publication.mart_row")
LETTERS = string.ascii_letters + string.digits
EMPTY_IS = {"jsonb": "{}", "boolean": "true", "text[]": "{x}", "bigint": "7", "integer": "7"}


@dataclass(frozen=True)
class Tampering:
    """What was changed, and how a finding about it begins."""

    what: str
    name: str

    def is_named_by(self, findings: list[str]) -> bool:
        return any(finding.startswith(self.name) for finding in findings)


@dataclass(frozen=True)
class Pool:
    """A table to tamper with: how many rows at a time, and how one of its rows is named."""

    table: str
    at_once: int
    name: Callable[[dict[str, Any]], str]


def columns_of(connection: psycopg.Connection, table: str) -> dict[str, str]:
    rows = connection.execute(
        "select attname, format_type(atttypid, null) from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
        (table,),
    ).fetchall()
    return dict(rows)


def rows_of(connection: psycopg.Connection, table: str) -> list[tuple[str, dict[str, Any]]]:
    """Place and content of every row."""
    query = sql.SQL("select t.ctid::text, to_jsonb(t) from {} as t order by t.ctid")
    return connection.execute(query.format(sql.Identifier(*table.split(".")))).fetchall()


def unlock(connection: psycopg.Connection, tables: list[str]) -> None:
    """What a superuser does first: no triggers, no checks, no references."""
    for table in tables:
        named = sql.Identifier(*table.split("."))
        connection.execute(sql.SQL("alter table {} disable trigger all").format(named))
        constraints = connection.execute(
            "select conname from pg_constraint"
            " where conrelid = %s::regclass and contype = any('{c,f}')",
            (table,),
        ).fetchall()
        for (constraint,) in constraints:
            connection.execute(
                sql.SQL("alter table {} drop constraint {}").format(
                    named, sql.Identifier(constraint)
                )
            )
        for column in columns_of(connection, table):
            connection.execute(
                sql.SQL("alter table {} alter column {} drop identity if exists").format(
                    named, sql.Identifier(column)
                )
            )


def change_cell(
    connection: psycopg.Connection,
    rng: random.Random,
    table: str,
    place: str,
    column: str,
    type_: str,
) -> str | None:
    """Change one character of one cell; what was changed, or None when no other value fits."""
    named, cell = sql.Identifier(*table.split(".")), sql.Identifier(column)
    old = connection.execute(
        sql.SQL("select {}::text from {} where ctid = %s::tid").format(cell, named), (place,)
    ).fetchone()
    assert old is not None
    statement = sql.SQL(
        "update {table} set {cell} = %s::{type} where ctid = %s::tid"
        " and {cell}::text is distinct from (%s::{type})::text"
    ).format(table=named, cell=cell, type=sql.SQL(type_))  # type: ignore[arg-type]
    for _ in range(60):
        new = _other(rng, type_, old[0])
        try:
            with connection.transaction():
                if connection.execute(statement, (new, place, new)).rowcount:
                    return f"{table}.{column}: {old[0]!r:.60} → {new!r:.60}"
        except (psycopg.DataError, psycopg.IntegrityError):
            continue
    return None


def _other(rng: random.Random, type_: str, text: str | None) -> str | None:
    if text is None:
        return EMPTY_IS.get(type_, "2026-01-01" if "time" in type_ else "7")
    if type_ == "boolean":
        return "false" if text == "true" else "true"
    if not text:
        return rng.choice(LETTERS)
    if type_ == "jsonb":
        return _other_json(rng, text)
    return other_character(rng, text, digits=type_ not in ("text", "text[]", "uuid"))


def other_character(rng: random.Random, text: str, *, digits: bool = False) -> str:
    """The text with one character replaced: a digit by a digit where it must stay a number."""
    places = (
        [n for n, letter in enumerate(text) if letter.isdigit()] if digits else range(len(text))
    )
    place = rng.choice(list(places))
    letters = string.digits if digits else LETTERS
    letter = rng.choice([letter for letter in letters if letter != text[place]])
    return text[:place] + letter + text[place + 1 :]


def _other_json(rng: random.Random, text: str) -> str | None:
    """One character of the JSON text, such that it stays JSON and says something else."""
    if text in ("{}", "[]"):
        return '{"x": 1}'
    for _ in range(200):
        new = other_character(rng, text)
        try:
            if json.loads(new) != json.loads(text):
                return new
        except ValueError:
            continue
    return None


@dataclass
class Published:
    """The warehouse, what its trail holds, and where its archive lies."""

    archive: Path
    head: str
    files: list[Path]
    events: dict[tuple[str, str], int] = field(default_factory=dict)
    judgements: dict[str, int] = field(default_factory=dict)

    def pools(self, marts: list[str]) -> list[Pool]:
        vouched = [
            Pool(table, 2, lambda row, t=table, k=key: f"{t} {row[k]} ")
            for table, (_, key) in VOUCHED_TABLES.items()
        ]
        return [
            Pool("audit.event", 3, lambda row: f"event {row['seq']} "),
            *vouched,
            Pool(
                "audit.rule_result",
                3,
                lambda row: f"audit.rule_result {row['subject_id']} {row['gate_run']}: ",
            ),
            Pool(
                "audit.readmitted_row",
                1,
                lambda row: f"audit.readmitted_row {row['gate_run']} {row['from_result_id']}: ",
            ),
            Pool(
                "quarantine.row",
                2,
                lambda row: (
                    f"quarantine.judged_row {row['batch_id']} {self.judgements[row['batch_id']]}: "
                ),
            ),
            *(Pool(table, 1, lambda _, t=table: f"{t} was changed after ") for table in LEDGERS),
            *(Pool(table, 1, lambda _, t=table: f"{t} is not what release ") for table in marts),
        ]


class Tamperer:
    """Changes cells that do not hide each other, column after column of each table."""

    def __init__(self, published: Published, rng: random.Random) -> None:
        self.published, self.rng = published, rng
        self.turns: Counter[str] = Counter()
        self.hit: set[str] = set()

    def tamper(
        self, connection: psycopg.Connection, pools: list[Pool], limit: int | None = None
    ) -> Iterator[tuple[Pool, Tampering]]:
        """At most `limit` tamperings of each pool, each with a name of its own."""
        taken: set[str] = set()
        events: set[int] = set()
        for pool in pools:
            candidates = rows_of(connection, pool.table)
            columns = [
                (name, type_)
                for name, type_ in columns_of(connection, pool.table).items()
                if name not in NOT_COVERED.get(trail_name(pool.table), ())
            ]
            for _ in range(min(pool.at_once, limit or pool.at_once)):
                free = [
                    (place, row)
                    for place, row in candidates
                    if pool.name(row) not in taken and not self._touches(pool, row, events)
                ]
                if not free:
                    break
                place, row = self.rng.choice(free)
                column, type_ = columns[self.turns[pool.table] % len(columns)]
                self.turns[pool.table] += 1
                what = change_cell(connection, self.rng, pool.table, place, column, type_)
                if what is None:
                    continue
                name = pool.name(row)
                taken.add(name)
                if pool.table == "audit.event":
                    events |= {row["seq"] - 1, row["seq"], row["seq"] + 1}
                self.hit.add(f"{pool.table}.{column}")
                yield pool, Tampering(what, name)

    def _touches(self, pool: Pool, row: dict[str, Any], events: set[int]) -> bool:
        """Does the row stand next to an event that is tampered with, or beside its own?"""
        if pool.table == "audit.event":
            return bool({row["seq"] - 1, row["seq"], row["seq"] + 1} & events)
        if pool.table in VOUCHED_TABLES:
            key = str(row[VOUCHED_TABLES[pool.table][1]])
            return self.published.events[pool.table, key] in events
        return False


def trail_name(table: str) -> str:
    return QUARANTINE if table == "quarantine.row" else table


class tampered_file:
    """`with` block in which one byte of a file is another one."""

    def __init__(self, path: Path, rng: random.Random) -> None:
        self.path, self.content = path, path.read_bytes()
        place = rng.randrange(len(self.content))
        self.changed = bytearray(self.content)
        self.changed[place] ^= rng.randrange(1, 256)

    def __enter__(self) -> None:
        self.path.write_bytes(self.changed)

    def __exit__(self, *_: object) -> None:
        self.path.write_bytes(self.content)


def record_decisions() -> None:
    """An approval and a readmission, which a clean month does not have."""
    gate_run = uuid4()
    with connect(Role.ADMIN) as connection:
        (result,) = connection.execute(
            "select to_jsonb(r) from audit.batch_result as r where stage = 'gate'"
            " order by id limit 1"
        ).fetchone()
        connection.execute(
            "insert into audit.readmitted_row (gate_run, from_result_id, row_number, rules_broken)"
            " select %s, %s, number, '{a.rule}' from generate_series(1, 3) as number",
            (gate_run, result["id"]),
        )
        digest = audit.rows_digest(
            connection,
            sql.SQL(
                "select to_jsonb(t)::text from audit.readmitted_row as t order by t.row_number"
            ),
        )
        values = {name: result[name] for name in ("batch_id", "source", "dataset", "period")}
        values |= {
            "gate_run": gate_run,
            "from_batch_id": result["batch_id"],
            "from_result_id": result["id"],
            "how": "rule_change",
            "rules_changed": True,
            "rows_quarantined_before": 3,
            "rows_quarantined_now": 0,
            "rows_readmitted": digest.rows,
            "rows_still_quarantined": 0,
            "rows_sha256": digest.sha256,
        }
        audit.insert_vouched(connection, audit.READMISSION_EVENT, values)
        decision = {
            "subject_kind": "batch",
            "subject_id": result["batch_id"],
            "content_sha256": "a" * 64,
            "decision": "approved",
            "rules": Jsonb([{"rule_id": "a.rule", "rule_version": 1, "observed": "3"}]),
            "decided_by": "Nguyễn Thị Mẫu",
            "reason": "đã hỏi lại cơ quan cung cấp",
            "via": "cli",
            "account": "nq42",
        }
        audit.insert_vouched(connection, audit.APPROVAL_EVENT, decision)
