-- Grain: one row per commune, month, series, breakdown and value.
-- Poor and near-poor households with a child under 36 months to which assistance is paid.
with

-- A household once, whatever its children; paid when one of them is.
households as (
    select
        members.period,
        members.household_key,
        members.unit_code,
        members.poverty_class,
        members.ethnic_group,
        members.is_difficult_area,
        bool_or(paid.person_key is not null) as is_paid
    from {{ ref('int_poverty__listed_persons') }} as members
    left join {{ ref('int_social_protection__paid_persons') }} as paid
        on
            members.period = paid.period
            and members.person_key = paid.person_key
    where
        members.birth_month + interval '36 months' > {{ month_end('members.period') }}
        and {{ is_computed_period('members.period') }}
    group by
        members.period,
        members.household_key,
        members.unit_code,
        members.poverty_class,
        members.ethnic_group,
        members.is_difficult_area
),

-- The programme names every poor and near-poor household; the decree only those who live in
-- especially difficult ethnic-minority communes (Article 5, clause 7).
grouped as (
    select
        'programme_wording' as series,
        *
    from households

    union all

    select
        'decree_20_2021' as series,
        *
    from households
    where is_difficult_area
),

-- Denominator: households with a child under 36 months on the last day of the month.
denominator as (
    select
        period,
        unit_code,
        series,
        poverty_class,
        ethnic_group,
        count(*) as denominator
    from grouped
    group by period, unit_code, series, poverty_class, ethnic_group
),

-- Exclusions: benefits of other members, children who have died.
-- Numerator: households of which such a child was paid in the month, under whatever group.
numerator as (
    select
        period,
        unit_code,
        series,
        poverty_class,
        ethnic_group,
        count(*) as numerator,
        count(*) as contributors
    from grouped
    where is_paid
    group by period, unit_code, series, poverty_class, ethnic_group
),

{{ kpi_final(
    'assistance_poor_children_u36m',
    breakdowns=['poverty_class', 'ethnic_group'],
    series=['programme_wording', 'decree_20_2021'],
) }}
