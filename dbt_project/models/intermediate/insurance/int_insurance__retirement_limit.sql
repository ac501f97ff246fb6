{{ config(materialized='table', indexes=[{'columns': ['period', 'sex'], 'unique': true}]) }}

-- Grain: one row per month and sex: the youngest who have reached the retirement age by its end.
with

months as (
    select *
    from {{ ref('int_geography__periods') }}
    where period_kind = 'month'
),

-- The age rises every year and differs by sex; whoever is born later has not reached it yet.
final as (
    select
        months.period,
        ages.sex,
        max(ages.birth_month) as youngest_birth_month
    from months
    inner join {{ ref('retirement_age') }} as ages
        on months.period >= ages.retirement_month
    group by months.period, ages.sex
)

select * from final
