-- Grain: one row per commune, month, breakdown and value. Social dwellings accepted since 2021.
with

-- Exclusions: blocks licensed, started or open for sale, whatever is built of them; those accepted
-- before 2021-01-01, the base that the programme leaves open.
-- Numerator: dwellings of the accepted blocks; contributors are blocks.
numerator as (
    select
        period,
        unit_code,
        housing_type as category,
        sum(units_completed) as numerator,
        count(*) as contributors
    from {{ ref('stg_housing__social_housing_blocks') }}
    where
        accepted_on between date '2021-01-01' and {{ month_end('period') }}
        and {{ is_computed_period() }}
    group by period, unit_code, housing_type
),

{{ kpi_final('social_housing_units_completed', breakdowns=['category'], denominator=false) }}
