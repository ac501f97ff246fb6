"""What was published on a past day: the marts of a release, given back from the ledgers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from loaders.audit.digest import csv_blocks
from loaders.periods import TIMEZONE
from loaders.publication.card import CARD, card_row
from loaders.publication.compare import LEDGERS, Ledger, listing
from loaders.publication.content import Columns
from loaders.publication.derived import DerivedError, derived_rows

# The types of the marts' columns, as PostgreSQL prints them: they are written into SQL.
TYPE = re.compile(r'[A-Za-z0-9_ (),."\[\]]+')


class HistoryError(LookupError):
    """What is asked of the past cannot be answered; the message says why and what can."""


@dataclass(frozen=True)
class Release:
    """A row of `publication.release`."""

    release_seq: int
    release_id: str
    published_at: datetime
    manifest: dict[str, Any]


@dataclass(frozen=True)
class GivenBack:
    """A mart as it was published; `rows` and `recorded_sha256` are those of the manifest."""

    mart: str
    rows: int
    sha256: str
    recorded_sha256: str

    @property
    def is_exact(self) -> bool:
        return self.sha256 == self.recorded_sha256


def parse_moment(text: str) -> datetime:
    """The moment that a day or a time in Asia/Ho_Chi_Minh stands for; a day means its end.

    "2026-01-31" is its last microsecond; "2026-01-31 14:30" that minute; another zone is an offset
    such as +00:00.

    Raises:
        HistoryError: neither a day nor a time.
    """
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip()):
            return datetime.combine(date.fromisoformat(text.strip()), time.max, TIMEZONE)
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise HistoryError(
            f"{text!r} is neither a day such as 2026-01-31 nor a time such as '2026-01-31 14:30'"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=TIMEZONE)


def release_at(connection: psycopg.Connection, moment: datetime) -> Release:
    """The release that readers saw at a moment.

    Raises:
        HistoryError: nothing was published by then.
    """
    row = connection.execute(
        f"{_RELEASES} where published_at <= %s order by release_seq desc limit 1", (moment,)
    ).fetchone()
    if row:
        return Release(*row)
    first = connection.execute(f"{_RELEASES} order by release_seq limit 1").fetchone()
    when = moment.astimezone(TIMEZONE).strftime("%Y-%m-%d %H:%M:%S")
    if first is None:
        raise HistoryError("nothing has been published yet")
    day = first[2].astimezone(TIMEZONE).strftime("%Y-%m-%d %H:%M:%S")
    raise HistoryError(f"nothing was published by {when}; the first release is {first[1]} of {day}")


def find_release(connection: psycopg.Connection, release_id: str) -> Release:
    """The release of that id.

    Raises:
        HistoryError: there is none.
    """
    row = connection.execute(f"{_RELEASES} where release_id = %s", (release_id,)).fetchone()
    if row:
        return Release(*row)
    known = connection.execute(
        "select coalesce(string_agg(release_id, ', ' order by release_seq), 'none')"
        " from publication.release"
    ).fetchone()
    raise HistoryError(f"there is no release {release_id}; known: {known[0] if known else 'none'}")


_RELEASES = "select release_seq, release_id, published_at, manifest from publication.release"


def give_back(
    connection: psycopg.Connection, release: Release, folder: Path | None = None
) -> Iterator[GivenBack]:
    """Each mart of a release, recomputed from the ledgers; with a folder also as `<mart>.csv`.

    A file appears only when its bytes are those that the manifest vouches for.

    Raises:
        HistoryError: the folder holds something, the release is older than its history, or its
            manifest holds a query that does more than read marts.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise HistoryError(f"{folder} is not empty: name a new folder, so that nothing mixes")
    for mart, recorded in sorted(release.manifest["tables"].items()):
        if "columns" not in recorded:
            raise HistoryError(
                f"release {release.release_id} was published before the rows of marts.{mart} were "
                "kept; publication.kpi_value and publication.kpi_verdict hold its figures"
            )
        rows = _rows_of(release, mart)
        digest = hashlib.sha256()
        with ExitStack() as stack:
            part = folder / f"{mart}.csv.part" if folder else None
            file = stack.enter_context(part.open("wb")) if part else None
            cursor = stack.enter_context(connection.cursor())
            for block in csv_blocks(cursor, rows):
                digest.update(block)
                if file:
                    file.write(block)
        found = GivenBack(mart, recorded["rows"], digest.hexdigest(), recorded["sha256"])
        if part:
            if found.is_exact:
                part.rename(part.with_suffix(""))
            else:
                part.unlink()
        yield found


def _rows_of(release: Release, mart: str) -> sql.Composable:
    """The query for the rows of a mart: by the release's own query, or from the ledgers."""
    recorded = release.manifest["tables"]
    query = release.manifest.get("derived", {}).get(mart)
    if query is None:
        return rows_at(release.release_seq, mart, dict(recorded[mart]["columns"]))
    try:
        return derived_rows(
            mart, query, recorded, lambda name, columns: rows_at(release.release_seq, name, columns)
        )
    except DerivedError as error:
        raise HistoryError(f"release {release.release_id}: {error}") from error


def rows_at(release_seq: int, mart: str, columns: Columns) -> sql.Composable:
    """The query for the rows of a mart as of a release, in the columns that it had then.

    Raises:
        HistoryError: a recorded type is no type.
    """
    for name, type_ in columns.items():
        if not TYPE.fullmatch(type_):
            raise HistoryError(f"marts.{mart}.{name}: {type_!r} is no type of PostgreSQL")
    if mart == CARD:
        return _card_rows(release_seq, columns)
    ledger = next((one for one in LEDGERS if one.mart == mart), None)
    if ledger:
        return _typed_rows(release_seq, ledger, columns)
    return sql.SQL(
        """
        select t.*
        from (
            -- By its text: to jsonb 1.0 and 1.00 are one number.
            select content::text as line, sum(copies) as copies
            from publication.mart_row
            where mart = {mart} and release_seq <= {seq}
            group by content::text
        ) as kept
        cross join generate_series(1, kept.copies)
        cross join lateral jsonb_to_record(kept.line::jsonb) as t ({columns})
        """
    ).format(
        mart=sql.Literal(mart),
        seq=sql.Literal(release_seq),
        columns=listing("{c} {t}", columns, columns),
    )


def _card_rows(release_seq: int, columns: Columns) -> sql.Composable:
    release = sql.SQL("(select * from publication.release where release_seq = {})").format(
        sql.Literal(release_seq)
    )
    return sql.SQL("select {columns} from ({card}) as card").format(
        columns=listing("{c}::{t} as {c}", columns, columns), card=card_row(release)
    )


def _typed_rows(release_seq: int, ledger: Ledger, columns: Columns) -> sql.Composable:
    return sql.SQL(
        """
        select {columns}
        from (
            select distinct on ({key}) *
            from publication.{table}
            where release_seq <= {seq}
            order by {key}, release_seq desc
        ) as latest
        where change <> 'withdrawn'
        """
    ).format(
        columns=listing("{c}::{t} as {c}", columns, columns),
        key=listing("{c}", ledger.key),
        table=sql.Identifier(ledger.table),
        seq=sql.Literal(release_seq),
    )
