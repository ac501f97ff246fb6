-- Grain: one row per old province and month. Living heroic mothers who are cared for.
with

-- Exclusions: the dead, and the other statuses of a mother.
-- So few are left that a commune's figure would point at a person: provinces only.
mothers as (
    select
        people.period,
        communes.old_province_code as unit_code,
        people.person_key,
        bool_or(people.is_supported = '1') as is_supported
    from {{ ref('stg_home_affairs__merit_people') }} as people
    inner join {{ ref('int_geography__commune_by_period') }} as communes
        on
            people.period = communes.period
            and people.unit_code = communes.unit_code
    where
        people.category_code = 'BMVNAH'
        and not people.is_deceased
        and {{ is_computed_period('people.period') }}
    group by people.period, communes.old_province_code, people.person_key
),

-- Denominator: living mothers.
denominator as (
    select
        period,
        unit_code,
        count(*) as denominator
    from mothers
    group by period, unit_code
),

-- Numerator: those with somebody who has taken on their care.
numerator as (
    select
        period,
        unit_code,
        count(*) as numerator,
        count(*) as contributors
    from mothers
    where is_supported
    group by period, unit_code
),

{{ kpi_final('vnah_mothers_supported') }}
