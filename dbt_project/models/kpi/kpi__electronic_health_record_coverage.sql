-- Grain: one row per commune, month, breakdown and value.
-- Residents with an electronic record, per resident.
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

-- Exclusions: second records of a person (the platform counts a resident once) and the health
-- book in VNeID, which is another system.
-- Numerator: residents with a record, kept up to date or not.
numerator as (
    select
        period,
        unit_code,
        sex,
        {{ age_group('age') }} as age_group,
        sum(persons_with_record) as numerator,
        sum(persons_with_record) as contributors
    from records
    group by period, unit_code, sex, {{ age_group('age') }}
),

{{ kpi_final('electronic_health_record_coverage', breakdowns=['sex', 'age_group']) }}
