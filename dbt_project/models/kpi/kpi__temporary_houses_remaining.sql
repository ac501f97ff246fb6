-- Grain: one row per commune, month, breakdown and value. Approved households without their house.
with

-- Denominator: households approved by month end, each once whatever its programmes.
denominator as (
    select
        period,
        unit_code,
        household_group,
        count(*) as denominator
    from {{ ref('int_housing__approved_households') }}
    where {{ is_computed_period() }}
    group by period, unit_code, household_group
),

-- Exclusions: none. Numerator: those whose house is not handed over by month end.
numerator as (
    select
        period,
        unit_code,
        household_group,
        count(*) as numerator,
        count(*) as contributors
    from {{ ref('int_housing__approved_households') }}
    where
        not is_completed
        and {{ is_computed_period() }}
    group by period, unit_code, household_group
),

{{ kpi_final('temporary_houses_remaining', breakdowns=['household_group']) }}
