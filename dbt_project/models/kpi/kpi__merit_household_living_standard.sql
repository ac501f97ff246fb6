-- Grain: one row per commune, year, breakdown and value.
-- Merit households that live at or above the upper-middle of their community.
with

-- December's list says who is under management; it has persons, and what is counted is households.
-- Exclusions: the dead, who stay on the list for some weeks. Several statuses change nothing.
managed_households as (
    select
        {{ year_of_december('period') }} as period,
        household_key,
        min(unit_code) as unit_code,
        min(ethnic_group_code) as ethnic_group
    from {{ ref('stg_home_affairs__merit_people') }}
    where
        not is_deceased
        and {{ year_of_december('period') }} is not null
        and {{ is_computed_period() }}
    group by {{ year_of_december('period') }}, household_key
),

-- Denominator: every household under management, reviewed or not.
denominator as (
    select
        period,
        unit_code,
        ethnic_group,
        count(*) as denominator
    from managed_households
    group by period, unit_code, ethnic_group
),

-- Numerator: those that the commune rated upper-middle (4) or better (5). No act defines the
-- rating: its method has a version, which is one and the same in a year's review.
numerator as (
    select
        managed_households.period,
        managed_households.unit_code,
        managed_households.ethnic_group,
        count(*) as numerator,
        count(*) as contributors
    from managed_households
    inner join {{ ref('stg_home_affairs__merit_household_review') }} as review
        on
            managed_households.period = review.period
            and managed_households.household_key = review.household_key
    where review.living_standard_code in ('4', '5')
    group by
        managed_households.period,
        managed_households.unit_code,
        managed_households.ethnic_group
),

{{ kpi_final('merit_household_living_standard', breakdowns=['ethnic_group']) }}
