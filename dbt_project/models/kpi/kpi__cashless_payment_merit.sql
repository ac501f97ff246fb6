-- Grain: one row per series, commune, month, breakdown and value.
-- People with merit paid without cash, and the money that reached them so.
with

-- Exclusions: the dead, and what was not paid. Arrears count once, in the month of their payment.
paid_rows as (
    select
        *,
        -- How it was paid, not whether there is an account; a relative's is not the person's own.
        coalesce(method_code in ('TK', 'VDT') and account_holder_code = 'CC', false) as is_cashless
    from {{ ref('stg_home_affairs__merit_people') }}
    where
        is_paid = '1'
        and not is_deceased
        and {{ is_computed_period() }}
),

-- One person over several statuses: without cash only if nothing was handed out in cash.
persons as (
    select
        period,
        person_key,
        min(unit_code) as unit_code,
        min(sex) as sex,
        left(period, 4)::integer - min(birth_year) as age,
        bool_and(is_cashless) as is_cashless,
        sum(amount_vnd) as paid_vnd,
        coalesce(sum(amount_vnd) filter (where is_cashless), 0) as cashless_vnd
    from paid_rows
    group by period, person_key
),

counted_groups as (
    select
        period,
        unit_code,
        sex,
        {{ age_group('age') }} as age_group,
        count(*) as persons_paid,
        count(*) filter (where is_cashless) as persons_cashless,
        sum(paid_vnd) as paid_vnd,
        sum(cashless_vnd) as cashless_vnd,
        count(*) filter (where cashless_vnd > 0) as payees_cashless
    from persons
    group by period, unit_code, sex, {{ age_group('age') }}
),

-- Denominator: persons paid in the month; the money paid to them.
denominator as (
    select
        'persons' as series,
        period,
        unit_code,
        sex,
        age_group,
        persons_paid as denominator
    from counted_groups

    union all

    select
        'amount' as series,
        period,
        unit_code,
        sex,
        age_group,
        paid_vnd as denominator
    from counted_groups
),

-- Numerator: persons paid through an account or wallet of their own; the money paid that way.
numerator as (
    select
        'persons' as series,
        period,
        unit_code,
        sex,
        age_group,
        persons_cashless as numerator,
        persons_cashless as contributors
    from counted_groups

    union all

    select
        'amount' as series,
        period,
        unit_code,
        sex,
        age_group,
        cashless_vnd as numerator,
        payees_cashless as contributors
    from counted_groups
),

{{ kpi_final(
    'cashless_payment_merit',
    breakdowns=['sex', 'age_group'],
    series=['persons', 'amount']
) }}
