-- Grain: one row per month and person with a social-insurance contribution or paid coverage.
with

-- A suspended contract pays nothing. A voluntary member who paid several months ahead is covered
-- as long as they last, whatever was paid in the month itself.
contracts_in_force as (
    select *
    from {{ ref('stg_social_insurance__participants') }}
    where
        (scheme_code = 'BB' and contribution_state_code <> 'TD')
        or (scheme_code = 'TN' and covered_to >= {{ month_end('period') }})
),

-- Several contracts are one person. Who moved from voluntary to compulsory in the month is a
-- compulsory member; of several addresses the lowest code is taken.
persons as (
    select distinct on (period, person_key)
        period,
        person_key,
        unit_code,
        sex,
        birth_month,
        scheme_code,
        support_group_code as household_group,
        bool_or(has_unemployment_insurance) over (
            partition by period, person_key
        ) as has_unemployment_insurance
    from contracts_in_force
    order by
        period asc,
        person_key asc,
        scheme_code asc,
        unit_code asc,
        support_group_code asc
),

limits as (
    select * from {{ ref('int_insurance__retirement_limit') }}
),

final as (
    select
        persons.*,
        persons.birth_month <= {{ month_end('persons.period') }} - interval '15 years'
        and persons.birth_month > limits.youngest_birth_month as is_of_working_age
    from persons
    inner join limits
        on
            persons.period = limits.period
            and persons.sex = limits.sex
)

select * from final
