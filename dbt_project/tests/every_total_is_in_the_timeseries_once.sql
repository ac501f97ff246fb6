-- The joins of the wide mart neither lose a published total nor show another figure.
with

totals as (
    select *
    from {{ ref('fct_kpi_value') }}
    where breakdown = 'total'
),

shown as (
    select * from {{ ref('kpi_timeseries') }}
)

select
    totals.kpi_id,
    totals.unit_id,
    totals.period,
    totals.value,
    shown.value as shown_value
from totals
full outer join shown
    on
        totals.kpi_id = shown.kpi_id
        and totals.data_label = shown.data_label
        and totals.series = shown.series
        and totals.boundary = shown.boundary
        and totals.unit_id = shown.unit_id
        and totals.period = shown.period
where
    totals.kpi_id is null
    or shown.kpi_id is null
    or totals.value is distinct from shown.value
    or totals.is_suppressed <> shown.is_suppressed
