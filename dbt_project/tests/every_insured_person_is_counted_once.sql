{{ config(severity='warn') }}

-- As many persons counted as hold a valid card; those who live elsewhere drop out.
with

held as (
    select
        period,
        count(distinct person_key) as persons
    from {{ ref('stg_social_insurance__health_insurance_members') }}
    where
        {{ is_computed_period() }}
        and valid_from <= {{ month_end('period') }}
        and valid_to >= {{ month_end('period') }}
    group by period
),

counted as (
    select
        period,
        sum(numerator) as persons
    from {{ ref('kpi__health_insurance_coverage') }}
    where breakdown = 'total' and {{ is_computed_period() }}
    group by period
)

select
    held.period,
    held.persons as persons_held,
    counted.persons as persons_counted
from held
left join counted on held.period = counted.period
where held.persons is distinct from counted.persons
