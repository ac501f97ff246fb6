-- Grain: one row per commune, month, breakdown and value.
-- People past retirement age with a pension, monthly benefit or social pension, per resident of
-- that age.
with

limits as (
    select * from {{ ref('int_insurance__retirement_limit') }}
),

-- Denominator: residents past the retirement age of their sex at month end. Those under 75
-- without a pension stay in it, although the social pension begins at 75 (poor: 70).
denominator as (
    select
        residents.period,
        residents.unit_code,
        residents.sex,
        {{ retiree_age_group('residents.period', 'residents.birth_month') }} as age_group,
        residents.persons as denominator
    from {{ ref('stg_population_register__older_residents') }} as residents
    inner join limits
        on
            residents.period = limits.period
            and residents.sex = limits.sex
            and residents.birth_month <= limits.youngest_birth_month
    where {{ is_computed_period('residents.period') }}
),

benefits as (
    select
        period,
        person_key,
        unit_code,
        sex,
        birth_month,
        1 as list_order
    from {{ ref('stg_social_insurance__pensions') }}
    where
        is_paid
        and {{ is_computed_period() }}

    union all

    select
        period,
        person_key,
        unit_code,
        sex,
        birth_month,
        2 as list_order
    from {{ ref('stg_social_protection__social_pension') }}
    where
        is_paid = '1'
        and {{ is_computed_period() }}
),

-- Pension and survivor's benefit, or a small pension topped up by the social pension, are one
-- person, at the address of the insurer's list.
recipients as (
    select distinct on (period, person_key) *
    from benefits
    order by
        period asc,
        person_key asc,
        list_order asc,
        unit_code asc
),

-- Exclusions: early retirees, who have not reached the age; payments that were stopped.
-- Numerator: persons past the age with at least one benefit.
numerator as (
    select
        recipients.period,
        recipients.unit_code,
        recipients.sex,
        {{ retiree_age_group('recipients.period', 'recipients.birth_month') }} as age_group,
        count(*) as numerator,
        count(*) as contributors
    from recipients
    inner join limits
        on
            recipients.period = limits.period
            and recipients.sex = limits.sex
            and recipients.birth_month <= limits.youngest_birth_month
    group by
        recipients.period,
        recipients.unit_code,
        recipients.sex,
        {{ retiree_age_group('recipients.period', 'recipients.birth_month') }}
),

{{ kpi_final('retirees_with_pension_or_social_pension', breakdowns=['sex', 'age_group']) }}
