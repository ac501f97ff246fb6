-- Grain: one row per computed KPI, label, series, month, commune, breakdown and value.
{% for kpi_id in computed_kpis() %}
select *
from {{ ref('kpi__' ~ kpi_id) }}
-- Later months belong to later releases.
where period <= {{ as_of_period() }}
{% if not loop.last %}
union all
{% endif %}
{% endfor %}
