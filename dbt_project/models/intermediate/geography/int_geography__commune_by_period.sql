{{ config(materialized='table', indexes=[{'columns': ['period', 'unit_code'], 'unique': true}]) }}

-- Grain: one row per commune and period, the commune valid on the period's last day.
with

periods as (
    select * from {{ ref('int_geography__periods') }}
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
        periods.period,
        communes.unit_code,
        communes.unit_id,
        communes.old_province_code::text as old_province_code,
        districts.unit_code as district_code,
        districts.unit_id as district_unit_id,
        case when communes.is_urban then 'urban' else 'rural' end as urban_rural,
        communes.zone
    from periods
    inner join communes
        on
            periods.ends_on >= communes.valid_from
            and periods.ends_on <= coalesce(communes.valid_to, 'infinity'::date)
    left join districts
        on
            communes.district_code::text = districts.unit_code::text
            and periods.ends_on >= districts.valid_from
            and periods.ends_on <= coalesce(districts.valid_to, 'infinity'::date)
)

select * from final
