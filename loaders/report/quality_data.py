"""What the audit trail says of the data behind a release, read from the views of schema audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from loaders.contracts.model import load_contracts

Row = Mapping[str, Any]
Rows = Sequence[Row]


@dataclass(frozen=True)
class QualityView:
    """The quality of the data up to a release month, as rows.

    Attributes:
        timeliness, volumes: rows of `audit.quality_timeliness` and `audit.quality_volumes`.
        rules: rows of `audit.quality_rules` about the candidate and about batches in use.
        quarantine: rows of `audit.quality_quarantine` about batches in use.
        approvals: decisions of persons on the candidate and on batches; `dataset` and `period`
            are null for the candidate.
        readmissions: what became of rows that an earlier judgement had refused.
        gate_events: what the release gate said of the candidate.
        head: `seq`, `at` and `hash` of the newest event of the chain when the trail was read.
        datasets: Vietnamese and English title by (source, dataset).
        sources: Vietnamese and English title by source.
    """

    timeliness: Rows = ()
    volumes: Rows = ()
    rules: Rows = ()
    quarantine: Rows = ()
    approvals: Rows = ()
    readmissions: Rows = ()
    gate_events: Rows = ()
    head: Row | None = None
    datasets: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    sources: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def read_quality(connection: psycopg.Connection, as_of: str, candidate_id: str) -> QualityView:
    """Read the trail up to month `as_of` (YYYY-MM), as a role that may read audit."""

    def rows(query: str) -> list[dict[str, Any]]:
        with connection.cursor(row_factory=dict_row) as cursor:
            values = {"as_of": as_of, "candidate": candidate_id}
            return cursor.execute(query, values).fetchall()  # type: ignore[arg-type]

    heads = rows("select seq, at, hash from audit.event order by seq desc limit 1")
    contracts = load_contracts()
    return QualityView(
        timeliness=rows(_TIMELINESS),
        volumes=rows(_VOLUMES),
        rules=rows(_RULES),
        quarantine=rows(_QUARANTINE),
        approvals=rows(_APPROVALS),
        readmissions=rows(_READMISSIONS),
        gate_events=rows(_GATE_EVENTS),
        head=heads[0] if heads else None,
        datasets={
            (contract.source, dataset.name): (dataset.title_vi, dataset.title_en)
            for contract in contracts
            for dataset in contract.datasets
        },
        sources={contract.source: (contract.title_vi, contract.title_en) for contract in contracts},
    )


_TIMELINESS = """
select *
from audit.quality_timeliness
where ends_on <= audit.period_end(%(as_of)s)
order by ends_on desc, period desc, source, dataset
"""

_VOLUMES = """
select *
from audit.quality_volumes
where ends_on <= audit.period_end(%(as_of)s)
order by ends_on desc, period desc, source, dataset
"""

_RULES = """
select *
from audit.quality_rules
where
    (subject_kind = 'candidate' and subject_id = %(candidate)s)
    or (subject_kind = 'batch' and is_in_use and ends_on <= audit.period_end(%(as_of)s))
order by subject_kind, ends_on, source, dataset, subject_id, suite, rule_id
"""

_QUARANTINE = """
select *
from audit.quality_quarantine
where is_in_use and ends_on <= audit.period_end(%(as_of)s)
order by source, dataset, rule_id, column_name, ends_on, batch_id
"""

_APPROVALS = """
select approval.*, receipt.source, receipt.dataset, receipt.period
from audit.approval as approval
left join audit.receipt as receipt
    on approval.subject_kind = 'batch' and approval.subject_id = receipt.batch_id
where
    (approval.subject_kind = 'candidate' and approval.subject_id = %(candidate)s)
    or audit.period_end(receipt.period) <= audit.period_end(%(as_of)s)
order by approval.id
"""

_READMISSIONS = """
select *
from audit.readmission
where audit.period_end(period) <= audit.period_end(%(as_of)s)
order by id
"""

_GATE_EVENTS = """
select seq, at, kind, payload
from audit.event
where kind like 'gate.release.%%' and payload ->> 'candidate_id' = %(candidate)s
order by seq
"""
