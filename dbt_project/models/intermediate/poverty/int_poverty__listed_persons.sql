-- Grain: one row per month and member of a household on the poverty list, in its commune.
with

members as (
    select * from {{ ref('stg_poverty_review__poor_household_members') }}
),

households as (
    select * from {{ ref('stg_poverty_review__poor_households') }}
),

-- The household's row decides: class, commune and ethnic group are those of its review.
final as (
    select
        members.period,
        members.person_key,
        households.household_key,
        households.unit_code,
        households.poverty_class,
        households.ethnic_group,
        households.is_difficult_area,
        members.birth_month,
        members.is_pregnant,
        members.has_no_support
    from members
    inner join households
        on
            members.period = households.period
            and members.household_key = households.household_key
)

select * from final
