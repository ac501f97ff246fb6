-- Grain: one row per old province, sex and year.
with

source as (
    select * from {{ source('statistics_office', 'labour_force') }}
),

renamed as (
    select
        _period as period,
        unit_code,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        labour_force,
        standard_error_pct,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later years belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
