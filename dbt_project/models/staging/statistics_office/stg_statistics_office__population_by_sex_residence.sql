-- Grain: one row per area label, population group and year of the latest delivery.
with

source as (
    select * from {{ source('statistics_office', 'population_by_sex_residence') }}
),

-- The office sends the whole table each time; the last one holds.
last_delivery as (
    select max(_period) as _period
    from source
    where _period <= {{ as_of_period() }}
),

latest as (
    select source.*
    from source
    inner join last_delivery on source._period = last_delivery._period
),

renamed as (
    select
        {{ folded('area_label') }} as area_label,
        {{ statistics_area_code('area_label') }} as unit_code,
        {{ folded('group_label') }} as population_group,
        {{ folded('year_label') }} as period_label,
        right({{ folded('year_label') }}, 4) as period,
        year_label like 'Prel.%' as is_preliminary,
        value::numeric as value,
        _batch_id as batch_id,
        _data_label as data_label
    from latest
)

select * from renamed
