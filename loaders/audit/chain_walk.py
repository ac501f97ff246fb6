"""The walk along the chain: each event against its own hash and against the one before it.

It goes on from the hash that is stored, so that one broken event does not hide the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from loaders.audit.chain import GENESIS, Event
from loaders.audit.compare import parse
from loaders.audit.coverage import RULE_RESULTS
from loaders.audit.records import PURGE_EVENT, RESTORE_EVENT, VOUCHED_ROWS
from loaders.audit.scratch import Scratch

# Stricter than the reader of times, to which other spellings of a moment are the same.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00")
FIELDS = {"seq", "at", "kind", "payload", "prev_hash", "hash"}


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was recorded; `seq` is the event, when one is concerned."""

    seq: int | None
    what: str


class ChainWalk:
    """One pass over the events, which also remembers what they vouch for.

    Attributes:
        count: how many events were read.
        head: the stored hash of the last one.
    """

    def __init__(self, scratch: Scratch) -> None:
        self.count, self.head = 0, GENESIS
        self._scratch = scratch
        self._kinds = {*VOUCHED_ROWS, PURGE_EVENT, RESTORE_EVENT}

    def findings(self, rows: Iterator[str]) -> Iterator[Finding]:
        """Every event that is not as it was recorded, named by seq, kind and what differs.

        Args:
            rows: the events as `to_jsonb` shows them, by seq.
        """
        last: Event | None = None
        link = GENESIS  # the hash that the next event has to name
        doubtful: Event | None = None  # broken; what follows tells content and hash apart
        for number, text in enumerate(rows, start=1):
            try:
                event = parse_event(text)
                is_broken = event.digest() != event.hash
            except (KeyError, TypeError, ValueError) as error:
                yield Finding(None, f"audit.event line {number} cannot be read: {error}")
                continue
            self.count += 1
            self.head = event.hash
            if doubtful is not None:
                is_hash = doubtful.digest() == event.prev_hash
                yield _changed(doubtful, "its hash" if is_hash else "its time or payload")
                link = event.prev_hash if is_hash else link
                doubtful = None
            last_seq = last.seq if last else 0
            restored = self._restored(event, link) if is_broken else None
            if restored is not None:
                field, original = restored
                how = f"its {field} is {getattr(event, field)}, it was {getattr(original, field)}"
                yield _changed(original, how)
                yield from self._remember(original, text, is_broken=False)
                if field == "seq":
                    continue  # it stands where it does not belong
            else:
                yield from self._remember(event, text, is_broken)
                doubtful = event if is_broken else None
            if event.seq <= last_seq:
                yield Finding(event.seq, f"{_name(event)} stands after event {last_seq}")
                continue
            if event.seq > last_seq + 1:
                yield _missing(last_seq, event.seq)
            elif last is not None and not is_broken and event.prev_hash != link:
                what = f"{_name(last)} is not the one that {_name(event)} follows"
                yield Finding(last.seq, what)
            elif not is_broken and event.prev_hash != link:
                yield Finding(event.seq, f"{_name(event)} does not begin the chain")
            last, link = event, event.hash
        if doubtful is not None:
            yield _changed(doubtful, "its time, payload or hash")

    def _restored(self, event: Event, link: str) -> tuple[str, Event] | None:
        """The field whose change broke the event's hash, and the event with its old value."""
        before = 0 if event.prev_hash == GENESIS else self._scratch.seq_of(event.prev_hash)
        guesses: list[tuple[str, Any]] = [("prev_hash", link)]
        guesses += [("kind", kind) for kind in sorted(self._kinds)]
        guesses += [("seq", before + 1)] if before is not None else []
        for field, value in guesses:
            if event.digest(**{field: value}) == event.hash:
                return field, replace(event, **{field: value})
        return None

    def _remember(self, event: Event, text: str, is_broken: bool) -> Iterator[Finding]:
        self._scratch.add_link(event.hash, event.seq)
        if not is_broken:
            self._kinds.add(event.kind)
        if event.kind == PURGE_EVENT and not is_broken:
            self._scratch.add_purged(str(event.payload.get("batch_id")))
        if event.kind == RESTORE_EVENT:
            self._scratch.drop_purged(str(event.payload.get("batch_id")))
        if "rule_results_sha256" in event.payload:  # the release gate; intake's are in its row
            of = event.payload
            self._scratch.expect_digest(
                RULE_RESULTS,
                f"{of.get('candidate_id')} {of.get('gate_run')}",
                event.seq,
                str(of["rule_results_sha256"]),
            )
        if event.kind in VOUCHED_ROWS:
            schema, table, key_column = VOUCHED_ROWS[event.kind]
            row = event.payload.get("row")
            if not isinstance(row, dict) or key_column not in row:
                yield Finding(event.seq, f"{_name(event)} holds no row of {schema}.{table}")
                return
            key = str(row[key_column])
            earlier = self._scratch.vouch(f"{schema}.{table}", key, event.seq, is_broken, text)
            if earlier is not None:
                what = f"{_name(event)} records {schema}.{table} {key}, as event {earlier} does"
                yield Finding(event.seq, what)


def parse_event(text: str) -> Event:
    """An event from its JSON text.

    Raises:
        KeyError: a field is missing.
        TypeError, ValueError: a field is of another type, or there is one that no hash covers.
    """
    row = parse(text)
    unknown = row.keys() - FIELDS
    if unknown:
        raise ValueError(f"fields that no hash covers: {sorted(unknown)}")
    if not TIME.fullmatch(row["at"]):
        raise ValueError("its time is not as PostgreSQL shows it in UTC")
    at = datetime.fromisoformat(row["at"])
    texts = (row["kind"], row["prev_hash"], row["hash"])
    if type(row["seq"]) is not int or not all(type(text) is str for text in texts):
        raise TypeError("a field is of another type")
    if not isinstance(row["payload"], dict):
        raise TypeError("its payload is no object")
    return Event(row["seq"], at, row["kind"], row["payload"], row["prev_hash"], row["hash"])


def _name(event: Event) -> str:
    return f"event {event.seq} ({event.kind})"


def _changed(event: Event, how: str) -> Finding:
    return Finding(event.seq, f"{_name(event)} was changed after it was recorded: {how}")


def _missing(last_seq: int, seq: int) -> Finding:
    if seq == last_seq + 2:
        return Finding(seq, f"event {last_seq + 1} is missing before event {seq}")
    return Finding(seq, f"events {last_seq + 1} to {seq - 1} are missing before event {seq}")
