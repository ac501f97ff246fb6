-- Grain: one row per commune, month, series, breakdown and value.
-- Pregnant women of poor and near-poor households to whom assistance is paid.
with

-- The decree has no group of pregnant women, so there is only the programme's wording: what is
-- paid to them comes from a resolution of the province.
women as (
    select
        members.*,
        'programme_wording' as series,
        paid.person_key is not null as is_paid
    from {{ ref('int_poverty__listed_persons') }} as members
    left join {{ ref('int_social_protection__paid_persons') }} as paid
        on
            members.period = paid.period
            and members.person_key = paid.person_key
    where
        members.is_pregnant
        and {{ is_computed_period('members.period') }}
),

-- Denominator: women of the list who are pregnant at month end.
denominator as (
    select
        period,
        unit_code,
        series,
        poverty_class,
        ethnic_group,
        count(*) as denominator
    from women
    group by period, unit_code, series, poverty_class, ethnic_group
),

-- Exclusions: benefits of other members of the household.
-- Numerator: those who were paid in the month, under whatever group.
numerator as (
    select
        period,
        unit_code,
        series,
        poverty_class,
        ethnic_group,
        count(*) as numerator,
        count(*) as contributors
    from women
    where is_paid
    group by period, unit_code, series, poverty_class, ethnic_group
),

{{ kpi_final(
    'assistance_poor_pregnant_women',
    breakdowns=['poverty_class', 'ethnic_group'],
    series=['programme_wording'],
) }}
