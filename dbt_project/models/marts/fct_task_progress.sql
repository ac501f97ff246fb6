-- Grain: one row per label, task and implementing agency that it names: the agency's latest report.
with

tasks as (
    select * from {{ ref('dim_task') }}
),

agencies as (
    select * from {{ ref('programme_agency') }}
),

task_agencies as (
    select * from {{ ref('programme_task_agency') }}
),

reports as (
    select * from {{ ref('stg_programme_office__task_progress') }}
),

labels as (
    select distinct data_label
    from reports
),

-- Who was given a task and who has succeeded them, each under the name that the programme uses.
implementing as (
    select
        task_agencies.task_id,
        agencies.agency_id,
        agencies.successor_agency_id,
        -- Without a proven day the agency stays until its successor reports.
        coalesce(agencies.valid_to < {{ month_end(as_of_period()) }}, false) as has_ended
    from task_agencies
    inner join agencies on task_agencies.agency_id = agencies.agency_id
    where task_agencies.role = 'implement'
),

latest_reports as (
    select distinct on (reports.data_label, implementing.task_id, implementing.agency_id)
        reports.data_label,
        implementing.task_id,
        implementing.agency_id,
        reports.agency_id as reporting_agency_id,
        reports.period,
        reports.reported_on,
        reports.status_code,
        reports.percent_done,
        reports.late_reason_code
    from implementing
    inner join reports
        on
            implementing.task_id = reports.task_id
            and reports.agency_id in (implementing.agency_id, implementing.successor_agency_id)
    order by
        reports.data_label asc,
        implementing.task_id asc,
        implementing.agency_id asc,
        reports.period desc,
        reports.reported_on desc,
        -- In the quarter of the change both may report: the successor's word is the later one.
        reports.agency_id = implementing.successor_agency_id desc
),

task_kpis as (
    select
        tasks.task_id,
        named.kpi_id
    from tasks
    cross join lateral unnest(string_to_array(tasks.kpi_ids, ';')) as named (kpi_id)
),

-- Real figures stand beside sample reports, never the other way round.
verdicts as (
    select distinct on (labels.data_label, scorecard.kpi_id)
        labels.data_label,
        scorecard.kpi_id,
        scorecard.verdict
    from labels
    inner join {{ ref('scorecard') }} as scorecard
        on scorecard.data_label in (labels.data_label, 'real')
    -- The tasks and the targets are those of the province of the programme.
    where scorecard.boundary = 'qn_programme'
    order by
        labels.data_label asc,
        scorecard.kpi_id asc,
        scorecard.data_label = labels.data_label desc
),

moved_kpis as (
    select
        labels.data_label,
        task_kpis.task_id,
        string_agg(
            task_kpis.kpi_id || ': ' || coalesce(verdicts.verdict, 'not_available'),
            '; ' order by task_kpis.kpi_id
        ) as kpi_verdicts,
        count(*) filter (where verdicts.verdict <> 'not_available') as kpis_judged,
        count(*) filter (
            where verdicts.verdict in ('limited_progress', 'deterioration')
        ) as kpis_behind
    from labels
    cross join task_kpis
    left join verdicts
        on
            labels.data_label = verdicts.data_label
            and task_kpis.kpi_id = verdicts.kpi_id
    group by labels.data_label, task_kpis.task_id
),

-- An agency that has never reported keeps its row: silence is not progress.
answered as (
    select
        labels.data_label,
        implementing.task_id,
        implementing.agency_id,
        coalesce(
            latest_reports.reporting_agency_id,
            case when implementing.has_ended then implementing.successor_agency_id end,
            implementing.agency_id
        ) as responsible_agency_id,
        latest_reports.period,
        latest_reports.reported_on,
        case latest_reports.status_code
            when 'CTH' then 'not_started'
            when 'DTH' then 'in_progress'
            when 'HT' then 'done'
            when 'CH' then 'late'
            else 'not_reported'
        end as task_status,
        latest_reports.percent_done,
        latest_reports.late_reason_code
    from labels
    cross join implementing
    left join latest_reports
        on
            labels.data_label = latest_reports.data_label
            and implementing.task_id = latest_reports.task_id
            and implementing.agency_id = latest_reports.agency_id
),

final as (
    select
        answered.data_label::text as data_label,
        answered.task_id::text as task_id,
        answered.agency_id::text as implementing_agency_id,
        named.name_vi::text as implementing_vi,
        named.name_en::text as implementing_en,
        answered.responsible_agency_id::text as responsible_agency_id,
        responsible.name_vi::text as responsible_vi,
        responsible.name_en::text as responsible_en,
        tasks.lead_agency_id,
        tasks.lead_vi,
        tasks.lead_en,
        tasks.due_on,
        answered.period::text as report_period,
        answered.reported_on::date as reported_on,
        answered.task_status::text as task_status,
        answered.percent_done::integer as percent_done,
        answered.late_reason_code::text as late_reason_code,
        (
            answered.task_status = 'late'
            or (
                answered.task_status <> 'done'
                -- Most tasks have no due date: they are late only where their agency says so.
                and coalesce(tasks.due_on < {{ month_end(as_of_period()) }}, false)
            )
        ) as is_late,
        tasks.kpi_ids,
        moved_kpis.kpi_verdicts::text as kpi_verdicts,
        coalesce(moved_kpis.kpis_judged, 0)::integer as kpis_judged,
        coalesce(moved_kpis.kpis_behind, 0)::integer as kpis_behind
    from answered
    inner join tasks on answered.task_id = tasks.task_id
    inner join agencies as named on answered.agency_id = named.agency_id
    inner join agencies as responsible on answered.responsible_agency_id = responsible.agency_id
    left join moved_kpis
        on
            answered.data_label = moved_kpis.data_label
            and answered.task_id = moved_kpis.task_id
)

select * from final
