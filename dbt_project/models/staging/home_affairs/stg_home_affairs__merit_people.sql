-- Grain: one row per beneficiary, merit status, month of entitlement and payment month.
with

source as (
    select * from {{ source('home_affairs', 'merit_people') }}
),

renamed as (
    select
        _period as period,
        entitled_month,
        person_key,
        household_key,
        extract(year from birth_month)::integer as birth_year,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        ethnic_group_code,
        residence_unit_code as unit_code,
        category_code,
        amount_vnd,
        is_paid,
        method_code,
        account_holder_code,
        is_supported,
        is_id_verified,
        coalesce(death_month <= {{ month_end('_period') }}, false) as is_deceased,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later periods belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
