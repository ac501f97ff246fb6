-- Grain: one row per commune, month, series, breakdown and value.
-- Elderly without support in poor and near-poor households who draw a monthly benefit.
with

-- From 70 on the social pension is a benefit as well, from July 2025 when it begins.
paid as (
    select
        period,
        person_key
    from {{ ref('int_social_protection__paid_persons') }}

    union

    select
        period,
        person_key
    from {{ ref('stg_social_protection__social_pension') }}
    where is_paid = '1'
),

elderly as (
    select
        members.*,
        paid.person_key is not null as is_paid
    from {{ ref('int_poverty__listed_persons') }} as members
    left join paid
        on
            members.period = paid.period
            and members.person_key = paid.person_key
    where
        members.has_no_support
        and {{ is_computed_period('members.period') }}
),

-- The programme names poor and near-poor households; the decree poor ones only (Article 5,
-- clause 5): near-poor persons of 60-69 have no class in it.
grouped as (
    select
        'programme_wording' as series,
        *
    from elderly

    union all

    select
        'decree_20_2021' as series,
        *
    from elderly
    where poverty_class = 'HN'
),

-- Denominator: elderly persons of the list whom nobody supports.
denominator as (
    select
        period,
        unit_code,
        series,
        poverty_class,
        ethnic_group,
        count(*) as denominator
    from grouped
    group by period, unit_code, series, poverty_class, ethnic_group
),

-- Exclusions: pensions that were granted and not paid, benefits of other members.
-- Numerator: those who were paid in the month, once whatever they draw.
numerator as (
    select
        period,
        unit_code,
        series,
        poverty_class,
        ethnic_group,
        count(*) as numerator,
        count(*) as contributors
    from grouped
    where is_paid
    group by period, unit_code, series, poverty_class, ethnic_group
),

{{ kpi_final(
    'assistance_poor_lonely_elderly',
    breakdowns=['poverty_class', 'ethnic_group'],
    series=['programme_wording', 'decree_20_2021'],
) }}
