"""Which tables the trail is made of, and what in the chain vouches for each of them."""

from __future__ import annotations

from loaders.audit.records import VOUCHED_ROWS

EVENTS, RECEIPTS, RELEASES = "audit.event", "audit.receipt", "publication.release"
BATCH_RESULTS, READMISSIONS = "audit.batch_result", "audit.readmission"
RULE_RESULTS, READMITTED, QUARANTINE = (
    "audit.rule_result",
    "audit.readmitted_row",
    "quarantine.judged_row",
)
VOUCHED_TABLES = {
    f"{schema}.{table}": (kind, key) for kind, (schema, table, key) in VOUCHED_ROWS.items()
}
#: Sets of rows with one hash for each set in the chain. Their lines name the set, and hold the row
#: as it was hashed: `{"set": "…", "row": …}`.
SETS = {
    RULE_RESULTS: """
        select
            t.subject_id || ' ' || coalesce(t.gate_run::text, '-') as subject,
            to_jsonb(t)::text as content,
            row_number() over (order by t.subject_id collate "C", t.gate_run, t.id) as place
        from audit.rule_result as t
        where {all} or coalesce(t.gate_run::text, '-') not in (
            select coalesce(payload ->> 'gate_run', payload #>> '{{row,details,gate_run}}', '')
            from audit.event
            where seq > {last}
        )
    """,
    READMITTED: """
        select
            t.gate_run || ' ' || t.from_result_id as subject,
            to_jsonb(t)::text as content,
            row_number() over (order by t.gate_run, t.from_result_id, t.row_number) as place
        from audit.readmitted_row as t
        where {all} or not exists (
            select from audit.event as e
            where
                e.seq > {last} and e.kind = 'rows.readmitted'
                and e.payload #>> '{{row,gate_run}}' = t.gate_run::text
        )
    """,
    # Rows that belong to no judgement yet are shown too: their set is the batch alone.
    QUARANTINE: """
        with judged as (
            select distinct on (batch_id) batch_id, id, stage
            from audit.batch_result
            where (stage, status) in (('load', 'loaded'), ('gate', 'accepted'), ('gate', 'held'))
            order by batch_id, id desc
        ),
        refused as (
            select r.*, judged.id as result_id
            from quarantine.row as r
            left join judged on r.batch_id = judged.batch_id and judged.stage = 'gate'
            union all
            select * from quarantine.earlier_row
        ),
        hashed as (
            select
                *,
                (to_jsonb(refused) - array['at', 'result_id'])::text as content
            from refused
        )
        select
            t.batch_id || coalesce(' ' || t.result_id, '') as subject,
            t.content,
            row_number() over (
                order by
                    t.batch_id collate "C", t.result_id, t.row_number, t.rule_id collate "C",
                    t.column_name collate "C", t.content collate "C"
            ) as place
        from hashed as t
        where {all} or (
            t.result_id is not null and not exists (
                select from audit.event as e
                where
                    e.seq > {last} and e.kind = 'batch.result'
                    and e.payload #>> '{{row,id}}' = t.result_id::text
            )
        )
    """,
}
#: Every table whose rows are part of the trail; the ledgers come besides, release by release.
TABLES = (EVENTS, *VOUCHED_TABLES, *SETS)
#: Columns that ledgers got later: a manifest without a list of columns does not know them.
ADDED_LATER = {"causes"}
#: Where the rows of quarantine.judged_row lie.
REFUSED_ROWS = ("quarantine.row", "quarantine.earlier_row")
#: Columns that nothing vouches for. The time of a refused row is that of its load or gate, whose
#: result has it as well.
NOT_COVERED = {QUARANTINE: ("at",)}
#: Judgements up to an event whose refused rows may have been replaced by a later load or gate.
REPLACED = """
    with results as (
        select
            seq,
            payload #>> '{{row,batch_id}}' as batch_id,
            payload #>> '{{row,id}}' as result_id,
            payload #>> '{{row,stage}}' as stage
        from audit.event
        where
            kind = 'batch.result'
            and (payload #>> '{{row,stage}}', payload #>> '{{row,status}}')
            in (('load', 'loaded'), ('gate', 'accepted'), ('gate', 'held'))
    ),
    latest as (
        select distinct on (batch_id) *
        from results
        where seq <= {last}
        order by batch_id, seq desc
    )
    select batch_id || ' ' || result_id
    from latest
    where
        stage = 'gate'
        and batch_id in (select batch_id from results where seq > {last})
    order by 1
"""
