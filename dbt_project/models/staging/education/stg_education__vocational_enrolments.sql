-- Grain: one row per learner, institution, level and year.
with

source as (
    select * from {{ source('education', 'vocational_enrolments') }}
),

renamed as (
    select
        _period as period,
        person_key,
        extract(year from birth_month)::integer as birth_year,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        residence_unit_code as unit_code,
        institution_code,
        level_code,
        enrolled_on,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later periods belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
