{{ config(indexes=[
    {'columns': ['period', 'kpi_id', 'boundary', 'unit_level']},
    {'columns': ['unit_id', 'kpi_id', 'breakdown', 'period']},
    {'columns': ['kpi_id', 'unit_level', 'breakdown', 'period']},
]) }}

-- Grain: one row per KPI, label, series, period, boundary, unit, breakdown and value.
with

cells as (
    select * from {{ ref('int_kpi__values') }}
),

suppressed_cells as (
    select * from {{ ref('int_kpi__suppressed_cells') }}
),

-- The last step before release: a hidden row stays, without its figures.
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
        case when suppressed_cells.cell_id is null then cells.numerator end as numerator,
        cells.denominator,
        case when suppressed_cells.cell_id is null then cells.value end as value,
        case when suppressed_cells.cell_id is null then cells.contributors end as contributors,
        cells.denominator_id,
        cells.denominator_vintage,
        cells.maturity,
        suppressed_cells.cell_id is not null as is_suppressed,
        cells.caveat_vi,
        cells.caveat_en
    from cells
    left join suppressed_cells
        on
            cells.cell_id = suppressed_cells.cell_id
            and cells.is_computed
)

select * from final
