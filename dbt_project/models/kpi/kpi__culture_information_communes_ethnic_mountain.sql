-- Grain: one row per commune, year, breakdown and value.
-- Ethnic-minority and mountain communes with access to culture and broadcasting.
with

-- Denominator: communes that the agency lists, as they stand on 31 December: the merger of
-- 2025-07-01 made 24 of 63, so rates before and after it count other communes.
denominator as (
    select
        period,
        unit_code,
        count(*) as denominator
    from {{ ref('stg_culture__commune_checklist') }}
    where
        is_ethnic_mountain
        and {{ is_computed_period() }}
    group by period, unit_code
),

-- Exclusions: other communes, also where they meet the criteria.
-- Numerator: communes that meet the criteria; contributors are communes.
numerator as (
    select
        period,
        unit_code,
        count(*) as numerator,
        count(*) as contributors
    from {{ ref('stg_culture__commune_checklist') }}
    where
        is_ethnic_mountain
        and meets_criteria
        and {{ is_computed_period() }}
    group by period, unit_code
),

{{ kpi_final('culture_information_communes_ethnic_mountain') }}
