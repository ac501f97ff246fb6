-- Grain: one row per commune, month, breakdown and value.
-- Pupils aged 6-10 per resident of that age.
with

-- Denominator: residents aged 6-10 by the first year of the school year.
denominator as (
    select
        period,
        unit_code,
        sex,
        sum(population) as denominator
    from {{ ref('int_population__commune_month') }}
    where
        school_age between 6 and 10
        and {{ is_computed_period() }}
    group by period, unit_code, sex
),

-- Exclusions: pupils older or younger than 6-10, which is what makes the rate a net one.
-- Numerator: persons at this level, in their commune of residence.
numerator as (
    select
        period,
        unit_code,
        sex,
        count(*) as numerator,
        count(*) as contributors
    from {{ ref('int_education__enrolled_pupils') }}
    where
        level_group = 'primary'
        and school_age between 6 and 10
        and {{ is_computed_period() }}
    group by period, unit_code, sex
),

{{ kpi_final('net_enrolment_primary', breakdowns=['sex']) }}
