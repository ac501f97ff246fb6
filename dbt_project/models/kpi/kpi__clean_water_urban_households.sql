-- Grain: one row per commune, year, breakdown and value. Urban households with standard water.
with

-- Denominator: every household of the communes that are urban on 31 December; the townships ended
-- with 2025-06-30, and the border lets no rural commune in.
denominator as (
    select
        period,
        unit_code,
        sum(households) as denominator
    from {{ ref('stg_housing__urban_water') }}
    where {{ is_computed_period() }}
    group by period, unit_code
),

-- Exclusions: none. Households count, neither persons nor meters: one meter may serve several.
-- Numerator: households with piped water up to the standard, of all utilities.
numerator as (
    select
        period,
        unit_code,
        sum(households_with_standard_water) as numerator,
        sum(households_with_standard_water) as contributors
    from {{ ref('stg_housing__urban_water') }}
    where {{ is_computed_period() }}
    group by period, unit_code
),

{{ kpi_final('clean_water_urban_households') }}
