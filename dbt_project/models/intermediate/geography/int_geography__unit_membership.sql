{{ config(materialized='table', indexes=[{'columns': ['period', 'member_code']}]) }}

-- Grain: one row per period, member, boundary and unit that the member adds to. A member is a
-- commune, or the district or old province for which a figure is delivered as one.
with

communes as (
    select * from {{ ref('int_geography__commune_by_period') }}
),

boundary_units as (
    select * from {{ ref('geo_boundary_unit') }}
),

boundary_communes as (
    select
        communes.*,
        boundary_units.boundary_id as boundary
    from communes
    inner join boundary_units on communes.unit_id = boundary_units.unit_id
),

members as (
    select
        period,
        boundary,
        unit_code as member_code,
        'commune' as member_level,
        unit_code,
        unit_id,
        district_code,
        district_unit_id,
        old_province_code,
        urban_rural,
        zone
    from boundary_communes

    union all

    -- Districts exist only up to 2025-06-30.
    select distinct
        period,
        boundary,
        district_code as member_code,
        'district' as member_level,
        null as unit_code,
        null as unit_id,
        district_code,
        district_unit_id,
        old_province_code,
        null as urban_rural,
        null as zone
    from boundary_communes
    where district_unit_id is not null

    union all

    select distinct
        period,
        boundary,
        old_province_code as member_code,
        'province' as member_level,
        null as unit_code,
        null as unit_id,
        null as district_code,
        null as district_unit_id,
        old_province_code,
        null as urban_rural,
        null as zone
    from boundary_communes
),

final as (
    {% for level, code, id in [
        ('commune', 'unit_code', 'unit_id'),
        ('district', 'district_code', 'district_unit_id'),
        ('boundary', 'boundary', 'boundary'),
    ] %}
    select
        period,
        member_code,
        member_level,
        old_province_code,
        urban_rural,
        zone,
        boundary,
        '{{ level }}' as unit_level,
        {{ code }}::text as unit_code,
        {{ id }}::text as unit_id
    from members
    where {{ id }} is not null
    {%- if not loop.last %}

    union all
    {% endif %}
    {% endfor %}
)

select * from final
