-- Grain: one row per commune, month, breakdown and value. Pharmacists per resident.
with

delivered_communes as (
    select *
    from {{ ref('int_delivery__communes') }}
    where {{ is_computed_period() }}
),

-- Communes for which staff, facilities and population were delivered.
scope as (
    select
        staff.period,
        staff.unit_code,
        greatest(staff.data_label, facilities.data_label, population.data_label) as data_label,
        population.batch_id as denominator_vintage
    from delivered_communes as staff
    inner join delivered_communes as facilities
        on
            staff.period = facilities.period
            and staff.unit_code = facilities.unit_code
            and facilities.dataset = 'health__facilities'
    inner join delivered_communes as population
        on
            staff.period = population.period
            and staff.unit_code = population.unit_code
            and population.dataset = 'statistics_office__commune_population'
    where staff.dataset = 'health__staff'
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

-- Exclusions are made before: who does not work now, and second workplaces.
-- Numerator: pharmacists with a university degree or higher.
numerator as (
    select
        period,
        unit_code,
        count(*) as persons
    from {{ ref('int_health__staff_main_workplace') }}
    where
        profession_code = 'DS'
        and has_university_degree
        and {{ is_computed_period() }}
    group by period, unit_code
),

cells as (
    select
        scope.period,
        scope.unit_code,
        coalesce(numerator.persons, 0) as numerator,
        coalesce(denominator.persons, 0) as denominator,
        coalesce(numerator.persons, 0) as contributors,
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
    {{ kpi_rows('pharmacists_per_10k', 'cells', 'commune_population') }}
)

select * from final
