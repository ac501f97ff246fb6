-- Grain: one row per administrative unit and validity, and one per boundary.
with

units as (
    select * from {{ ref('geo_unit') }}
),

boundaries as (
    select * from {{ ref('geo_boundary') }}
),

boundary_units as (
    select * from {{ ref('geo_boundary_unit') }}
),

commune_members as (
    select
        units.unit_id,
        units.parent_unit_id,
        units.old_province_code,
        coalesce(bool_or(boundary_units.boundary_id = 'qn_programme'), false)
            as is_in_qn_programme,
        coalesce(bool_or(boundary_units.boundary_id = 'qn_current'), false) as is_in_qn_current
    from units
    left join boundary_units on units.unit_id = boundary_units.unit_id
    where units.unit_level = 'commune'
    group by units.unit_id, units.parent_unit_id, units.old_province_code
),

-- A district or province lies in a boundary with all its communes; that of today by its children.
members as (
    select
        unit_id,
        is_in_qn_programme,
        is_in_qn_current
    from commune_members

    union all

    select
        units.unit_id,
        bool_and(commune_members.is_in_qn_programme) as is_in_qn_programme,
        bool_and(commune_members.is_in_qn_current) as is_in_qn_current
    from units
    inner join commune_members
        on
            units.old_province_code = commune_members.old_province_code
            or (
                units.old_province_code is null
                and units.unit_id = commune_members.parent_unit_id
            )
    where units.unit_level in ('district', 'province')
    group by units.unit_id
),

people as (
    select
        unit_code,
        period,
        data_label,
        sum(population)::bigint as population
    from {{ ref('int_population__commune_month') }}
    where period <= {{ as_of_period() }}
    group by unit_code, period, data_label
),

-- The last month in which the commune had this code; real people before those of a sample.
populations as (
    select distinct on (units.unit_id)
        units.unit_id,
        people.population,
        people.period,
        people.data_label
    from units
    inner join people
        on
            units.unit_code::text = people.unit_code
            and {{ month_end('people.period') }} >= units.valid_from
            and {{ month_end('people.period') }} <= coalesce(units.valid_to, 'infinity'::date)
    where units.unit_level = 'commune'
    order by units.unit_id asc, people.data_label asc, people.period desc
),

described as (
    select
        units.unit_id::text as unit_id,
        units.unit_code::text as unit_code,
        units.unit_level::text as unit_level,
        units.name_vi::text as name_vi,
        units.full_name_vi::text as full_name_vi,
        units.name_en::text as name_en,
        units.unit_type_vi::text as unit_type_vi,
        units.unit_type_en::text as unit_type_en,
        units.parent_unit_id::text as parent_unit_id,
        parents.full_name_vi::text as parent_name_vi,
        units.old_province_code::text as old_province_code,
        units.district_code::text as district_code,
        coalesce(members.is_in_qn_programme, false) as is_in_qn_programme,
        coalesce(members.is_in_qn_current, false) as is_in_qn_current,
        units.valid_from::date as valid_from,
        units.valid_to::date as valid_to,
        units.zone::text as zone,
        units.is_urban::boolean as is_urban,
        units.area_km2::numeric as area_km2,
        units.latitude::double precision as latitude,
        units.longitude::double precision as longitude,
        populations.population,
        populations.period as population_period,
        populations.data_label as population_data_label,
        units.register_population_2025::bigint as register_population_2025,
        units.sort_key::text as sort_key,
        units.legal_act::text as legal_act
    from units
    left join units as parents on units.parent_unit_id = parents.unit_id
    left join members on units.unit_id = members.unit_id
    left join populations on units.unit_id = populations.unit_id

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
        null as parent_name_vi,
        null as old_province_code,
        null as district_code,
        boundary_id = 'qn_programme' as is_in_qn_programme,
        boundary_id = 'qn_current' as is_in_qn_current,
        null as valid_from,
        null as valid_to,
        null as zone,
        null as is_urban,
        null as area_km2,
        null as latitude,
        null as longitude,
        null as population,
        null as population_period,
        null as population_data_label,
        null as register_population_2025,
        '0' || sort_order::text as sort_key,
        null as legal_act
    from boundaries
),

final as (
    select
        *,
        -- By bytes: the order of many servers, and of spreadsheets, passes over the key's spaces.
        row_number() over (
            order by sort_key collate "C" asc, valid_from asc, unit_id collate "C" asc
        )::integer as sort_number
    from described
)

select * from final
