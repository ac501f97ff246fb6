"""Is the trail whole? The chain, all that it vouches for, the ledgers, the marts, the landed files.

One verification for the database and for an archive of it: both are read as a `Trail`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from loaders.audit.chain import GENESIS
from loaders.audit.chain_walk import ChainWalk, Finding, parse_event
from loaders.audit.compare import differences, parse
from loaders.audit.coverage import EVENTS, QUARANTINE, RECEIPTS, RELEASES, SETS, VOUCHED_TABLES
from loaders.audit.landing import compare_landing
from loaders.audit.scratch import Scratch
from loaders.audit.sets import compare_sets, expect_sets, recorded_rows
from loaders.audit.trail import DatabaseTrail, Trail


def verify(
    connection: psycopg.Connection,
    expected_head: str | None = None,
    landing: Path | None = None,
) -> list[Finding]:
    """All that a :class:`Verification` of the database finds; empty when all is well."""
    return list(Verification(DatabaseTrail(connection), expected_head, landing).findings())


class Verification:
    """One verification of a trail.

    Attributes:
        counts: what was looked at: table, or "landing" → number of rows, sets or files.
        notes: what could not be looked at, and why.
        head: the hash of the last event.
    """

    def __init__(
        self, trail: Trail, expected_head: str | None = None, landing: Path | None = None
    ) -> None:
        """
        Args:
            trail: what is verified.
            expected_head: a hash kept outside, which must occur in the chain. Without one, the
                removal of the newest events shows only by the rows that they vouched for and by
                a release after them.
            landing: the landing store; without it the landed files are not compared.
        """
        self.trail, self.expected_head, self.landing = trail, expected_head, landing
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []
        self.head = GENESIS

    def findings(self) -> Iterator[Finding]:
        """Everything that is not as it was recorded; each finding begins with what it is about."""
        with Scratch() as scratch:
            yield from self.trail.check()
            yield from self._chain(scratch)
            for table in VOUCHED_TABLES:
                yield from self._vouched_rows(scratch, table)
            expect_sets(scratch)
            for subject in self.trail.replaced:
                scratch.excuse_digest(QUARANTINE, subject)
                self.notes.append(
                    f"{QUARANTINE} {subject}: judged again after release {self.trail.until}, "
                    "so its rows may have been replaced"
                )
            for table in SETS:
                yield from compare_sets(self.trail.rows(table), table, scratch, self.counts)
            yield from self._releases(scratch)
            if self.landing is None:
                self.notes.append("landed files were not compared")
            else:
                yield from compare_landing(
                    scratch,
                    lambda: (row for _, row, _ in recorded_rows(scratch, RECEIPTS)),
                    self.landing,
                    self.counts,
                )

    def _chain(self, scratch: Scratch) -> Iterator[Finding]:
        walk = ChainWalk(scratch)
        yield from walk.findings(self.trail.rows(EVENTS))
        self.counts[EVENTS], self.head = walk.count, walk.head
        stated, expected = self.trail.stated_head, self.expected_head
        if stated not in (None, self.head):
            yield Finding(None, f"{stated} is stated as head; the last event has {self.head}")
        if expected not in (None, GENESIS) and scratch.seq_of(expected or "") is None:
            yield Finding(None, f"the expected head {expected} is not in the chain")

    def _vouched_rows(self, scratch: Scratch, table: str) -> Iterator[Finding]:
        """Rows that differ from the event recorded with them, have none, or are gone."""
        _, key_column = VOUCHED_TABLES[table]
        for number, text in enumerate(self.trail.rows(table), start=1):
            self.counts[table] += 1
            try:
                row = parse(text)
            except ValueError as error:
                yield Finding(None, f"{table} line {number} cannot be read: {error}")
                continue
            key = str(row.get(key_column))
            yield from _compare(scratch, table, key, text, row)
        for seq, key in scratch.unseen_rows(table):
            yield Finding(seq, f"{table} {key} is gone; event {seq} recorded it")

    def _releases(self, scratch: Scratch) -> Iterator[Finding]:
        """Ledgers and marts against the manifests, as the chain (not the table) holds them."""
        published: dict[int, Manifest] = {}
        ledgers = self.trail.ledgers()
        for seq, row, prev_hash in recorded_rows(scratch, RELEASES):
            try:
                manifest = Manifest.of(row)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                yield Finding(seq, f"event {seq} holds no whole release: {error!r}")
                continue
            published[manifest.release_seq] = manifest
            if manifest.heads != {prev_hash}:
                what = f"{RELEASES} {manifest.release_seq}: its chain head is not that before {seq}"
                yield Finding(seq, what)
            yield from self._ledgers(seq, manifest, ledgers)
        for name, numbers in ledgers.items():
            for number in numbers:
                if number not in published:
                    yield Finding(None, f"{name} has rows of release {number}, never published")
        latest = published[max(published)] if published else None
        if self.trail.until not in (None, latest and latest.release_id):
            yield Finding(None, f"the trail does not end at release {self.trail.until}")
        if latest:
            yield from self._marts(latest)

    def _ledgers(
        self, seq: int, manifest: Manifest, ledgers: dict[str, list[int]]
    ) -> Iterator[Finding]:
        having = {name for name, numbers in ledgers.items() if manifest.release_seq in numbers}
        for name in sorted(manifest.ledger.keys() | having):
            self.counts[name] += 1
            release = f"release {manifest.release_id}"
            if name not in ledgers:
                yield Finding(seq, f"{name} is gone; {release} has rows of it")
            elif name not in manifest.ledger:
                yield Finding(seq, f"{name} has rows of {release}, whose manifest knows of none")
            elif found := self._differs(name, manifest.ledger[name], manifest.release_seq):
                yield Finding(seq, f"{name} was changed after {release}: {found}")

    def _marts(self, manifest: Manifest) -> Iterator[Finding]:
        present = self.trail.marts()
        if present is None:
            self.notes.append("the marts were not compared: they cannot be read from here")
            return
        release = f"release {manifest.release_id}"
        for name in sorted({*present, *manifest.marts}):
            self.counts["marts"] += 1
            if name not in manifest.marts:
                yield Finding(None, f"{name} is no part of {release}")
            elif name not in present:
                yield Finding(None, f"{name} is gone; {release} published it")
            elif found := self._differs(name, manifest.marts[name]):
                yield Finding(None, f"{name} is not what {release} published: {found}")

    def _differs(self, name: str, sha256: str, release_seq: int | None = None) -> str | None:
        """How the CSV differs from the hash that the manifest states; None when it does not."""
        digest = hashlib.sha256()
        try:
            for block in self.trail.csv(name, release_seq):
                digest.update(block)
        except LookupError as error:
            return str(error)
        found = digest.hexdigest()
        return None if found == sha256 else f"sha256 {sha256} → {found}"


@dataclass(frozen=True)
class Manifest:
    """What a release says of itself: by qualified name, the hashes of its CSVs."""

    release_seq: int
    release_id: str
    heads: set[str]
    ledger: dict[str, str]
    marts: dict[str, str]

    @staticmethod
    def of(row: Mapping[str, Any]) -> Manifest:
        """From a row of publication.release as the chain holds it."""
        manifest = row["manifest"]
        return Manifest(
            int(row["release_seq"]),
            str(row["release_id"]),
            {str(row["chain_head"]), str(manifest["chain_head"])},
            _hashes("publication", manifest["ledger"]),
            _hashes("marts", manifest["tables"]),
        )


def _hashes(schema: str, tables: Mapping[str, Any]) -> dict[str, str]:
    return {f"{schema}.{table}": str(of["sha256"]) for table, of in tables.items()}


def _compare(
    scratch: Scratch, table: str, key: str, text: str, row: dict[str, Any]
) -> Iterator[Finding]:
    known = scratch.vouched(table, key)
    if known is None:
        yield Finding(None, f"{table} {key} has no event in the chain")
        return
    seq, is_broken, event_text = known
    event = parse_event(event_text)
    changed = differences(event.payload["row"], row)
    if changed and is_broken and event.digest(payload={"row": row}) == event.hash:
        # The row restores the event's hash: it is the event that somebody touched.
        back = "; ".join(differences(row, event.payload["row"]))
        scratch.restore(table, key, text)
        yield Finding(seq, f"event {seq} ({event.kind}) has another payload: {back}")
    elif changed:
        doubt = f" (event {seq} itself was changed)" if is_broken else ""
        what = f"{table} {key} was changed after it was recorded{doubt}: {'; '.join(changed)}"
        yield Finding(seq, what)
