{{ config(materialized='table') }}

-- Grain: one row per cell that is not shown, with the reason: small itself, or protecting one.
with

sums as (
    select * from {{ ref('int_kpi__sums') }}
),

primary_cells as (
    select cell_id from {{ ref('int_kpi__primary_cells') }}
),

{{ secondary_suppression('sums', 'primary_cells') }},

final as (
    select
        suppressed.cell_id,
        primary_cells.cell_id is not null as is_primary
    from suppressed
    left join primary_cells on suppressed.cell_id = primary_cells.cell_id
)

select * from final
