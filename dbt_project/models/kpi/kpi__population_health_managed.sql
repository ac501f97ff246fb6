-- Grain: one row per commune, month, breakdown and value.
-- Residents whose record is kept up to date, per resident.
with

-- Denominator: every resident at month end.
denominator as (
    select
        period,
        unit_code,
        sex,
        {{ age_group('age') }} as age_group,
        sum(population) as denominator
    from {{ ref('int_population__commune_month') }}
    where {{ is_computed_period() }}
    group by period, unit_code, sex, {{ age_group('age') }}
),

records as (
    select
        *,
        left(period, 4)::integer - birth_year as age
    from {{ ref('stg_health__health_records') }}
    where {{ is_computed_period() }}
),

-- Exclusions: records opened and not updated in the last 12 months: opened is not managed.
-- The platform counts a resident once, whatever the number of records; the health book in VNeID
-- is another system and is not added.
-- Numerator: residents with a record updated in the last 12 months.
numerator as (
    select
        period,
        unit_code,
        sex,
        {{ age_group('age') }} as age_group,
        sum(persons_managed) as numerator,
        sum(persons_managed) as contributors
    from records
    group by period, unit_code, sex, {{ age_group('age') }}
),

{{ kpi_final('population_health_managed', breakdowns=['sex', 'age_group']) }}
