-- Grain: one row per commune, type of area and year.
with

source as (
    select * from {{ source('agriculture_environment', 'wastewater') }}
),

renamed as (
    select
        _period as period,
        unit_code,
        case area_type_code when 'DT' then 'urban' when 'NT' then 'rural' end as area_type,
        generated_m3_day,
        treated_m3_day,
        method_code,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later years belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
