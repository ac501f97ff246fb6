-- Grain: one row per task of the programme.
with

tasks as (
    select * from {{ ref('programme_task') }}
),

agencies as (
    select * from {{ ref('programme_agency') }}
),

task_agencies as (
    select * from {{ ref('programme_task_agency') }}
),

implementing as (
    select
        task_agencies.task_id,
        string_agg(agencies.name_vi, '; ' order by agencies.agency_id) as implementing_vi,
        string_agg(agencies.name_en, '; ' order by agencies.agency_id) as implementing_en
    from task_agencies
    inner join agencies on task_agencies.agency_id = agencies.agency_id
    where task_agencies.role = 'implement'
    group by task_agencies.task_id
),

final as (
    select
        tasks.task_id::text as task_id,
        tasks.programme_paragraph::text as programme_paragraph,
        tasks.name_vi::text as name_vi,
        tasks.name_en::text as name_en,
        tasks.lead_agency_id::text as lead_agency_id,
        leads.name_vi::text as lead_vi,
        leads.name_en::text as lead_en,
        implementing.implementing_vi::text as implementing_vi,
        implementing.implementing_en::text as implementing_en,
        tasks.starts_on::date as starts_on,
        tasks.due_on::date as due_on,
        tasks.timeline_vi::text as timeline_vi,
        tasks.is_recurring::boolean as is_recurring,
        tasks.kpi_ids::text as kpi_ids
    from tasks
    left join agencies as leads on tasks.lead_agency_id = leads.agency_id
    left join implementing on tasks.task_id = implementing.task_id
)

select * from final
