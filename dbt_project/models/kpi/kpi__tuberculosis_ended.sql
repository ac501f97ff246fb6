-- Grain: one row per old province and year. Whether tuberculosis is recognised as ended.
with

status as (
    select *
    from {{ ref('stg_health__disease_status') }}
    where
        disease_code = 'LAO'
        and {{ is_computed_period() }}
),

-- Denominator: each old province of the boundary: the status holds where all of them have it.
denominator as (
    select
        period,
        unit_code,
        'status' as series,
        count(*) as denominator
    from status
    group by period, unit_code
),

-- Exclusions: a claim without a decision, and a decision of the next year. Notified cases are not
-- incidence, and relapses are not new: no case rate stands in for the decision.
-- Numerator: old provinces whose recognition is in force on 31 December.
numerator as (
    select
        period,
        unit_code,
        'status' as series,
        count(*) as numerator,
        count(*) as contributors
    from status
    where
        is_ended
        and decision_number is not null
        and decided_on <= {{ period_end('period') }}
    group by period, unit_code
),

{{ kpi_final('tuberculosis_ended', series=['status']) }}
