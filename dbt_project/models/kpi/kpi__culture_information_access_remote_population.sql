-- Grain: one row per commune, year, breakdown and value.
-- Residents of remote areas with access to culture and broadcasting.
with

-- Denominator: residents of the communes that the agency lists as remote, coastal or island; no
-- official list was found, so the list is data and may change from year to year.
denominator as (
    select
        period,
        unit_code,
        sum(residents) as denominator
    from {{ ref('stg_culture__commune_checklist') }}
    where
        is_remote_area
        and {{ is_computed_period() }}
    group by period, unit_code
),

-- Exclusions: residents of other communes.
-- Numerator: residents with signal and a receiver who take part in cultural life.
numerator as (
    select
        period,
        unit_code,
        sum(residents_with_access) as numerator,
        sum(residents_with_access) as contributors
    from {{ ref('stg_culture__commune_checklist') }}
    where
        is_remote_area
        and {{ is_computed_period() }}
    group by period, unit_code
),

{{ kpi_final('culture_information_access_remote_population') }}
