-- Grain: one row per batch and rule of the batch's last run of the gate.
with

source as (
    select * from {{ source('audit', 'rule_result') }}
),

-- A rule that is no longer in the suite has a result in an earlier run only.
with_last_run as (
    select
        *,
        first_value(gate_run) over (
            partition by subject_id
            order by id desc
        ) as last_gate_run
    from source
    where subject_kind = 'batch'
),

latest as (
    select distinct on (subject_id, rule_id)
        subject_id as batch_id,
        rule_id,
        rule_version,
        severity,
        result,
        at as ran_at
    from with_last_run
    where gate_run is not distinct from last_gate_run
    order by subject_id asc, rule_id asc, id desc
)

select * from latest
