{{ config(materialized='table', indexes=[{'columns': ['period', 'commune_code']}]) }}

-- Grain: one row per month, commune, boundary and unit that the commune adds to.
with

communes as (
    select * from {{ ref('int_geography__commune_by_month') }}
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

final as (
    select
        period,
        unit_code as commune_code,
        old_province_code,
        urban_rural,
        zone,
        boundary,
        'commune' as unit_level,
        unit_code,
        unit_id
    from boundary_communes

    union all

    -- Districts exist only up to 2025-06-30.
    select
        period,
        unit_code as commune_code,
        old_province_code,
        urban_rural,
        zone,
        boundary,
        'district' as unit_level,
        district_code as unit_code,
        district_unit_id as unit_id
    from boundary_communes
    where district_unit_id is not null

    union all

    select
        period,
        unit_code as commune_code,
        old_province_code,
        urban_rural,
        zone,
        boundary,
        'boundary' as unit_level,
        boundary as unit_code,
        boundary as unit_id
    from boundary_communes
)

select * from final
