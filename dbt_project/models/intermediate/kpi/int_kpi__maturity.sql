-- Grain: one row per computed KPI and month; provisional where one of its inputs is.
with

inputs (kpi_id, dataset) as (
    values
    {%- for kpi_id, kpi in computed_kpis().items() %}
    {%- set last_kpi = loop.last %}
    {%- for dataset in kpi.inputs %}
    ('{{ kpi_id }}', '{{ dataset }}'){{ '' if last_kpi and loop.last else ',' }}
    {%- endfor %}
    {%- endfor %}
),

batches as (
    select * from {{ ref('stg_audit__batches') }}
),

final as (
    select
        inputs.kpi_id,
        batches.period,
        case
            when bool_and(batches.accepted_maturity = 'final') then 'final'
            else 'provisional'
        end as maturity
    from inputs
    inner join batches on inputs.dataset = batches.source || '__' || batches.dataset
    where batches.accepted_batch_id is not null
    group by inputs.kpi_id, batches.period
)

select * from final
