-- Grain: one row per person of a poor or near-poor household and month.
with

source as (
    select * from {{ source('poverty_review', 'poor_household_members') }}
),

renamed as (
    select
        _period as period,
        household_key,
        person_key,
        birth_month,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        unit_code,
        class_code as poverty_class,
        is_pregnant = '1' as is_pregnant,
        has_no_support = '1' as has_no_support,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
