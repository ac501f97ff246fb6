-- Grain: one row per commune, month, series, breakdown and value.
-- Persons (and VND) of monthly assistance that were paid without cash.
with

persons as (
    select
        *,
        {{ age_group('age') }} as age_group
    from {{ ref('int_social_protection__paid_persons') }}
    where {{ is_computed_period() }}
),

-- Denominator: persons to whom something was paid in the month, arrears included, once each; and
-- what was paid.
denominator as (
    select
        period,
        unit_code,
        'persons' as series,
        sex,
        age_group,
        category,
        count(*) as denominator
    from persons
    group by period, unit_code, sex, age_group, category

    union all

    select
        period,
        unit_code,
        'amount' as series,
        sex,
        age_group,
        category,
        sum(amount_vnd) as denominator
    from persons
    group by period, unit_code, sex, age_group, category
),

-- Exclusions: the dead; persons paid in cash, though only in part or though they have an account;
-- money that goes to the account of a relative who is not the guardian.
-- Numerator: paid wholly into a bank account or an e-wallet of their own or of their guardian; and
-- what was paid in this way.
numerator as (
    select
        period,
        unit_code,
        'persons' as series,
        sex,
        age_group,
        category,
        count(*) as numerator,
        count(*) as contributors
    from persons
    where is_cashless
    group by period, unit_code, sex, age_group, category

    union all

    select
        period,
        unit_code,
        'amount' as series,
        sex,
        age_group,
        category,
        sum(cashless_vnd) as numerator,
        count(*) as contributors
    from persons
    where cashless_vnd > 0
    group by period, unit_code, sex, age_group, category
),

{{ kpi_final(
    'cashless_payment_social_assistance',
    breakdowns=['sex', 'age_group', 'category'],
    series=['persons', 'amount'],
) }}
