-- Grain: one row per cell that stands for too few people to be shown.
with

cells as (
    select *
    from {{ ref('int_kpi__values') }}
    -- A figure that the agency itself has published is not ours to withhold.
    where is_computed
),

kpis as (
    select * from {{ ref('programme_kpi') }}
),

final as (
    select distinct
        cells.cell_id,
        cells.kpi_id,
        cells.data_label,
        cells.series,
        cells.period
    from cells
    inner join kpis on cells.kpi_id = kpis.kpi_id
    where
        kpis.disclosure = 'personal'
        and {{ is_small_count('cells.contributors') }}
)

select * from final
