{{ config(materialized='table', indexes=[{'columns': ['period', 'unit_code'], 'unique': true}]) }}

-- Grain: one row per commune and month, the commune valid on the month's last day.
with

months as (
    select to_char(month_start, 'YYYY-MM') as period
    from generate_series(
        to_date('{{ checked_month(var("first_period"), "first_period") }}', 'YYYY-MM'),
        to_date({{ as_of_period() }}, 'YYYY-MM'),
        interval '1 month'
    ) as month_start
),

communes as (
    select *
    from {{ ref('geo_unit') }}
    where unit_level = 'commune'
),

districts as (
    select *
    from {{ ref('geo_unit') }}
    where unit_level = 'district'
),

-- A code without a date is ambiguous: 95 of 96 codes of 2025-07-01 were used before.
final as (
    select
        months.period,
        communes.unit_code,
        communes.unit_id,
        communes.old_province_code::text as old_province_code,
        districts.unit_code as district_code,
        districts.unit_id as district_unit_id,
        case when communes.is_urban then 'urban' else 'rural' end as urban_rural,
        communes.zone
    from months
    inner join communes
        on
            {{ month_end('months.period') }} >= communes.valid_from
            and {{ month_end('months.period') }} <= coalesce(communes.valid_to, 'infinity'::date)
    left join districts
        on
            communes.district_code::text = districts.unit_code::text
            and {{ month_end('months.period') }} >= districts.valid_from
            and {{ month_end('months.period') }} <= coalesce(districts.valid_to, 'infinity'::date)
)

select * from final
