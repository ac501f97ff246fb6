-- Grain: one row per commune, month, breakdown and value. Planned beds per resident.
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

-- Exclusions: beds of commune health stations do not count in the target.
-- Numerator: beds of the plan, not the beds actually set up.
numerator as (
    select
        period,
        unit_code,
        sum(planned_beds) as numerator,
        count(*) as contributors
    from {{ ref('stg_health__facilities') }}
    where
        facility_type_code in ('BV', 'PKDK')
        and {{ is_computed_period() }}
    group by period, unit_code
),

{{ kpi_final('hospital_beds_per_10k') }}
