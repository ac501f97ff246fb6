-- Grain: one row per commune, month, breakdown and value.
-- Persons in the social-security databases whose personal number is verified.
with

-- Denominator: living persons on a list of assistance, social pension or merit, once each.
denominator as (
    select
        period,
        unit_code,
        scheme,
        count(*) as denominator
    from {{ ref('int_social_protection__beneficiaries') }}
    where {{ is_computed_period() }}
    group by period, unit_code, scheme
),

-- Exclusions: the dead; numbers that are written down and not yet checked.
-- Numerator: those whose number was checked, because the personal number has replaced the code.
-- Children count like adults: they have a number long before a card.
numerator as (
    select
        period,
        unit_code,
        scheme,
        count(*) as numerator,
        count(*) as contributors
    from {{ ref('int_social_protection__beneficiaries') }}
    where
        is_verified
        and {{ is_computed_period() }}
    group by period, unit_code, scheme
),

{{ kpi_final('social_security_code_coverage', breakdowns=['scheme']) }}
