-- Grain: one row per old province and year. Live-born boys per 100 live-born girls.
with

-- Exclusions: stillbirths, and births of earlier years that were registered late.
-- With few births chance decides: a commune's ratio means nothing, so provinces only.
live_births as (
    select
        births.period,
        communes.old_province_code as unit_code,
        births.sex
    from {{ ref('stg_civil_registration__births') }} as births
    inner join {{ ref('int_geography__commune_by_period') }} as communes
        on
            births.period = communes.period
            and births.unit_code = communes.unit_code
    where
        births.is_live_birth = '1'
        and births.birth_year = births.period::integer
        and {{ is_computed_period('births.period') }}
),

-- Denominator: girls.
denominator as (
    select
        period,
        unit_code,
        count(*) as denominator
    from live_births
    where sex = 'female'
    group by period, unit_code
),

-- Numerator: boys.
numerator as (
    select
        period,
        unit_code,
        count(*) as numerator,
        count(*) as contributors
    from live_births
    where sex = 'male'
    group by period, unit_code
),

{{ kpi_final('sex_ratio_at_birth') }}
