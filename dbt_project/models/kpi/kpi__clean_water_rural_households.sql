-- Grain: one row per commune, year, breakdown and value. Rural households with standard water.
with

-- Poor households and the others: the list gives the whole and the poor part of it.
households as (
    select
        period,
        unit_code,
        'HN' as household_group,
        poor_households as households,
        poor_households_indicator_02 as with_standard_water
    from {{ ref('stg_agriculture_environment__rural_water') }}
    where {{ is_computed_period() }}

    union all

    select
        period,
        unit_code,
        'KHAC' as household_group,
        households - poor_households as households,
        households_indicator_02 - poor_households_indicator_02 as with_standard_water
    from {{ ref('stg_agriculture_environment__rural_water') }}
    where {{ is_computed_period() }}
),

-- Denominator: every rural household.
denominator as (
    select
        period,
        unit_code,
        household_group,
        sum(households) as denominator
    from households
    group by period, unit_code, household_group
),

-- Exclusions: none here; lists by the indicator sets of 2012 and 2018 stay in quarantine.
-- Numerator: indicator 02, water tested up to the standard, not the hygienic water of 01.
numerator as (
    select
        period,
        unit_code,
        household_group,
        sum(with_standard_water) as numerator,
        sum(with_standard_water) as contributors
    from households
    group by period, unit_code, household_group
),

{{ kpi_final('clean_water_rural_households', breakdowns=['household_group']) }}
