-- Grain: one row per task, reporting agency and quarter.
with

source as (
    select * from {{ source('programme_office', 'task_progress') }}
),

renamed as (
    select
        _period as period,
        task_id,
        agency_id,
        status_code,
        percent_done,
        reported_on,
        late_reason_code,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later quarters belong to later releases.
    where _period <= {{ as_of_period('quarter') }}
)

select * from renamed
