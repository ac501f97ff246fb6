-- Grain: one row per source, dataset and period that was expected or received.
with

current_results as (
    select * from {{ source('audit', 'batch_current') }}
),

accepted as (
    select * from {{ source('audit', 'batch_accepted') }}
),

receipts as (
    select * from {{ source('audit', 'receipt') }}
),

joined as (
    select
        current_results.source,
        current_results.dataset,
        current_results.period,
        current_results.batch_id,
        accepted.batch_id as accepted_batch_id,
        receipts.data_label,
        receipts.maturity,
        accepted_receipts.maturity as accepted_maturity,
        receipts.file_name,
        receipts.sha256,
        receipts.landed_at,
        current_results.rows_read,
        current_results.rows_loaded,
        current_results.rows_quarantined,
        current_results.status
    from current_results
    left join receipts on current_results.batch_id = receipts.batch_id
    left join accepted
        on
            current_results.source = accepted.source
            and current_results.dataset = accepted.dataset
            and current_results.period = accepted.period
    left join receipts as accepted_receipts on accepted.batch_id = accepted_receipts.batch_id
    -- Later months belong to later releases.
    where {{ last_month('current_results.period') }} <= {{ as_of_period() }}
)

select * from joined
