-- A commune of a delivered province has a row in the total of each KPI.
with

delivered as (
    {% for kpi_id, kpi in computed_kpis().items() %}
    select
        '{{ kpi_id }}' as kpi_id,
        period,
        unit_code
    from {{ ref('int_delivery__communes') }}
    where
        dataset in (
            {%- for dataset in kpi.inputs %}
            '{{ dataset }}'{{ '' if loop.last else ',' }}
            {%- endfor %}
        )
    group by period, unit_code
    having count(*) = {{ kpi.inputs | length }}
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
)

select delivered.*
from delivered
left join {{ ref('int_kpi__commune_values') }} as found
    on
        delivered.kpi_id = found.kpi_id
        and delivered.period = found.period
        and delivered.unit_code = found.unit_code
        and found.breakdown = 'total'
where found.kpi_id is null and delivered.period <= {{ as_of_period() }}
