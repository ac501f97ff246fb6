-- Grain: one row per commune, year, breakdown and value.
-- Children with height for age below -2 standard deviations, per child measured.
with

-- Exclusions: z-scores beyond 6, which are errors of measurement. Weighing at the station is no
-- sample and is not in the survey; weight for age ("undernutrition" of yearbooks) is another KPI.
-- The survey took the age in days, and corrected length lying against height standing.
measured as (
    select *
    from {{ ref('stg_health__nutrition_survey') }}
    where
        abs(height_for_age_z) <= 6
        and {{ is_computed_period() }}
),

-- Denominator: children of 0-59 months with a plausible measurement.
denominator as (
    select
        period,
        unit_code,
        sex,
        ethnic_group_code as ethnic_group,
        count(*) as denominator
    from measured
    group by period, unit_code, sex, ethnic_group_code
),

-- Numerator: stunted children; a z-score of -2 itself is not below it.
numerator as (
    select
        period,
        unit_code,
        sex,
        ethnic_group_code as ethnic_group,
        count(*) as numerator,
        count(*) as contributors
    from measured
    where height_for_age_z < -2
    group by period, unit_code, sex, ethnic_group_code
),

{{ kpi_final('stunting_u5', breakdowns=['sex', 'ethnic_group']) }}
