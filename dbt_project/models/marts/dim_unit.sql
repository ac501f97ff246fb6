-- Grain: one row per administrative unit and validity, and one per boundary.
with

units as (
    select * from {{ ref('geo_unit') }}
),

boundaries as (
    select * from {{ ref('geo_boundary') }}
),

final as (
    select
        unit_id::text as unit_id,
        unit_code::text as unit_code,
        unit_level::text as unit_level,
        name_vi::text as name_vi,
        full_name_vi::text as full_name_vi,
        name_en::text as name_en,
        unit_type_vi::text as unit_type_vi,
        unit_type_en::text as unit_type_en,
        parent_unit_id::text as parent_unit_id,
        old_province_code::text as old_province_code,
        district_code::text as district_code,
        valid_from::date as valid_from,
        valid_to::date as valid_to,
        zone::text as zone,
        is_urban::boolean as is_urban,
        area_km2::numeric as area_km2,
        latitude::double precision as latitude,
        longitude::double precision as longitude,
        register_population_2025::bigint as register_population_2025,
        sort_key::text as sort_key,
        legal_act::text as legal_act
    from units

    union all

    select
        boundary_id::text as unit_id,
        boundary_id::text as unit_code,
        'boundary' as unit_level,
        name_vi::text as name_vi,
        name_vi::text as full_name_vi,
        name_en::text as name_en,
        'Địa bàn' as unit_type_vi,
        'Boundary' as unit_type_en,
        null as parent_unit_id,
        null as old_province_code,
        null as district_code,
        null as valid_from,
        null as valid_to,
        null as zone,
        null as is_urban,
        null as area_km2,
        null as latitude,
        null as longitude,
        null as register_population_2025,
        '0' || sort_order::text as sort_key,
        null as legal_act
    from boundaries
)

select * from final
