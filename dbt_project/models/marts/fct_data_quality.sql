-- Grain: one row per source, dataset and period that was expected or received.
with

batches as (
    select * from {{ ref('stg_audit__batches') }}
),

rules as (
    select
        batch_id,
        count(*) as rules_run,
        -- A rule that could not run has not passed.
        count(*) filter (where result <> 'pass') as rules_failed
    from {{ ref('stg_audit__rule_results') }}
    group by batch_id
),

-- Extracts are due on a day of the month after the one that they describe.
due as (
    select
        *,
        (
            {{ period_end('period') }}
            + {{ delivery_due_day("source || '__' || dataset") }}
        ) as expected_on,
        (landed_at at time zone 'Asia/Ho_Chi_Minh')::date as received_on
    from batches
),

final as (
    select
        due.source,
        due.dataset,
        due.period,
        due.batch_id,
        due.data_label,
        due.maturity,
        due.file_name,
        due.sha256,
        due.rows_read::bigint as rows_read,
        due.rows_loaded::bigint as rows_loaded,
        due.rows_quarantined::bigint as rows_quarantined,
        due.status,
        due.expected_on,
        due.landed_at as received_at,
        -- Nothing received is not the same as on time.
        case
            when due.received_on is not null
                then greatest(due.received_on - due.expected_on, 0)
        end::integer as days_late,
        coalesce(rules.rules_run, 0)::bigint as rules_run,
        coalesce(rules.rules_failed, 0)::bigint as rules_failed
    from due
    left join rules on due.batch_id = rules.batch_id
)

select * from final
