{{ config(
    materialized='incremental',
    incremental_strategy='replace_periods',
    on_schema_change='fail',
    indexes=[{'columns': ['dataset', 'period', 'unit_code'], 'unique': true}],
) }}

-- Grain: one row per dataset, period and unit whose old province delivered that dataset: each
-- commune, each district while there are districts, and the old province itself.
with

communes as (
    select
        period,
        unit_code,
        district_code::text as district_code,
        old_province_code
    from {{ ref('int_geography__commune_by_period') }}
    where {{ is_computed_period() }}
),

units as (
    select
        period,
        unit_code::text as unit_code,
        old_province_code
    from communes

    union all

    select distinct
        period,
        district_code as unit_code,
        old_province_code
    from communes
    where district_code is not null

    union all

    select distinct
        period,
        old_province_code as unit_code,
        old_province_code
    from communes
),

delivered_units as (
    {% for dataset in kpi_inputs() if dataset != 'health__staff' %}
    select
        '{{ dataset }}' as dataset,
        period,
        unit_code,
        max(data_label) as data_label,
        max(batch_id) as batch_id
    from {{ ref('stg_' ~ dataset) }}
    where {{ is_computed_period() }}
    group by period, unit_code

    union all
    {% endfor %}

    -- The staff list names workplaces; the register of facilities says where they stand.
    select
        'health__staff' as dataset,
        staff.period,
        facilities.unit_code,
        max(staff.data_label) as data_label,
        max(staff.batch_id) as batch_id
    from {{ ref('stg_health__staff') }} as staff
    inner join {{ ref('stg_health__facilities') }} as facilities
        on
            staff.period = facilities.period
            and staff.facility_code = facilities.facility_code
    where {{ is_computed_period('staff.period') }}
    group by staff.period, facilities.unit_code
),

delivered_provinces as (
    select
        delivered_units.dataset,
        delivered_units.period,
        units.old_province_code,
        max(delivered_units.data_label) as data_label,
        max(delivered_units.batch_id) as batch_id
    from delivered_units
    inner join units
        on
            delivered_units.period = units.period
            and delivered_units.unit_code = units.unit_code
    group by delivered_units.dataset, delivered_units.period, units.old_province_code
),

-- A commune without a row in a delivered list has none; one outside it is unknown, not zero.
final as (
    select
        delivered_provinces.dataset,
        delivered_provinces.period,
        units.unit_code,
        delivered_provinces.data_label,
        delivered_provinces.batch_id
    from delivered_provinces
    inner join units
        on
            delivered_provinces.period = units.period
            and delivered_provinces.old_province_code = units.old_province_code
)

select * from final
