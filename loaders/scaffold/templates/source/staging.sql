-- Grain: one row per commune and month.
with

source as (
    select * from {{ source('[[ source ]]', '[[ dataset ]]') }}
),

renamed as (
    select
        _period as period,
        unit_code,
        households,
        households_reached,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
