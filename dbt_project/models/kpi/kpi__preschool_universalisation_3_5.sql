-- Grain: one row per commune and year. Communes recognised for universal preschool, ages 3-5.
with

-- Exclusions: literacy. Children are not counted here: age is school year less year of birth, some
-- are enrolled elsewhere, and two sources differ on how many there are. The decision settles it.
communes as (
    select
        period,
        unit_code,
        is_recognised = '1' as is_recognised
    from {{ ref('stg_education__universalisation') }}
    where
        programme_code = 'PCGDMN'
        and {{ is_computed_period() }}
),

-- Denominator: communes examined.
denominator as (
    select
        period,
        unit_code,
        count(*) as denominator
    from communes
    group by period, unit_code
),

-- Numerator: communes recognised.
numerator as (
    select
        period,
        unit_code,
        count(*) as numerator,
        count(*) as contributors
    from communes
    where is_recognised
    group by period, unit_code
),

{{ kpi_final('preschool_universalisation_3_5') }}
