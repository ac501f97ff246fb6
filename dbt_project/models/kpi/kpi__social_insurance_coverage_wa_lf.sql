-- Grain: one row per commune or old province, month, breakdown and value.
-- Working-age members of social insurance, compulsory or voluntary, per working-age labour force.
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

-- Exclusions: suspended contracts and lapsed coverage; people past the retirement age of the month,
-- who are not in the denominator either; children under 15. Army and police are insured elsewhere
-- and are not in the list. Household business owners are compulsory members since 2025-07.
-- Numerator: persons, not contracts, where they live and not where their employer pays.
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
        and {{ is_computed_period() }}
    group by period, unit_code, sex
),

{{ kpi_final('social_insurance_coverage_wa_lf', breakdowns=['sex']) }}
