-- As many verdicts as series of a unit.
with

series as (
    select distinct
        kpi_id,
        data_label,
        series,
        boundary,
        unit_id
    from {{ ref('fct_kpi_value') }}
    where breakdown = 'total'
)

select series.*
from series
left join {{ ref('fct_kpi_verdict') }} as verdicts
    on
        series.kpi_id = verdicts.kpi_id
        and series.data_label = verdicts.data_label
        and series.series = verdicts.series
        and series.boundary = verdicts.boundary
        and series.unit_id = verdicts.unit_id
where verdicts.kpi_id is null
