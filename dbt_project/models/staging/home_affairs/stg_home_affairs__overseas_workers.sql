-- Grain: one row per departure under contract.
with

source as (
    select * from {{ source('home_affairs', 'overseas_workers') }}
),

renamed as (
    select
        _period as period,
        person_key,
        extract(year from birth_month)::integer as birth_year,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        ethnic_group_code,
        residence_unit_code as unit_code,
        household_group_code,
        country_code,
        departed_on,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later periods belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
