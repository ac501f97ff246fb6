-- Grain: one row per old province, quarter, breakdown and value. Money raised for the fund.
with

-- The funds of all levels add up only for the province: a communal fund is no part of the
-- provincial one.
units as (
    select
        period,
        unit_code,
        old_province_code
    from {{ ref('int_geography__commune_by_period') }}

    union

    select
        period,
        district_code as unit_code,
        old_province_code
    from {{ ref('int_geography__commune_by_period') }}

    union

    select
        period,
        old_province_code as unit_code,
        old_province_code
    from {{ ref('int_geography__commune_by_period') }}
),

-- Exclusions: expenses, and money passed on by a fund of another level, which came in there.
-- Numerator: receipts of the quarter; district funds have none since they closed in 2025.
numerator as (
    select
        fund.period,
        units.old_province_code as unit_code,
        case fund.level_code
            when 'T' then 'province'
            when 'H' then 'district'
            when 'X' then 'commune'
        end as level,
        sum(fund.amount_vnd) as numerator,
        count(*) as contributors
    from {{ ref('stg_home_affairs__gratitude_fund') }} as fund
    inner join units
        on
            fund.period = units.period
            and fund.unit_code = units.unit_code
    where
        fund.kind_code = 'THU'
        and fund.content_code <> 'DC'
        and {{ is_computed_period('fund.period') }}
    group by fund.period, units.old_province_code, fund.level_code
),

{{ kpi_final('gratitude_fund_raised', breakdowns=['level'], denominator=false) }}
