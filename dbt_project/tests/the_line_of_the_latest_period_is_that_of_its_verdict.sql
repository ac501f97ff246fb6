-- Two places draw the line from base to target: at the latest period they say the same.
with

latest as (
    select *
    from {{ ref('kpi_timeseries') }}
    where is_latest
),

verdicts as (
    select * from {{ ref('fct_kpi_verdict') }}
)

select
    verdicts.*,
    latest.target_line_value
from verdicts
left join latest
    on
        verdicts.kpi_id = latest.kpi_id
        and verdicts.data_label = latest.data_label
        and verdicts.series = latest.series
        and verdicts.boundary = latest.boundary
        and verdicts.unit_id = latest.unit_id
where
    latest.kpi_id is null
    or abs(verdicts.straight_line_expected - latest.target_line_value) > 0.00001
    or (verdicts.straight_line_expected is null) <> (latest.target_line_value is null)
