-- Grain: one row per commune, disease and month.
with

source as (
    select * from {{ source('health', 'disease_cases') }}
),

renamed as (
    select
        _period as period,
        unit_code,
        disease_code,
        new_cases,
        indigenous_cases,
        deaths,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
