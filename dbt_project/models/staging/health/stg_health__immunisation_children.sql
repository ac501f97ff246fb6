-- Grain: one row per entry of a child and month.
with

source as (
    select * from {{ source('health', 'immunisation_children') }}
),

renamed as (
    select
        _period as period,
        record_key,
        person_key,
        birth_month,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        ethnic_group_code,
        unit_code,
        registered_on,
        status_code,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
