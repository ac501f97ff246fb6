-- Grain: one row per period in which a figure exists.
with

periods as (
    select distinct period
    from {{ ref('int_kpi__values') }}
),

kinds as (
    select
        period,
        {{ period_kind('period') }} as period_kind,
        {{ period_end('period') }} as ends_on,
        {{ year_decimal('period') }} as year_decimal
    from periods
),

final as (
    select
        period,
        period_kind,
        (
            ends_on + interval '1 day' - case period_kind
                when 'month' then interval '1 month'
                when 'quarter' then interval '3 months'
                else interval '1 year'
            end
        )::date as starts_on,
        ends_on,
        round(year_decimal::numeric, 10) as year_decimal,
        case period_kind
            when 'month' then 'Tháng ' || right(period, 2) || '/' || left(period, 4)
            when 'quarter' then 'Quý ' || right(period, 1) || '/' || left(period, 4)
            when 'school_year' then 'Năm học ' || period
            else 'Năm ' || period
        end as label_vi,
        case period_kind
            when 'month' then to_char(ends_on, 'FMMonth YYYY')
            when 'quarter' then 'Q' || right(period, 1) || ' ' || left(period, 4)
            when 'school_year' then 'School year ' || period
            else period
        end as label_en
    from kinds
)

select * from final
