-- Grain: one row per commune, year, breakdown and value. Households with sanitation up to standard.
with

-- Denominator: all households, where all were visited.
denominator as (
    select
        period,
        unit_code,
        sum(households) as denominator
    from {{ ref('stg_agriculture_environment__household_sanitation') }}
    where
        coverage_code = 'TB'
        and {{ is_computed_period() }}
    group by period, unit_code
),

-- Exclusions: communes where only the households of the poverty review were visited.
-- Numerator: households whose sanitation meets the standard, which is more than a hygienic latrine.
numerator as (
    select
        period,
        unit_code,
        sum(households_with_standard_latrine) as numerator,
        sum(households_with_standard_latrine) as contributors
    from {{ ref('stg_agriculture_environment__household_sanitation') }}
    where
        coverage_code = 'TB'
        and {{ is_computed_period() }}
    group by period, unit_code
),

{{ kpi_final('sanitation_households') }}
