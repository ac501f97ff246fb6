-- Grain: one row per commune and year.
with

source as (
    select * from {{ source('agriculture_environment', 'household_sanitation') }}
),

renamed as (
    select
        _period as period,
        unit_code,
        coverage_code,
        households,
        households_with_standard_latrine,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later years belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
