-- Grain: one row per benefit of a person and month.
with

source as (
    select * from {{ source('social_insurance', 'pensions') }}
),

renamed as (
    select
        _period as period,
        person_key,
        birth_month,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        residence_unit_code as unit_code,
        benefit_code,
        amount_vnd,
        is_paid = '1' as is_paid,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
