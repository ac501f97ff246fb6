-- Grain: one row per series, unit and year. Units recognised for literacy, level 2.
with

-- The programme's unit, the district, ended on 2025-07-01: before and after are two series.
-- Exclusions: preschool. Thresholds are lower in difficult communes: the decision has applied them.
units as (
    select
        period,
        case when period < '2025' then 'districts' else 'communes' end as series,
        unit_code,
        is_recognised = '1' and level_code = '2' as is_at_level_2
    from {{ ref('stg_education__universalisation') }}
    where
        programme_code = 'XMC'
        and {{ is_computed_period() }}
),

-- Denominator: units examined, at whichever level.
denominator as (
    select
        series,
        period,
        unit_code,
        count(*) as denominator
    from units
    group by series, period, unit_code
),

-- Numerator: units recognised at level 2.
numerator as (
    select
        series,
        period,
        unit_code,
        count(*) as numerator,
        count(*) as contributors
    from units
    where is_at_level_2
    group by series, period, unit_code
),

{{ kpi_final('literacy_level2_units', series=true) }}
