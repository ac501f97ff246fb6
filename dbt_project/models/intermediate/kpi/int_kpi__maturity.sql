-- Grain: one row per computed KPI and period; provisional where one of its inputs is.
with

batches as (
    select
        source || '__' || dataset as dataset,
        period,
        accepted_maturity
    from {{ ref('stg_audit__batches') }}
    where accepted_batch_id is not null
),

months as (
    select period
    from {{ ref('int_geography__periods') }}
    where period_kind = 'month'
),

inputs as (
    {% for kpi_id, kpi in computed_kpis().items() %}
    {%- set is_last_kpi = loop.last %}
    {%- for dataset in kpi.inputs %}
    select
        '{{ kpi_id }}' as kpi_id,
        {{ kpi_period(kpi, dataset, 'batches.period') }} as period,
        batches.accepted_maturity
    from batches
    {%- if kpi.get('frequency', 'month') == 'month' and dataset_frequency(dataset) == 'year' %}
    inner join months on batches.period = {{ latest_full_year('months.period') }}
    {%- endif %}
    where batches.dataset = '{{ dataset }}'
    {% if not (is_last_kpi and loop.last) %}
    union all

    {% endif %}
    {%- endfor %}
    {%- endfor %}
),

final as (
    select
        kpi_id,
        period,
        case
            when bool_and(accepted_maturity = 'final') then 'final'
            else 'provisional'
        end as maturity
    from inputs
    where period is not null
    group by kpi_id, period
)

select * from final
