-- Grain: one row per birth registered in the year.
with

source as (
    select * from {{ source('civil_registration', 'births') }}
),

renamed as (
    select
        _period as period,
        birth_record_key,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        extract(year from birth_month)::integer as birth_year,
        residence_unit_code as unit_code,
        is_live_birth,
        registered_on,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later periods belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
