-- Grain: one row per commune, month, breakdown and value. Members of voluntary social insurance.
with

-- Exclusions: members whose coverage has lapsed; those who became compulsory members in the month.
-- Numerator: persons covered at month end, also if they paid for several months long before.
numerator as (
    select
        period,
        unit_code,
        sex,
        household_group,
        count(*) as numerator,
        count(*) as contributors
    from {{ ref('int_insurance__members') }}
    where
        scheme_code = 'TN'
        and {{ is_computed_period() }}
    group by period, unit_code, sex, household_group
),

{{ kpi_final(
    'voluntary_si_participants', breakdowns=['sex', 'household_group'], denominator=false
) }}
