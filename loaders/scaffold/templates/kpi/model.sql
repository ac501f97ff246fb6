-- Grain: one row per commune, month, breakdown and value. Households reached per household.
with

-- Denominator: every household of the commune.
denominator as (
    select
        period,
        unit_code,
        households as denominator
    from {{ ref('stg_[[ source ]]__[[ dataset ]]') }}
    where {{ is_computed_period() }}
),

-- Exclusions: none.
-- Numerator: households that have what is counted.
numerator as (
    select
        period,
        unit_code,
        households_reached as numerator,
        households_reached as contributors
    from {{ ref('stg_[[ source ]]__[[ dataset ]]') }}
    where {{ is_computed_period() }}
),

{{ kpi_final('[[ kpi_id ]]') }}
