-- Grain: one row per commune, sex, year of birth and month.
with

source as (
    select * from {{ source('health', 'health_records') }}
),

renamed as (
    select
        _period as period,
        unit_code,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        birth_year::integer as birth_year,
        persons_with_record,
        persons_managed,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
