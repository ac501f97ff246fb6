-- Grain: one row per commune, year, breakdown and value.
-- Poor households unable to leave poverty in which somebody draws a monthly benefit.
with

-- A benefit goes to a person, the target counts the household: one paid member is enough.
paid_households as (
    select
        period,
        household_key
    from {{ ref('stg_social_protection__assistance_payments') }}
    where
        died_on is null
        or died_on > {{ month_end('period') }}

    union

    select
        members.period,
        members.household_key
    from {{ ref('int_poverty__listed_persons') }} as members
    inner join {{ ref('stg_social_protection__social_pension') }} as pensions
        on
            members.period = pensions.period
            and members.person_key = pensions.person_key
    where pensions.is_paid = '1'
),

-- The list of December is the review of the year; the mark is the commune's own judgement.
households as (
    select
        {{ year_of_december('poor.period') }} as period,
        poor.unit_code,
        poor.ethnic_group,
        paid.household_key is not null as is_paid
    from {{ ref('stg_poverty_review__poor_households') }} as poor
    left join paid_households as paid
        on
            poor.period = paid.period
            and poor.household_key = paid.household_key
    where
        poor.cannot_exit
        and {{ is_computed_period(year_of_december('poor.period')) }}
),

-- Denominator: poor households marked in the review as unable to leave poverty.
denominator as (
    select
        period,
        unit_code,
        ethnic_group,
        count(*) as denominator
    from households
    group by period, unit_code, ethnic_group
),

-- Exclusions: payments to the dead, pensions that were granted and not paid.
-- Numerator: those with at least one monthly benefit in December.
numerator as (
    select
        period,
        unit_code,
        ethnic_group,
        count(*) as numerator,
        count(*) as contributors
    from households
    where is_paid
    group by period, unit_code, ethnic_group
),

{{ kpi_final('assistance_poor_households_no_exit', breakdowns=['ethnic_group']) }}
