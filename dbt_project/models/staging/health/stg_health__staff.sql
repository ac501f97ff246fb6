-- Grain: one row per person, licence, workplace and month.
with

source as (
    select * from {{ source('health', 'staff') }}
),

renamed as (
    select
        _period as period,
        person_key,
        licence_key,
        profession_code,
        degree_code,
        facility_code,
        is_main_workplace = '1' as is_main_workplace,
        work_status_code,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
