-- Grain: one row per contract of a member and month.
with

source as (
    select * from {{ source('social_insurance', 'participants') }}
),

renamed as (
    select
        _period as period,
        person_key,
        birth_month,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        ethnic_group_code,
        residence_unit_code as unit_code,
        scheme_code,
        employer_code,
        employer_type_code,
        has_unemployment_insurance = '1' as has_unemployment_insurance,
        contribution_state_code,
        covered_to,
        support_group_code,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
