-- Grain: one row per commune, year, breakdown and value. Schools with sanitation up to standard.
with

-- Exclusions: satellite campuses, of which the register keeps no assessment: a school counts once,
-- by its main campus.
schools as (
    select
        period,
        unit_code,
        case level_code
            when '01' then 'preschool'
            when '02' then 'primary'
            when '03' then 'lower_secondary'
            when '04' then 'upper_secondary'
        end as level,
        -- To have toilets by sex is not yet to be up to the standard: only the assessment counts.
        meets_sanitation_standard = '1' as is_up_to_standard
    from {{ ref('stg_education__schools') }}
    where
        campus_kind_code = 'C'
        and {{ is_computed_period() }}
),

-- Denominator: all schools.
denominator as (
    select
        period,
        unit_code,
        level,
        count(*) as denominator
    from schools
    group by period, unit_code, level
),

-- Numerator: schools whose sanitation was assessed as up to the standard.
numerator as (
    select
        period,
        unit_code,
        level,
        count(*) as numerator,
        count(*) as contributors
    from schools
    where is_up_to_standard
    group by period, unit_code, level
),

{{ kpi_final('sanitation_schools', breakdowns=['level']) }}
