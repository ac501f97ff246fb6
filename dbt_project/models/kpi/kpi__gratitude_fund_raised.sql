-- Grain: one row per fund's unit, quarter, breakdown and value. Money raised for the fund.
with

-- Exclusions: expenses, and money passed on by a fund of another level, which came in there.
-- Numerator: receipts of the quarter; district funds have none since they closed in 2025.
numerator as (
    select
        period,
        unit_code,
        case level_code
            when 'T' then 'province'
            when 'H' then 'district'
            when 'X' then 'commune'
        end as level,
        sum(amount_vnd) as numerator,
        count(*) as contributors
    from {{ ref('stg_home_affairs__gratitude_fund') }}
    where
        kind_code = 'THU'
        and content_code <> 'DC'
        and {{ is_computed_period() }}
    group by period, unit_code, level_code
),

{{ kpi_final('gratitude_fund_raised', breakdowns=['level'], denominator=false) }}
