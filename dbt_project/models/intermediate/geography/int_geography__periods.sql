{{ config(materialized='table', indexes=[{'columns': ['period'], 'unique': true}]) }}

-- Grain: one row per month, quarter and year that has ended by the release month.
with

months as (
    select to_char(month_start, 'YYYY-MM') as period
    from generate_series(
        to_date('{{ checked_month(var("first_period"), "first_period") }}', 'YYYY-MM'),
        to_date({{ as_of_period() }}, 'YYYY-MM'),
        interval '1 month'
    ) as month_start
),

periods as (
    select period
    from months

    union all

    select {{ quarter_ended_by('period') }} as period
    from months
    where {{ quarter_ended_by('period') }} is not null

    union all

    select {{ year_of_december('period') }} as period
    from months
    where {{ year_of_december('period') }} is not null
),

final as (
    select
        period,
        {{ period_kind('period') }} as period_kind,
        {{ period_end('period') }} as ends_on
    from periods
)

select * from final
