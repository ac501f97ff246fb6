-- Grain: one row per urban commune, water utility and year.
with

source as (
    select * from {{ source('housing', 'urban_water') }}
),

renamed as (
    select
        _period as period,
        unit_code,
        utility_code,
        households,
        households_with_standard_water,
        meters,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later years belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
