-- Grain: one row per month and household approved by the end of it.
with

approved as (
    select
        *,
        case household_group_code
            when 'NCC' then 1
            when 'HN' then 2
            when 'HCN' then 3
            else 4
        end as group_rank,
        coalesce(completed_on <= {{ month_end('period') }}, false) as is_completed
    from {{ ref('stg_housing__temporary_houses') }}
    -- Later approvals belong to later months.
    where approved_on <= {{ month_end('period') }}
),

-- Two programmes may support one house: it is done when either says so.
completion as (
    select
        period,
        household_key,
        bool_or(is_completed) as is_completed
    from approved
    group by period, household_key
),

-- Merit goes before poor, poor before near-poor, near-poor before other.
first_rows as (
    select distinct on (period, household_key) *
    from approved
    order by period asc, household_key asc, group_rank asc, unit_code asc
),

final as (
    select
        first_rows.period,
        first_rows.household_key,
        first_rows.unit_code,
        first_rows.household_group_code as household_group,
        completion.is_completed
    from first_rows
    inner join completion
        on
            first_rows.period = completion.period
            and first_rows.household_key = completion.household_key
)

select * from final
