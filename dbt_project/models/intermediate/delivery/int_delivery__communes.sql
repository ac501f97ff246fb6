{{ config(
    materialized='incremental',
    incremental_strategy='replace_periods',
    on_schema_change='fail',
    indexes=[{'columns': ['dataset', 'period', 'unit_code'], 'unique': true}],
) }}

-- Grain: one row per dataset, month and commune whose old province delivered that dataset.
with

staff as (
    select *
    from {{ ref('stg_health__staff') }}
    where {{ is_computed_period() }}
),

facilities as (
    select *
    from {{ ref('stg_health__facilities') }}
    where {{ is_computed_period() }}
),

delivered_units as (
    select
        'social_insurance__health_insurance_members' as dataset,
        period,
        unit_code,
        max(data_label) as data_label,
        max(batch_id) as batch_id
    from {{ ref('stg_social_insurance__health_insurance_members') }}
    where {{ is_computed_period() }}
    group by period, unit_code

    union all

    select
        'health__facilities' as dataset,
        period,
        unit_code,
        max(data_label) as data_label,
        max(batch_id) as batch_id
    from facilities
    group by period, unit_code

    union all

    -- The staff list names workplaces; the register of facilities says where they stand.
    select
        'health__staff' as dataset,
        staff.period,
        facilities.unit_code,
        max(staff.data_label) as data_label,
        max(staff.batch_id) as batch_id
    from staff
    inner join facilities
        on
            staff.period = facilities.period
            and staff.facility_code = facilities.facility_code
    group by staff.period, facilities.unit_code

    union all

    select
        'education__pupils' as dataset,
        period,
        unit_code,
        max(data_label) as data_label,
        max(batch_id) as batch_id
    from {{ ref('stg_education__pupils') }}
    where {{ is_computed_period() }}
    group by period, unit_code

    union all

    select
        'housing__temporary_houses' as dataset,
        period,
        unit_code,
        max(data_label) as data_label,
        max(batch_id) as batch_id
    from {{ ref('stg_housing__temporary_houses') }}
    where {{ is_computed_period() }}
    group by period, unit_code

    union all

    select
        'statistics_office__commune_population' as dataset,
        period,
        unit_code,
        max(data_label) as data_label,
        max(batch_id) as batch_id
    from {{ ref('stg_statistics_office__commune_population') }}
    where {{ is_computed_period() }}
    group by period, unit_code
),

communes as (
    select
        period,
        unit_code,
        old_province_code
    from {{ ref('int_geography__commune_by_month') }}
    where {{ is_computed_period() }}
),

delivered_provinces as (
    select
        delivered_units.dataset,
        delivered_units.period,
        communes.old_province_code,
        max(delivered_units.data_label) as data_label,
        max(delivered_units.batch_id) as batch_id
    from delivered_units
    inner join communes
        on
            delivered_units.period = communes.period
            and delivered_units.unit_code = communes.unit_code
    group by delivered_units.dataset, delivered_units.period, communes.old_province_code
),

-- A commune without a row in a delivered list has none; one outside it is unknown, not zero.
final as (
    select
        delivered_provinces.dataset,
        delivered_provinces.period,
        communes.unit_code,
        delivered_provinces.data_label,
        delivered_provinces.batch_id
    from delivered_provinces
    inner join communes
        on
            delivered_provinces.period = communes.period
            and delivered_provinces.old_province_code = communes.old_province_code
)

select * from final
