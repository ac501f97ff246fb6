-- Grain: one row per rural settlement and year.
with

source as (
    select * from {{ source('agriculture_environment', 'settlements') }}
),

renamed as (
    select
        _period as period,
        settlement_code,
        unit_code,
        is_concentrated = '1' as is_concentrated,
        has_collection = '1' as has_collection,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later years belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
