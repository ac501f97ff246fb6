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

-- An annual figure holds for the months until the next one.
carried as (
    select
        batches.dataset,
        months.period,
        batches.accepted_maturity
    from batches
    inner join months on batches.period = {{ latest_full_year('months.period') }}
),

inputs as (
    {%- for kpi_id, kpi in computed_kpis().items() %}
    {%- set is_last_kpi = loop.last %}
    {%- for dataset in kpi.inputs %}
    {%- set is_monthly = kpi.get('frequency', 'month') == 'month' %}
    {%- set is_carried = is_monthly and dataset_frequency(dataset) == 'year' %}

    select
        '{{ kpi_id }}' as kpi_id,
        {{ 'period' if is_carried else kpi_period(kpi, dataset) ~ ' as period' }},
        accepted_maturity
    from {{ 'carried' if is_carried else 'batches' }}
    where dataset = '{{ dataset }}'
    {%- if not (is_last_kpi and loop.last) %}

    union all
    {%- endif %}
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
