-- Grain: one row per computed KPI, label, series, period, unit, breakdown and value.
{% for kpi_id in computed_kpis() %}
select *
from {{ ref('kpi__' ~ kpi_id) }}
-- Later periods belong to later releases.
where period in (select periods.period from {{ ref('int_geography__periods') }} as periods)
{% if not loop.last %}
union all
{% endif %}
{% endfor %}
