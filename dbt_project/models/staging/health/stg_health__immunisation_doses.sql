-- Grain: one row per record of a dose and month.
with

source as (
    select * from {{ source('health', 'immunisation_doses') }}
),

renamed as (
    select
        _period as period,
        person_key,
        unit_code,
        vaccine_code,
        dose_number::integer as dose_number,
        given_on,
        place_code,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
