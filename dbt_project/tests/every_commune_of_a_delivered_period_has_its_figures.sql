-- A commune of a delivered province has a row in the total of each KPI.
with

delivered as (
    {% for kpi_id, kpi in computed_kpis().items() if kpi.get('level', 'commune') == 'commune' %}
    select
        '{{ kpi_id }}' as kpi_id,
        period,
        unit_code
    from ({{ kpi_scope(kpi) }}) as scope
    where length(unit_code) = 5
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
where
    found.kpi_id is null
    and delivered.period in (
        select periods.period from {{ ref('int_geography__periods') }} as periods
    )
