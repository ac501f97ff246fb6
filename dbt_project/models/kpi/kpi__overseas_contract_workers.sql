-- Grain: one row per commune, month, breakdown and value. Departures under contract.
with

-- Exclusions: none. Somebody who leaves again counts again: departures are counted, not persons.
-- Numerator: departures of the month, in the commune of residence.
numerator as (
    select
        period,
        unit_code,
        sex,
        ethnic_group_code as ethnic_group,
        household_group_code as household_group,
        count(*) as numerator,
        count(distinct person_key) as contributors
    from {{ ref('stg_home_affairs__overseas_workers') }}
    where {{ is_computed_period() }}
    group by period, unit_code, sex, ethnic_group_code, household_group_code
),

{{ kpi_final(
    'overseas_contract_workers',
    breakdowns=['sex', 'ethnic_group', 'household_group'],
    denominator=false
) }}
