-- Grain: one row per facility and month.
with

source as (
    select * from {{ source('health', 'facilities') }}
),

renamed as (
    select
        _period as period,
        facility_code,
        trim(facility_name) as facility_name,
        facility_type_code,
        ownership_code,
        unit_code,
        planned_beds,
        actual_beds,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
