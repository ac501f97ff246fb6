-- Each KPI of the register has a row, also where nobody delivers it.
select kpis.kpi_id
from {{ ref('programme_kpi') }} as kpis
left join {{ ref('scorecard') }} as scorecard on kpis.kpi_id = scorecard.kpi_id
where scorecard.kpi_id is null
