"""The release to export: its facts, and its marts as the ledgers give them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from loaders.audit import RELEASE_EVENT
from loaders.postgres.database import Role, connect
from loaders.publication import (
    Release,
    comment_without_release,
    find_release,
    give_back,
    release_at,
)
from loaders.report import words


class ExportError(ValueError):
    """The release cannot be exported as it stands; the message says why."""


@dataclass(frozen=True)
class Facts:
    """What every file says of the release that it is of; `hash` is its event's in the audit chain.

    Nothing in it depends on when or where the files are written.
    """

    release_id: str
    hash: str
    as_of_period: str
    published_at: datetime
    code_version: str
    data_labels: tuple[str, ...]
    licence_note: str

    @property
    def is_sample(self) -> bool:
        return "sample" in self.data_labels

    @property
    def label(self) -> words.Text:
        """What the figures are, before anything else is said of them."""
        known = [words.text_of(words.LABELS, label) for label in self.data_labels]
        joined = words.Text("; ".join(t.vi for t in known), "; ".join(t.en for t in known))
        return words.Text(*words.SAMPLE_LINE.split(" / ")) if self.is_sample else joined

    @property
    def citation(self) -> words.Text:
        published = self.published_at.astimezone(words.LOCAL_TIME)
        return words.Text(
            f"Kho dữ liệu chính sách xã hội Quảng Ngãi (nq42), bản công bố {self.release_id}, "
            f"số liệu đến {self.as_of_period}, công bố ngày {published:%d/%m/%Y}, "
            f"mã băm {self.hash}.",
            f"Quảng Ngãi social-policy data warehouse (nq42), release {self.release_id}, "
            f"as of {self.as_of_period}, published {published:%Y-%m-%d}, hash {self.hash}.",
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "release_id": self.release_id,
            "release_hash": self.hash,
            "as_of_period": self.as_of_period,
            "published_at": self.published_at,
            "data_labels": list(self.data_labels),
            "is_sample": self.is_sample,
            "label_vi": self.label.vi,
            "label_en": self.label.en,
            "licence_note": self.licence_note,
        }


@dataclass(frozen=True)
class Source:
    """A mart of the release: `file` is its CSV as the manifest vouches for it.

    Attributes:
        columns: name → PostgreSQL type, in the order of the table.
        about: the comment of the table; "" where there is none.
        meanings: column → its comment.
    """

    name: str
    columns: dict[str, str]
    rows: int
    sha256: str
    file: Path
    about: str
    meanings: dict[str, str]


@contextmanager
def open_release(release_id: str | None) -> Iterator[tuple[psycopg.Connection, Release]]:
    """The release, or the published one, in one transaction that only reads.

    As the auditor: no role with fewer rights may read the ledgers. They only ever grow, so that no
    release has to wait for an export, and no export can mix two releases.

    Raises:
        HistoryError: there is no such release, the known ones are named; or nothing is published.
    """
    with connect(Role.AUDITOR) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        if release_id is None:
            yield connection, release_at(connection, datetime.now(UTC))
        else:
            yield connection, find_release(connection, release_id)


def read_facts(connection: psycopg.Connection, release: Release, licence_note: str) -> Facts:
    """The facts of a release.

    Raises:
        ExportError: the audit chain has no event of the release, so nothing vouches for it.
    """
    row = connection.execute(
        """
        select e.hash, r.period, r.published_at, r.code_version, r.data_labels
        from publication.release as r
        inner join audit.event as e
            on e.kind = %s and e.payload -> 'row' ->> 'release_id' = r.release_id
        where r.release_seq = %s
        """,
        (RELEASE_EVENT, release.release_seq),
    ).fetchone()
    if row is None:
        raise ExportError(f"no audit event vouches for release {release.release_id}")
    hash_, period, published_at, code_version, labels = row
    return Facts(
        release.release_id,
        hash_,
        period,
        published_at.astimezone(UTC),
        code_version,
        tuple(label for label in words.LABELS if label in labels),
        licence_note,
    )


def read_marts(connection: psycopg.Connection, release: Release, folder: Path) -> list[Source]:
    """Every mart of the release as a file in the folder, compared with its manifest.

    Raises:
        ExportError: a mart does not come back as it was published.
        HistoryError: the release is older than its history.
    """
    found = []
    for mart in give_back(connection, release, folder):
        if not mart.is_exact:
            raise ExportError(
                f"the ledgers do not give back marts.{mart.mart} of release {release.release_id} "
                "as it was published: run nq42 audit verify"
            )
        about, meanings = _comments(connection, mart.mart)
        columns = dict(release.manifest["tables"][mart.mart]["columns"])
        found.append(
            Source(
                *(mart.mart, columns, mart.rows, mart.sha256, folder / f"{mart.mart}.csv"),
                about,
                {name: meanings.get(name, "") for name in columns},
            )
        )
    return found


def _comments(connection: psycopg.Connection, mart: str) -> tuple[str, dict[str, str]]:
    """What the database says of the published table and its columns; of one that is gone, nothing.

    Comments are of today, without the release that is published now: a release keeps its rows, not
    the words about them.
    """
    rows = connection.execute(
        """
        select coalesce(a.attname, ''), d.description
        from pg_class as c
        inner join pg_description as d
            on d.objoid = c.oid and d.classoid = 'pg_class'::regclass
        left join pg_attribute as a
            on a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0
        where c.relnamespace = 'marts'::regnamespace and c.relname = %s
        """,
        (mart,),
    ).fetchall()
    found = dict(rows)
    return comment_without_release(found.pop("", "")), found
