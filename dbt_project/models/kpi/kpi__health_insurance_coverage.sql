-- Grain: one row per commune, month, breakdown and value. Insured persons per resident.
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

-- Exclusions are made before: cards not valid at month end, residents of other provinces, and
-- further cards of a person. Army and police cards are not in the list at all.
-- Numerator: persons, not cards.
numerator as (
    select
        period,
        unit_code,
        sex,
        {{ age_group('age') }} as age_group,
        count(*) as numerator,
        count(*) as contributors
    from {{ ref('int_insurance__insured_persons') }}
    where {{ is_computed_period() }}
    group by period, unit_code, sex, {{ age_group('age') }}
),

{{ kpi_final('health_insurance_coverage', breakdowns=['sex', 'age_group']) }}
