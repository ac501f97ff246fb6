-- Grain: one row per child of the yearly survey.
with

source as (
    select * from {{ source('health', 'nutrition_survey') }}
),

renamed as (
    select
        _period as period,
        child_key,
        unit_code,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        age_months::integer as age_months,
        ethnic_group_code,
        measured_on,
        is_measured_lying = '1' as is_measured_lying,
        height_cm,
        height_for_age_z,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later years belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
