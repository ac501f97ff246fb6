-- Grain: one row per commune or old province, month, breakdown and value.
-- Working-age people with unemployment insurance per working-age labour force.
with

months as (
    select period
    from {{ ref('int_geography__periods') }}
    where
        period_kind = 'month'
        and {{ is_computed_period() }}
),

-- Denominator: working-age labour force of the old province in the latest full year. The survey
-- has no figure for communes, so they have members but no rate.
denominator as (
    select
        months.period,
        survey.unit_code,
        survey.sex,
        survey.labour_force as denominator
    from {{ ref('stg_statistics_office__labour_force') }} as survey
    inner join months on survey.period = {{ latest_full_year('months.period') }}
),

-- Exclusions: civil servants and army, whose contracts have no unemployment insurance; people past
-- the retirement age. The list holds contributors: somebody who draws the benefit is not in it.
-- Numerator: persons with at least one contract that pays it, where they live.
numerator as (
    select
        period,
        unit_code,
        sex,
        count(*) as numerator,
        count(*) as contributors
    from {{ ref('int_insurance__members') }}
    where
        is_of_working_age
        and has_unemployment_insurance
        and {{ is_computed_period() }}
    group by period, unit_code, sex
),

{{ kpi_final('unemployment_insurance_coverage_wa_lf', breakdowns=['sex']) }}
