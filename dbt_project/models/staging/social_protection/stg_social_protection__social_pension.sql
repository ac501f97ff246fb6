-- Grain: one row per person and month.
with

source as (
    select * from {{ source('social_protection', 'social_pension') }}
),

renamed as (
    select
        _period as period,
        person_key,
        unit_code,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        birth_month,
        ethnic_group_code as ethnic_group,
        basis_code,
        amount_vnd,
        method_code,
        is_paid,
        is_id_verified,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
