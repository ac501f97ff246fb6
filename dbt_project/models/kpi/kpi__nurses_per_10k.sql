-- Grain: one row per commune, month, breakdown and value. Nurses per resident.
with

-- Denominator: every resident at month end.
denominator as (
    select
        period,
        unit_code,
        population as denominator
    from {{ ref('int_population__commune_total') }}
    where {{ is_computed_period() }}
),

-- Exclusions are made before: who does not work now, and second workplaces.
-- Numerator: nurses of any degree; midwives are a profession of their own.
numerator as (
    select
        period,
        unit_code,
        count(*) as numerator,
        count(*) as contributors
    from {{ ref('int_health__staff_main_workplace') }}
    where
        profession_code = 'DD'
        and {{ is_computed_period() }}
    group by period, unit_code
),

{{ kpi_final('nurses_per_10k') }}
