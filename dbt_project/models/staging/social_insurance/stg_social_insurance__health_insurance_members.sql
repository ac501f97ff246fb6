-- Grain: one row per health-insurance card and month.
with

source as (
    select * from {{ source('social_insurance', 'health_insurance_members') }}
),

renamed as (
    select
        _period as period,
        person_key,
        card_key,
        extract(year from birth_month)::integer as birth_year,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        residence_unit_code as unit_code,
        object_code,
        issuing_province_code,
        valid_from,
        valid_to,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
