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

dated as (
    select
        *,
        {{ period_end('period') }} as ends_on
    from batches
),

-- Extracts are due on a day of the month after the one that they describe.
due as (
    select
        *,
        (ends_on + {{ delivery_due_day("source || '__' || dataset") }}) as expected_on,
        (landed_at at time zone 'Asia/Ho_Chi_Minh')::date as received_on,
        -- Without good data of its own a period is served by the last one before it that has some.
        max(ends_on) filter (where accepted_batch_id is not null) over (
            partition by source, dataset
            order by ends_on asc
        ) as serving_ends_on
    from dated
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
        coalesce(rules.rules_failed, 0)::bigint as rules_failed,
        serving.accepted_batch_id as serving_batch_id,
        serving.period as serving_period,
        due.serving_ends_on,
        ({{ month_end(as_of_period()) }} - due.serving_ends_on)::integer as serving_age_days
    from due
    left join rules on due.batch_id = rules.batch_id
    left join dated as serving
        on
            due.source = serving.source
            and due.dataset = serving.dataset
            and due.serving_ends_on = serving.ends_on
)

select * from final
