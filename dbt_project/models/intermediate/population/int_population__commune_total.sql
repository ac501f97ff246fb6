-- Grain: one row per commune and month; the denominator of rates per resident.
with

{% if population_basis() == 'register' %}
periods as (
    select * from {{ ref('int_geography__periods') }}
),

communes as (
    select * from {{ ref('int_geography__commune_by_period') }}
),

units as (
    select * from {{ ref('geo_unit') }}
),

-- The register is known for the communes of 2025-07-01; those before have no such figure.
final as (
    select
        communes.period,
        communes.unit_code,
        units.register_population_2025::bigint as population
    from communes
    inner join periods on communes.period = periods.period
    inner join units on communes.unit_id = units.unit_id
    where
        units.register_population_2025 is not null
        and periods.period_kind = 'month'
)
{% else %}
final as (
    select
        period,
        unit_code,
        sum(population)::bigint as population
    from {{ ref('int_population__commune_month') }}
    group by period, unit_code
)
{% endif %}

select * from final
