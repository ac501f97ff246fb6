"""How a batch was judged, by which rules, and whether today's rules ask for another judgement."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass
from typing import Any

import psycopg

from loaders.conform import RULE_VERSION
from loaders.contracts.model import Dataset
from loaders.quality.suites import Suite, get_suite

IN_RAW = "the rows of this batch are in raw already"


@dataclass(frozen=True)
class Rules:
    """What decides how a file's rows are read and which of them are refused."""

    suite_sha256: str | None
    contract_hash: str | None
    contract_rules_version: int | None

    @classmethod
    def in_force(cls, dataset: Dataset, suite: Suite | None = None) -> Rules:
        """Today's, with the dataset's intake suite unless it is given."""
        found = suite or get_suite("intake", dataset.raw_table)
        return cls(found.sha256, dataset.contract_hash, RULE_VERSION)

    def changes_since(self, earlier: Rules) -> list[str]:
        """What differs, in words."""
        pairs = (
            ("the suite", earlier.suite_sha256, self.suite_sha256),
            ("the contract", earlier.contract_hash, self.contract_hash),
            (
                "the version of the contract rules",
                earlier.contract_rules_version,
                self.contract_rules_version,
            ),
        )
        return [
            f"{name} {'was not recorded' if before is None else 'has changed'}"
            for name, before, now in pairs
            if before != now
        ]


@dataclass(frozen=True)
class Judgement:
    """A result of the intake gate. ``rows_id`` stays the same while the rows in raw do."""

    result_id: int
    batch_id: str
    sha256: str
    is_accepted: bool
    rules: Rules
    rows_id: str


_JUDGEMENTS = """
    select r.id, r.batch_id, receipt.sha256, r.status = 'accepted', r.details, receipt.contract_hash
    from audit.batch_result as r
    inner join audit.receipt as receipt using (batch_id)
    where r.stage = 'gate' and r.status in ('accepted', 'held')
"""


def _judgement(row: tuple[Any, ...]) -> Judgement:
    result_id, batch_id, sha256, is_accepted, details, landed_contract = row
    details = details or {}
    rules = Rules(
        details.get("suite_sha256"),
        details.get("contract_hash", landed_contract),
        details.get("contract_rules_version"),
    )
    rows_id = details.get("rows_id", batch_id)
    return Judgement(result_id, batch_id, sha256, is_accepted, rules, rows_id)


def last_judgement(
    connection: psycopg.Connection, batch_id: str, *, accepted: bool = False
) -> Judgement | None:
    """The newest acceptance or hold of a batch; with ``accepted``, its newest acceptance."""
    row = connection.execute(
        f"{_JUDGEMENTS} and r.batch_id = %s and (r.status = 'accepted' or not %s)"
        " order by r.id desc limit 1",
        (batch_id, accepted),
    ).fetchone()
    return _judgement(row) if row else None


def judgements_since_acceptance(
    connection: psycopg.Connection, dataset: Dataset, period: str
) -> list[Judgement]:
    """The acceptance whose rows are in raw, if any, and the holds after it, oldest first."""
    rows = connection.execute(
        f"{_JUDGEMENTS} and (r.source, r.dataset, r.period) = (%(source)s, %(dataset)s, %(period)s)"
        " and r.id >= coalesce((select result_id from audit.batch_accepted where (source, dataset,"
        " period) = (%(source)s, %(dataset)s, %(period)s)), 0) order by r.id",
        {"source": dataset.source, "dataset": dataset.name, "period": period},
    ).fetchall()
    return [_judgement(row) for row in rows]


def is_in_raw(connection: psycopg.Connection, batch_id: str) -> bool:
    """True when the rows of this batch are the ones in raw."""
    row = connection.execute(
        "select 1 from audit.batch_accepted where batch_id = %s", (batch_id,)
    ).fetchone()
    return row is not None


def reasons_to_judge(connection: psycopg.Connection, batch_id: str, rules: Rules) -> list[str]:
    """Why a batch whose rows are in raw is to be judged again; empty: everything stands.

    Judged by other rules, or held since then by rules that may have been taken back.
    """
    last = last_judgement(connection, batch_id)
    if last is None:
        return []
    held = [] if last.is_accepted else ["it was held when it was judged again"]
    return rules.changes_since(last.rules) + held


def next_rows_id(earlier: Judgement, rules: Rules, quarantine_sha256: str) -> str:
    """Id of rows that differ from those of an earlier judgement of the same batch."""
    text = "|".join(map(str, (earlier.rows_id, *astuple(rules), quarantine_sha256)))
    return f"{earlier.batch_id}.{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def set_refused_rows_aside(connection: psycopg.Connection, batch_id: str, dataset: Dataset) -> None:
    """Empty quarantine for a batch that is loaded again, without losing what was judged.

    The rows of an acceptance stay for good, and those of a hold by other rules: they are compared
    with what these rules refuse. A hold by the same rules comes to the same end again.
    """
    row = connection.execute(
        "select stage from audit.batch_result where batch_id = %s and (stage, status) in"
        " (('load', 'loaded'), ('gate', 'accepted'), ('gate', 'held')) order by id desc limit 1",
        (batch_id,),
    ).fetchone()
    last = last_judgement(connection, batch_id)
    is_judged = last is not None and row == ("gate",)
    if is_judged and (last.is_accepted or Rules.in_force(dataset).changes_since(last.rules)):
        connection.execute(
            'insert into quarantine.earlier_row select q.*, %s from quarantine."row" as q'
            " where q.batch_id = %s",
            (last.result_id, batch_id),
        )
    connection.execute('delete from quarantine."row" where batch_id = %s', (batch_id,))
