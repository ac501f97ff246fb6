-- Grain: one row per old province, disease and year.
with

source as (
    select * from {{ source('health', 'disease_status') }}
),

renamed as (
    select
        _period as period,
        unit_code,
        disease_code,
        is_ended = '1' as is_ended,
        decision_number,
        decided_on,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later years belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
