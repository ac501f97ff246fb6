"""Sets of rows, each with one hash in the chain: rule results, refused rows, readmitted rows."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from loaders.audit.chain_walk import Finding, parse_event
from loaders.audit.compare import parse
from loaders.audit.coverage import BATCH_RESULTS, QUARANTINE, READMISSIONS, READMITTED, RULE_RESULTS
from loaders.audit.scratch import Scratch

LINE = re.compile(r'\{"set": "([^"\\]*)", "row": (\{.*\})\}')
NO_ROWS = hashlib.sha256().hexdigest()


def expect_sets(scratch: Scratch) -> None:
    """Remember which hashes the recorded rows hold, and of which sets."""
    for seq, row, _ in recorded_rows(scratch, BATCH_RESULTS):
        batch_id, stage, status = (str(row.get(name)) for name in ("batch_id", "stage", "status"))
        if (stage, status) == ("load", "loaded"):
            judged = scratch.see_load(batch_id)
            # What a hold had refused is kept only when other rules judge the batch after it.
            if judged and judged[1]:
                scratch.excuse_digest(QUARANTINE, judged[0])
        details = row.get("details")
        if stage != "gate" or status not in ("accepted", "held") or not isinstance(details, dict):
            continue
        if "rule_results_sha256" in details:
            subject = f"{batch_id} {details.get('gate_run')}"
            sha256 = str(details["rule_results_sha256"])
            scratch.expect_digest(RULE_RESULTS, subject, seq, sha256)
        subject = f"{batch_id} {row.get('id')}"
        # Judged twice after one load: the second judgement replaced what the first had refused.
        replaced = scratch.see_judgement(batch_id, subject, is_held=status == "held")
        if replaced:
            scratch.drop_digest(QUARANTINE, replaced)
        if "quarantine_sha256" in details:
            scratch.expect_digest(QUARANTINE, subject, seq, str(details["quarantine_sha256"]))
    for seq, row, _ in recorded_rows(scratch, READMISSIONS):
        if row.get("rows_sha256") is not None:
            subject = f"{row.get('gate_run')} {row.get('from_result_id')}"
            scratch.expect_digest(READMITTED, subject, seq, str(row["rows_sha256"]))


def compare_sets(
    rows: Iterator[str], table: str, scratch: Scratch, counts: Counter[str]
) -> Iterator[Finding]:
    """Every set that is not the one that was hashed, that no hash vouches for, or that is gone."""
    for subject, contents in groupby(map(_split, rows), key=lambda pair: pair[0]):
        digest, number = hashlib.sha256(), 0
        for number, (_, content) in enumerate(contents, start=1):
            digest.update((content if number == 1 else "\n" + content).encode())
        counts[table] += number
        if subject is None:
            yield Finding(None, f"{table} has {number} lines that cannot be read")
            continue
        known = scratch.digest_of(table, subject)
        if known is None:
            # Loaded and not judged yet: the gate will vouch for them.
            if table != QUARANTINE or " " in subject or not scratch.is_loaded(subject):
                yield Finding(
                    None, f"{table} {subject}: no hash in the chain for its {number} rows"
                )
        elif known[1] != digest.hexdigest():
            seq, sha256 = known
            what = f"its {number} rows were changed: sha256 {sha256} → {digest.hexdigest()}"
            yield Finding(seq, f"{table} {subject}: {what}")
    for seq, subject, sha256 in scratch.unseen_digests(table):
        if sha256 != NO_ROWS:
            yield Finding(seq, f"{table} {subject}: its rows are gone; event {seq} has their hash")


def recorded_rows(scratch: Scratch, table: str) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Seq, row and previous hash of the events of a table; a row that restored its event counts."""
    for seq, event_text, row_text in scratch.recorded(table):
        event = parse_event(event_text)
        yield seq, parse(row_text) if row_text else event.payload["row"], event.prev_hash


def _split(line: str) -> tuple[str | None, str]:
    match = LINE.fullmatch(line)
    return (match[1], match[2]) if match else (None, line)
