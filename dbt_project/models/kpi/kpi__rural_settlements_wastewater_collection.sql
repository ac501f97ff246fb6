-- Grain: one row per commune, year, breakdown and value. Rural settlements with sewage collection.
with

-- Denominator: settlements that the commune's plan has as concentrated; no master list exists.
denominator as (
    select
        period,
        unit_code,
        count(*) as denominator
    from {{ ref('stg_agriculture_environment__settlements') }}
    where
        is_concentrated
        and {{ is_computed_period() }}
    group by period, unit_code
),

-- Exclusions: scattered settlements. A settlement counts where it lies on 31 December: it keeps its
-- code, and its commune may have changed.
-- Numerator: those where domestic wastewater is collected.
numerator as (
    select
        period,
        unit_code,
        count(*) as numerator,
        count(*) as contributors
    from {{ ref('stg_agriculture_environment__settlements') }}
    where
        is_concentrated
        and has_collection
        and {{ is_computed_period() }}
    group by period, unit_code
),

{{ kpi_final('rural_settlements_wastewater_collection') }}
