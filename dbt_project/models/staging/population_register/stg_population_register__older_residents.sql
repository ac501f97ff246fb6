-- Grain: one row per commune, sex, month of birth and month.
with

source as (
    select * from {{ source('population_register', 'older_residents') }}
),

renamed as (
    select
        _period as period,
        unit_code,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        birth_month,
        persons,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
