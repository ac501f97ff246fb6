-- Grain: one row per person, group, month paid for and month.
with

source as (
    select * from {{ source('social_protection', 'assistance_payments') }}
),

renamed as (
    select
        _period as period,
        person_key,
        household_key,
        birth_month,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        unit_code,
        group_code,
        paid_for,
        amount_vnd,
        method_code,
        account_holder_code,
        is_id_verified,
        died_on,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
