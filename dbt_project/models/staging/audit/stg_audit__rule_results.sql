-- Grain: one row per batch and rule, its last run.
with

source as (
    select * from {{ source('audit', 'rule_result') }}
),

latest as (
    select distinct on (subject_id, rule_id)
        subject_id as batch_id,
        rule_id,
        rule_version,
        severity,
        result,
        at as ran_at
    from source
    where subject_kind = 'batch'
    order by subject_id asc, rule_id asc, id desc
)

select * from latest
