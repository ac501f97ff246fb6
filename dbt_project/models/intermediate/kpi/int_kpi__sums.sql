{{ config(
    materialized='table',
    indexes=[{'columns': ['sum_id']}],
    pre_hook='set local enable_nestloop = off'
) }}

-- The planner expects one affected cell where there are thousands; row by row the join of parts
-- and wholes takes two minutes, hashed it takes two seconds.

-- Grain: one row per published sum and cell in it: the parts, and the whole where it is shown.
with

computed_values as (
    select *
    from {{ ref('int_kpi__values') }}
    where is_computed
),

affected as (
    select distinct
        kpi_id,
        data_label,
        series,
        period
    from {{ ref('int_kpi__primary_cells') }}
),

-- Only months of a KPI in which a cell is small need protection.
cells as (
    select distinct
        computed_values.cell_id,
        computed_values.kpi_id,
        computed_values.data_label,
        computed_values.series,
        computed_values.period,
        computed_values.unit_level,
        computed_values.unit_code,
        computed_values.breakdown,
        computed_values.breakdown_value,
        computed_values.contributors
    from computed_values
    inner join affected
        on
            computed_values.kpi_id = affected.kpi_id
            and computed_values.data_label = affected.data_label
            and computed_values.series = affected.series
            and computed_values.period = affected.period
),

membership as (
    select * from {{ ref('int_geography__unit_membership') }}
),

communes as (
    select
        period,
        unit_code,
        district_code,
        old_province_code,
        urban_rural,
        zone
    from {{ ref('int_geography__commune_by_period') }}
),

-- Who adds up to whom. The old provinces are never printed, but the two boundaries give them away.
unit_sums as (
    select distinct
        period,
        'commune' as part_level,
        unit_code as part_code,
        'district' as whole_level,
        district_code as whole_code
    from communes
    where district_code is not null

    union all

    select distinct
        period,
        case when district_code is null then 'commune' else 'district' end as part_level,
        coalesce(district_code, unit_code) as part_code,
        'old_province' as whole_level,
        old_province_code as whole_code
    from communes

    union all

    select distinct
        membership.period,
        case when communes.district_code is null then 'commune' else 'district' end as part_level,
        coalesce(communes.district_code, communes.unit_code) as part_code,
        'boundary' as whole_level,
        membership.boundary as whole_code
    from membership
    inner join communes
        on
            membership.period = communes.period
            and membership.member_code = communes.unit_code
    where membership.unit_level = 'boundary'
),

-- Parts by unit: communes of a district, districts of a boundary, for one breakdown value.
parts_by_unit as (
    select
        concat_ws(
            '|', 'unit', cells.kpi_id, cells.data_label, cells.series, cells.period,
            unit_sums.whole_level, unit_sums.whole_code, cells.breakdown, cells.breakdown_value
        ) as sum_id,
        cells.kpi_id,
        cells.data_label,
        cells.series,
        cells.period,
        unit_sums.whole_level,
        unit_sums.whole_code,
        cells.breakdown as whole_breakdown,
        cells.breakdown_value as whole_breakdown_value,
        cells.cell_id,
        cells.contributors
    from cells
    inner join unit_sums
        on
            cells.period = unit_sums.period
            and cells.unit_level = unit_sums.part_level
            and cells.unit_code = unit_sums.part_code
),

-- Parts by value: the values of one breakdown of one unit.
parts_by_breakdown as (
    select
        concat_ws(
            '|', 'breakdown', kpi_id, data_label, series, period, unit_level, unit_code, breakdown
        ) as sum_id,
        kpi_id,
        data_label,
        series,
        period,
        unit_level as whole_level,
        unit_code as whole_code,
        'total' as whole_breakdown,
        'total' as whole_breakdown_value,
        cell_id,
        contributors
    from cells
    where breakdown <> 'total'
),

class_membership as (
    select distinct
        period,
        member_code,
        unit_level,
        unit_code,
        urban_rural,
        zone
    from membership
    where unit_level <> 'commune' and member_level = 'commune'
),

-- Parts by class: the urban communes of a district add to its urban figure, and so on.
parts_by_class as (
    {% for class in ['urban_rural', 'zone'] %}
    select
        concat_ws(
            '|', 'class', cells.kpi_id, cells.data_label, cells.series, cells.period,
            membership.unit_level, membership.unit_code, '{{ class }}', membership.{{ class }}
        ) as sum_id,
        cells.kpi_id,
        cells.data_label,
        cells.series,
        cells.period,
        membership.unit_level as whole_level,
        membership.unit_code as whole_code,
        '{{ class }}' as whole_breakdown,
        membership.{{ class }} as whole_breakdown_value,
        cells.cell_id,
        cells.contributors
    from cells
    inner join class_membership as membership
        on
            cells.period = membership.period
            and cells.unit_code = membership.member_code
    where cells.unit_level = 'commune' and cells.breakdown = 'total'
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

parts as (
    select * from parts_by_unit

    union all

    select * from parts_by_breakdown

    union all

    select * from parts_by_class
),

wholes as (
    select distinct
        parts.sum_id,
        cells.cell_id,
        cells.contributors
    from parts
    inner join cells
        on
            parts.kpi_id = cells.kpi_id
            and parts.data_label = cells.data_label
            and parts.series = cells.series
            and parts.period = cells.period
            and parts.whole_level = cells.unit_level
            and parts.whole_code = cells.unit_code
            and parts.whole_breakdown = cells.breakdown
            and parts.whole_breakdown_value = cells.breakdown_value
),

final as (
    select
        sum_id,
        cell_id,
        contributors,
        false as is_whole
    from parts

    union all

    select
        sum_id,
        cell_id,
        contributors,
        true as is_whole
    from wholes
)

select * from final
