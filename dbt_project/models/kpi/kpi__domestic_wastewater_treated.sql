-- Grain: one row per commune, year, breakdown and value. Domestic wastewater treated to standard.
with

-- Denominator: cubic metres a day generated, an estimate from water use.
denominator as (
    select
        period,
        unit_code,
        area_type as category,
        sum(generated_m3_day) as denominator
    from {{ ref('stg_agriculture_environment__wastewater') }}
    where {{ is_computed_period() }}
    group by period, unit_code, area_type
),

-- Exclusions: none. The programme's sentence speaks of rural settlements, so its scope is open: the
-- total is town and country, and the breakdown gives each.
-- Numerator: cubic metres a day treated to the standard; contributors are areas with treatment.
numerator as (
    select
        period,
        unit_code,
        area_type as category,
        sum(treated_m3_day) as numerator,
        count(*) filter (where treated_m3_day > 0) as contributors
    from {{ ref('stg_agriculture_environment__wastewater') }}
    where {{ is_computed_period() }}
    group by period, unit_code, area_type
),

{{ kpi_final('domestic_wastewater_treated', breakdowns=['category']) }}
