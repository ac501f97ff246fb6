-- Grain: one row per series, commune, year, breakdown and value.
-- Graduates of lower (thcs) and upper (thpt) secondary school who go on to vocational education.
with

-- A graduate who changed school stands on two lists, and is one person.
graduates as (
    select
        period,
        lower(level_code) as series,
        person_key,
        min(unit_code) as unit_code,
        min(sex) as sex,
        min(ethnic_group_code) as ethnic_group,
        min(graduated_on) as graduated_on
    from {{ ref('stg_education__graduates') }}
    where {{ is_computed_period() }}
    group by period, level_code, person_key
),

-- Denominator: graduates of the summer.
denominator as (
    select
        series,
        period,
        unit_code,
        sex,
        ethnic_group,
        count(*) as denominator
    from graduates
    group by series, period, unit_code, sex, ethnic_group
),

-- Exclusions: courses begun before graduation. Who enrols in another province is on no list of
-- this one and is missing, so the share is a lower bound.
-- Numerator: graduates who enrolled by the end of the year, once whatever their courses.
numerator as (
    select
        graduates.series,
        graduates.period,
        graduates.unit_code,
        graduates.sex,
        graduates.ethnic_group,
        count(*) as numerator,
        count(*) as contributors
    from graduates
    where
        exists (
            select 1
            from {{ ref('stg_education__vocational_enrolments') }} as enrolments
            where
                graduates.period = enrolments.period
                and graduates.person_key = enrolments.person_key
                and graduates.graduated_on <= enrolments.enrolled_on
        )
    group by
        graduates.series,
        graduates.period,
        graduates.unit_code,
        graduates.sex,
        graduates.ethnic_group
),

{{ kpi_final(
    'lower_secondary_to_vocational_share',
    breakdowns=['sex', 'ethnic_group'],
    series=['thcs', 'thpt']
) }}
