-- Grain: one row per commune, month, breakdown and value.
-- Children fully immunised, per child whose first birthday lies in the month.
with

-- The cohort method: every child is counted once, in one month, so no rate passes 100.
cohort as (
    select *
    from {{ ref('int_health__first_year_cohort') }}
    where {{ is_computed_period() }}
),

-- Denominator: children under management who turn one; civil registration has other numbers.
denominator as (
    select
        period,
        unit_code,
        sex,
        ethnic_group,
        count(*) as denominator
    from cohort
    group by period, unit_code, sex, ethnic_group
),

-- Exclusions are made before: moved out, died, second entries, doses recorded twice.
-- Numerator: every dose of the first year; paid vaccines and doses given elsewhere count.
numerator as (
    select
        period,
        unit_code,
        sex,
        ethnic_group,
        count(*) as numerator,
        count(*) as contributors
    from cohort
    where is_fully_immunised
    group by period, unit_code, sex, ethnic_group
),

{{ kpi_final('epi_full_immunisation_u1', breakdowns=['sex', 'ethnic_group']) }}
