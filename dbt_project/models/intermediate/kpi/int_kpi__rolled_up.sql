{{ config(
    materialized='incremental',
    incremental_strategy='replace_periods',
    on_schema_change='fail',
    indexes=[{'columns': ['period']}],
) }}

-- Grain: one row per computed KPI, label, series, period, boundary, unit, breakdown and value.
with

commune_values as (
    select *
    from {{ ref('int_kpi__commune_values') }}
    where {{ is_computed_period() }}
),

membership as (
    select *
    from {{ ref('int_geography__unit_membership') }}
    where {{ is_computed_period() }}
),

placed as (
    select
        commune_values.kpi_id,
        commune_values.data_label,
        commune_values.series,
        commune_values.period,
        membership.boundary,
        membership.unit_level,
        membership.unit_code,
        membership.unit_id,
        membership.old_province_code,
        membership.urban_rural,
        membership.zone,
        commune_values.breakdown,
        commune_values.breakdown_value,
        commune_values.numerator,
        commune_values.denominator,
        commune_values.contributors,
        commune_values.denominator_id,
        commune_values.denominator_vintage
    from commune_values
    inner join membership
        on
            commune_values.period = membership.period
            and commune_values.unit_code = membership.member_code
),

-- A boundary is shown only where every old province in it delivered.
expected_provinces as (
    select
        period,
        boundary,
        count(distinct old_province_code) as provinces
    from membership
    group by period, boundary
),

complete_boundaries as (
    select
        placed.kpi_id,
        placed.period,
        placed.boundary
    from placed
    inner join expected_provinces
        on
            placed.period = expected_provinces.period
            and placed.boundary = expected_provinces.boundary
    where placed.unit_level = 'boundary' and placed.breakdown = 'total'
    group by placed.kpi_id, placed.period, placed.boundary, expected_provinces.provinces
    having count(distinct placed.old_province_code) = expected_provinces.provinces
),

-- Town or country and zone are properties of the commune: they divide only what is above it.
with_residence_breakdowns as (
    select
        kpi_id,
        data_label,
        series,
        period,
        boundary,
        unit_level,
        unit_code,
        unit_id,
        breakdown,
        breakdown_value,
        numerator,
        denominator,
        contributors,
        denominator_id,
        denominator_vintage
    from placed
    {% for breakdown in ['urban_rural', 'zone'] %}
    union all

    select
        kpi_id,
        data_label,
        series,
        period,
        boundary,
        unit_level,
        unit_code,
        unit_id,
        '{{ breakdown }}' as breakdown,
        {{ breakdown }} as breakdown_value,
        numerator,
        denominator,
        contributors,
        denominator_id,
        denominator_vintage
    from placed
    where
        breakdown = 'total'
        and unit_level <> 'commune'
        -- A figure of a district or province as one is neither urban nor rural.
        and {{ breakdown }} is not null
    {% endfor %}
),

-- Numerators and denominators are added; rates are never averaged.
final as (
    select
        cells.kpi_id,
        cells.data_label,
        cells.series,
        cells.period,
        cells.boundary,
        cells.unit_level,
        cells.unit_code,
        cells.unit_id,
        cells.breakdown,
        cells.breakdown_value,
        sum(cells.numerator) as numerator,
        sum(cells.denominator) as denominator,
        sum(cells.contributors)::bigint as contributors,
        max(cells.denominator_id) as denominator_id,
        max(cells.denominator_vintage) as denominator_vintage
    from with_residence_breakdowns as cells
    inner join complete_boundaries
        on
            cells.kpi_id = complete_boundaries.kpi_id
            and cells.period = complete_boundaries.period
            and cells.boundary = complete_boundaries.boundary
    group by
        cells.kpi_id,
        cells.data_label,
        cells.series,
        cells.period,
        cells.boundary,
        cells.unit_level,
        cells.unit_code,
        cells.unit_id,
        cells.breakdown,
        cells.breakdown_value
)

select * from final
