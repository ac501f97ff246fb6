-- Grain: one row per rural commune and year.
with

source as (
    select * from {{ source('agriculture_environment', 'rural_water') }}
),

renamed as (
    select
        _period as period,
        unit_code,
        indicator_set_code,
        households,
        households_indicator_01,
        households_indicator_02,
        households_02_centralised,
        poor_households,
        poor_households_indicator_02,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later years belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
