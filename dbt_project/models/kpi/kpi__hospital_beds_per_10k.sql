-- Grain: one row per commune, month, breakdown and value. Planned beds per resident.
with

delivered_communes as (
    select *
    from {{ ref('int_delivery__communes') }}
    where {{ is_computed_period() }}
),

-- Communes for which facilities and population were delivered.
scope as (
    select
        facilities.period,
        facilities.unit_code,
        greatest(facilities.data_label, population.data_label) as data_label,
        population.batch_id as denominator_vintage
    from delivered_communes as facilities
    inner join delivered_communes as population
        on
            facilities.period = population.period
            and facilities.unit_code = population.unit_code
            and population.dataset = 'statistics_office__commune_population'
    where facilities.dataset = 'health__facilities'
),

-- Denominator: every resident at month end.
denominator as (
    select
        period,
        unit_code,
        sum(population) as persons
    from {{ ref('int_population__commune_month') }}
    where {{ is_computed_period() }}
    group by period, unit_code
),

-- Exclusions: beds of commune health stations do not count in the target.
inpatient_facilities as (
    select *
    from {{ ref('stg_health__facilities') }}
    where
        facility_type_code in ('BV', 'PKDK')
        and {{ is_computed_period() }}
),

-- Numerator: beds of the plan, not the beds actually set up.
numerator as (
    select
        period,
        unit_code,
        sum(planned_beds) as beds,
        count(*) as facilities
    from inpatient_facilities
    group by period, unit_code
),

cells as (
    select
        scope.period,
        scope.unit_code,
        coalesce(numerator.beds, 0) as numerator,
        coalesce(denominator.persons, 0) as denominator,
        coalesce(numerator.facilities, 0) as contributors,
        scope.data_label,
        scope.denominator_vintage
    from scope
    left join denominator
        on
            scope.period = denominator.period
            and scope.unit_code = denominator.unit_code
    left join numerator
        on
            scope.period = numerator.period
            and scope.unit_code = numerator.unit_code
),

final as (
    {{ kpi_rows('hospital_beds_per_10k', 'cells', 'commune_population') }}
)

select * from final
