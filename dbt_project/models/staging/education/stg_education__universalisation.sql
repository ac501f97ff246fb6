-- Grain: one row per programme, unit examined and year.
with

source as (
    select * from {{ source('education', 'universalisation') }}
),

renamed as (
    select
        _period as period,
        unit_code,
        programme_code,
        level_code,
        is_recognised,
        decision_no,
        decided_on,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later periods belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
