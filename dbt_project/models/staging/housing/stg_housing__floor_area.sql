-- Grain: one row per commune, type of house and year.
with

source as (
    select * from {{ source('housing', 'floor_area') }}
),

renamed as (
    select
        _period as period,
        unit_code,
        case area_type_code when 'DT' then 'urban' when 'NT' then 'rural' end as area_type,
        case house_type_code when 'RL' then 'house' when 'CC' then 'flat' end as house_type,
        floor_area_m2,
        persons,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later years belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
