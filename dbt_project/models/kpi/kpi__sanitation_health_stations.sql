-- Grain: one row per commune, year, breakdown and value.
-- Health stations with sanitation up to the standard, per station.
with

-- Stations of merged communes went on as points: both are counted, apart in the breakdown, or
-- the number of stations would fall with the reform while the buildings stay in use.
stations as (
    select
        *,
        station_kind as category
    from {{ ref('stg_health__facility_sanitation') }}
    where {{ is_computed_period() }}
),

-- Denominator: every station and point at year end.
denominator as (
    select
        period,
        unit_code,
        category,
        count(*) as denominator
    from stations
    group by period, unit_code, category
),

-- Exclusions: clean water without sanitation up to the standard does not make one.
-- Numerator: stations and points with sanitation up to the standard.
numerator as (
    select
        period,
        unit_code,
        category,
        count(*) as numerator,
        count(*) as contributors
    from stations
    where has_standard_toilet
    group by period, unit_code, category
),

{{ kpi_final('sanitation_health_stations', breakdowns=['category']) }}
