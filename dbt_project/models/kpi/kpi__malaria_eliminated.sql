-- Grain: one row per old province and year. Whether malaria is recognised as eliminated.
with

status as (
    select *
    from {{ ref('stg_health__disease_status') }}
    where
        disease_code = 'SR'
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

-- Exclusions: a claim without a decision, and a decision of the next year. Imported cases do not
-- undo a status; the former Kon Tum has its own, as it may have indigenous cases.
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

{{ kpi_final('malaria_eliminated', series=['status']) }}
