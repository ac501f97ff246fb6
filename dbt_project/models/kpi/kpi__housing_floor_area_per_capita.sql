-- Grain: one row per commune, year, breakdown and value. Square metres of floor per resident.
with

-- Denominator: the residents of these houses, as counted in the same report.
denominator as (
    select
        period,
        unit_code,
        house_type as category,
        sum(persons) as denominator
    from {{ ref('stg_housing__floor_area') }}
    where {{ is_computed_period() }}
    group by period, unit_code, house_type
),

-- Exclusions: none. The living area of the census leaves out kitchens and stores: not mixed in.
-- Numerator: floor area, all rooms; contributors are residents.
numerator as (
    select
        period,
        unit_code,
        house_type as category,
        sum(floor_area_m2) as numerator,
        sum(persons) as contributors
    from {{ ref('stg_housing__floor_area') }}
    where {{ is_computed_period() }}
    group by period, unit_code, house_type
),

{{ kpi_final('housing_floor_area_per_capita', breakdowns=['category']) }}
