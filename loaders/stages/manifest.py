"""The manifest of a release: what an auditor needs to follow a figure to its file and its code."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from loaders import __version__
from loaders.periods import months_of
from loaders.stages.build import FINISHED as BUILD_FINISHED
from loaders.stages.candidate import candidate_content


def release_manifest(
    connection: psycopg.Connection, candidate_id: str, release_id: str, period: str
) -> dict[str, Any]:
    """What the release is made of: its marts, its batches, and what each KPI was computed from.

    Every table's hash comes with its columns and their types: so it can be given back when the
    ledgers have got further columns. `ledger` is filled when the ledgers are written.
    """
    noted = _noted(connection, candidate_id)
    with connection.cursor(row_factory=dict_row) as cursor:
        every = cursor.execute(_BATCHES, {"acceptances": noted.get("acceptances")}).fetchall()
    accepted = [batch for batch in every if months_of(batch["period"])[1] <= period]
    tables = candidate_content(connection)
    derived = noted.get("derived") or {}
    return {
        "release_id": release_id,
        "candidate_id": candidate_id,
        "period": period,
        "code_version": __version__,
        "tables": tables,
        "derived": {mart: query for mart, query in derived.items() if mart in tables},
        "ledger": {},
        "lineage": noted.get("lineage") or {"parts": {}, "common": {}, "kpis": {}},
        "batches": accepted,
        "contracts": {
            f"{batch['source']}.{batch['dataset']}": batch["contract_hash"] for batch in accepted
        },
    }


# The batches behind the release: the file, the acceptance, and by what it was judged. Those in raw
# when the build began: a file that came while the candidate waited for its approval is not in it.
_BATCHES = """
select
    judged.source, judged.dataset, judged.period, judged.batch_id, judged.id as result_id,
    coalesce(judged.details ->> 'rows_id', judged.batch_id) as rows_id,
    r.data_label, r.sha256, r.corrections_sha256, r.maturity, r.contract_version,
    coalesce(judged.details ->> 'contract_hash', r.contract_hash) as contract_hash,
    judged.details ->> 'suite_sha256' as suite_sha256,
    (judged.details ->> 'contract_rules_version')::integer as contract_rules_version,
    judged.details ->> 'gate_run' as gate_run,
    landed.details ->> 'restatement_reason' as restatement_reason
from audit.batch_result as judged
inner join audit.receipt as r using (batch_id)
left join lateral (
    select details
    from audit.batch_result as l
    where l.batch_id = judged.batch_id and (l.stage, l.status) = ('land', 'landed')
    order by l.id desc
    limit 1
) as landed on true
where judged.id = any(
    coalesce(%(acceptances)s::bigint[], array(select result_id from audit.batch_accepted))
)
order by judged.source, judged.dataset, judged.period
"""


def _noted(connection: psycopg.Connection, candidate_id: str) -> dict[str, Any]:
    """What the build noted of the candidate: acceptances in raw, and the lineage of its KPIs."""
    row = connection.execute(
        """
        select payload
        from audit.event
        where kind = %s and payload ->> 'candidate_id' = %s
        order by seq desc
        limit 1
        """,
        (BUILD_FINISHED, candidate_id),
    ).fetchone()
    return row[0] if row else {}
