-- Grain: one row per household, supporting programme and month.
with

source as (
    select * from {{ source('housing', 'temporary_houses') }}
),

renamed as (
    select
        _period as period,
        household_key,
        person_key,
        unit_code,
        household_group_code,
        work_kind_code,
        programme_code,
        approved_on,
        started_on,
        completed_on,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
