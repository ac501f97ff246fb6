"""Rows that come back from quarantine: the ledger of what an acceptance makes good."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from loaders import audit
from loaders.stages.judgements import Judgement, Rules
from loaders.stages.load import Batch


def find_readmissions(
    connection: psycopg.Connection,
    batch: Batch,
    rules: Rules,
    earlier: Iterable[Judgement],
    gate_run: UUID,
) -> list[dict[str, Any]]:
    """One row of `audit.readmission` for each earlier judgement of the month that refused rows.

    A correction or other rules leave the file as it is: the rows that came back are written by
    their number to `audit.readmitted_row`. A restatement is another file, of which only the
    counts can be compared. To be called when the batch is in raw and its quarantine is written.
    """
    newest = {
        (j.batch_id, j.rules): j
        for j in earlier
        if (j.batch_id, j.rules) != (batch.batch_id, rules)
    }
    found = []
    for judgement in newest.values():
        values = _counts(connection, batch, judgement)
        if values["rows_quarantined_before"] == 0:
            continue
        how = "restatement" if judgement.sha256 != batch.sha256 else "correction"
        if judgement.batch_id == batch.batch_id:
            how = "rule_change"
        if how != "restatement":
            values |= _readmit(connection, batch, judgement, gate_run)
        found.append(
            {
                "gate_run": gate_run,
                "batch_id": batch.batch_id,
                "from_batch_id": judgement.batch_id,
                "from_result_id": judgement.result_id,
                "source": batch.dataset.source,
                "dataset": batch.dataset.name,
                "period": batch.period,
                "how": how,
                "rules_changed": bool(rules.changes_since(judgement.rules)),
                **values,
            }
        )
    return found


def record_readmissions(
    connection: psycopg.Connection, readmissions: Iterable[dict[str, Any]], run_id: str
) -> None:
    """Write them with their events, which lock the chain: the last thing in the transaction."""
    for values in readmissions:
        audit.insert_vouched(connection, audit.READMISSION_EVENT, values | {"run_id": run_id})


def _counts(connection: psycopg.Connection, batch: Batch, judgement: Judgement) -> dict[str, int]:
    row = connection.execute(
        "select (select count(distinct row_number) from quarantine.judged_row"
        " where batch_id = %s and result_id = %s),"
        ' (select count(distinct row_number) from quarantine."row" where batch_id = %s)',
        (judgement.batch_id, judgement.result_id, batch.batch_id),
    ).fetchone()
    assert row is not None
    return {"rows_quarantined_before": row[0], "rows_quarantined_now": row[1]}


def _readmit(
    connection: psycopg.Connection, batch: Batch, judgement: Judgement, gate_run: UUID
) -> dict[str, Any]:
    """Write the rows that were refused and are in raw now; their number, and that of the others."""
    refused = {"batch_id": judgement.batch_id, "result_id": judgement.result_id}
    written = connection.execute(
        sql.SQL(
            "insert into audit.readmitted_row"
            " (gate_run, from_result_id, row_number, sheet, rules_broken)"
            " select %(gate_run)s, %(result_id)s, q.row_number, min(q.sheet),"
            " array_agg(distinct q.rule_id order by q.rule_id)"
            " from quarantine.judged_row as q"
            " where q.batch_id = %(batch_id)s and q.result_id = %(result_id)s and exists ("
            " select from {} as r where r._period = %(period)s and r._row_number = q.row_number)"
            " group by q.row_number"
        ).format(sql.Identifier("raw", batch.dataset.raw_table)),
        refused | {"gate_run": gate_run, "period": batch.period},
    ).rowcount
    still = connection.execute(
        "select count(distinct q.row_number) from quarantine.judged_row as q"
        " where q.batch_id = %(batch_id)s and q.result_id = %(result_id)s and exists ("
        ' select from quarantine."row" as now where now.batch_id = %(now)s'
        " and now.row_number = q.row_number)",
        refused | {"now": batch.batch_id},
    ).fetchone()
    assert still is not None
    digest = audit.rows_digest(
        connection,
        sql.SQL(
            "select to_jsonb(t)::text from audit.readmitted_row as t"
            " where t.gate_run = {} and t.from_result_id = {} order by t.row_number"
        ).format(sql.Literal(gate_run), sql.Literal(judgement.result_id)),
    )
    return {
        "rows_readmitted": written,
        "rows_still_quarantined": still[0],
        "rows_sha256": digest.sha256,
    }
