-- Grain: one row per health station or point of a station and year.
with

source as (
    select * from {{ source('health', 'facility_sanitation') }}
),

renamed as (
    select
        _period as period,
        facility_code,
        unit_code,
        case station_kind_code
            when 'TRAM' then 'station'
            when 'DIEM' then 'point'
        end as station_kind,
        has_standard_toilet = '1' as has_standard_toilet,
        has_clean_water = '1' as has_clean_water,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later years belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
